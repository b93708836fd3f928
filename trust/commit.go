package trust

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// commit is one call of Commit. It works on copies, so that one that fails
// leaves the Editor as it was.
type commit struct {
	*Editor
	now   time.Time // whole seconds, as TUF wants
	next  edition
	files []File // in the order in which they must be published
}

func (e *Editor) begin() *commit {
	return &commit{Editor: e, now: e.now().UTC().Truncate(time.Second), next: e.edition}
}

// Commit signs what has changed, renews what has less than half of its lifetime
// left (if the keys are at hand), and returns the new files in the order in which
// they must be published. The timestamp is always among them, and last. The root
// comes right before it: a client that meets a new root must soon meet a timestamp
// that the new keys have signed.
func (e *Editor) Commit(ctx context.Context) ([]File, error) {
	c := e.begin()
	var root []byte
	for _, d := range c.drafts() {
		b, err := d.seal(ctx, true)
		if err != nil {
			return nil, err
		}
		if d.role == metadata.ROOT {
			root = b
		} else {
			c.list(d.role, d.version, b)
		}
	}
	if err := c.signSnapshot(ctx); err != nil {
		return nil, err
	}
	if root != nil {
		c.files = append(c.files, File{rootFile(c.next.root.Signed.Version), root})
	}
	if err := c.signTimestamp(ctx); err != nil {
		return nil, err
	}
	if root != nil {
		e.rootBytes = root
	}
	e.edition, e.before = c.next, ours.usableRoot(c.next.root)
	clear(e.changed)
	clear(e.adopted)
	return c.files, nil
}

// draft is a new version of root, targets or a product, without signatures.
type draft struct {
	role    string
	version int64
	quorums []quorum
	// seal signs it, with the keys that are at hand. Whole wants all signatures.
	seal func(ctx context.Context, whole bool) ([]byte, error)
}

func draftOf[T metadata.Roles](c *commit, role string, version int64, m *metadata.Metadata[T], max int, quorums ...quorum) draft {
	s := sealing{role: role, file: metaFile(version, role), max: max, have: c.adopted[role], quorums: quorums}
	return draft{role, version, quorums, func(ctx context.Context, whole bool) ([]byte, error) {
		return seal(ctx, c.keys, m, s, whole)
	}}
}

// drafts puts the new versions of all but snapshot and timestamp into c.next.
func (c *commit) drafts() (all []draft) {
	quorums := []quorum{rootQuorum(ours.usableRoot(c.root), metadata.ROOT)}
	if c.before != nil {
		quorums = append(quorums, rootQuorum(c.before, metadata.ROOT))
	}
	if c.due(metadata.ROOT, c.root.Signed.Expires, c.life.Root, quorums...) {
		m := *c.root
		c.raise(metadata.ROOT, &m.Signed.Version, &m.Signed.Expires, c.life.Root)
		c.next.root = &m
		all = append(all, draftOf(c, metadata.ROOT, m.Signed.Version, &m, maxRoot, quorums...))
	}
	c.next.snapshot = copySnapshot(c.snapshot)
	c.next.products = maps.Clone(c.products)
	by := ours.usableTargets(c.targets)
	for _, name := range c.Products() {
		m := *c.products[name]
		if q := productQuorum(by, name); c.due(name, m.Signed.Expires, c.life.Targets, q) {
			c.raise(name, &m.Signed.Version, &m.Signed.Expires, c.life.Targets)
			c.next.products[name] = &m
			all = append(all, draftOf(c, name, m.Signed.Version, &m, maxTargets, q))
		}
	}
	m := *c.targets
	if q := rootQuorum(ours.usableRoot(c.next.root), metadata.TARGETS); c.due(metadata.TARGETS, m.Signed.Expires, c.life.Targets, q) {
		c.raise(metadata.TARGETS, &m.Signed.Version, &m.Signed.Expires, c.life.Targets)
		c.next.targets = &m
		all = append(all, draftOf(c, metadata.TARGETS, m.Signed.Version, &m, maxTargets, q))
	}
	return all
}

// raise makes the next version, unless others have signed just that already.
func (c *commit) raise(role string, version *int64, expires *time.Time, life time.Duration) {
	if c.adopted[role] == nil {
		*version++
		*expires = c.now.Add(life)
	}
}

// list adds a file and its entry in the snapshot.
func (c *commit) list(role string, version int64, b []byte) {
	c.files = append(c.files, File{metaFile(version, role), b})
	c.next.snapshot.Signed.Meta[role+".json"] = metaOf(version, b)
}

func (c *commit) signSnapshot(ctx context.Context) error {
	q := rootQuorum(ours.usableRoot(c.next.root), metadata.SNAPSHOT)
	m := c.next.snapshot
	if len(c.files) == 0 && !c.due(metadata.SNAPSHOT, m.Signed.Expires, c.life.Snapshot, q) {
		return nil
	}
	m.Signed.Version++
	m.Signed.Expires = c.now.Add(c.life.Snapshot)
	file := metaFile(m.Signed.Version, metadata.SNAPSHOT)
	b, err := seal(ctx, c.keys, m, sealing{metadata.SNAPSHOT, file, maxSnapshot, nil, []quorum{q}}, true)
	if err != nil {
		return err
	}
	c.files = append(c.files, File{file, b})
	c.next.timestamp = &timestampMeta{Signed: c.timestamp.Signed}
	c.next.timestamp.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": metaOf(m.Signed.Version, b)}
	return nil
}

func (c *commit) signTimestamp(ctx context.Context) error {
	m := *c.next.timestamp
	m.Signed.Version++
	m.Signed.Expires = c.now.Add(c.life.Timestamp)
	c.next.timestamp = &m
	q := rootQuorum(ours.usableRoot(c.next.root), metadata.TIMESTAMP)
	b, err := seal(ctx, c.keys, &m, sealing{metadata.TIMESTAMP, timestampFile, maxTimestamp, nil, []quorum{q}}, true)
	if err != nil {
		return err
	}
	c.files = append(c.files, File{timestampFile, b})
	return nil
}

// Timestamp signs the timestamp that Commit made last once more, with another
// lifetime: for a copy of the repository that is good for longer, such as a
// bundle that travels without network.
func (e *Editor) Timestamp(ctx context.Context, life time.Duration) ([]byte, error) {
	c := e.begin()
	m := *e.timestamp
	m.Signed.Expires = c.now.Add(life)
	q := rootQuorum(ours.usableRoot(e.root), metadata.TIMESTAMP)
	return seal(ctx, e.keys, &m, sealing{metadata.TIMESTAMP, timestampFile, maxTimestamp, nil, []quorum{q}}, true)
}

// A Role is a part of the metadata: who signs it, and until when it is good.
type Role struct {
	Name      string   // "root", "timestamp", "snapshot", "targets" or a product
	File      string   // such as "metadata/3.app.json"
	Keys      []string // ids of the keys whose signatures count, sorted
	Threshold int      // how many of them must sign
	Expires   time.Time
}

// Roles returns the top-level roles and then the products, as they are published.
func (e *Editor) Roles() []Role {
	root := ours.usableRoot(e.root)
	all := []Role{
		{Name: metadata.ROOT, File: rootFile(e.root.Signed.Version), Expires: e.root.Signed.Expires},
		{Name: metadata.TIMESTAMP, File: timestampFile, Expires: e.timestamp.Signed.Expires},
		{Name: metadata.SNAPSHOT, File: metaFile(e.snapshot.Signed.Version, metadata.SNAPSHOT), Expires: e.snapshot.Signed.Expires},
		{Name: metadata.TARGETS, File: metaFile(e.targets.Signed.Version, metadata.TARGETS), Expires: e.targets.Signed.Expires},
	}
	for i := range all {
		q := root.Signed.Roles[all[i].Name]
		all[i].Keys, all[i].Threshold = slices.Sorted(slices.Values(q.KeyIDs)), q.Threshold
	}
	targets := ours.usableTargets(e.targets)
	for _, product := range e.Products() {
		m, d := e.products[product], delegated(targets, product)
		all = append(all, Role{product, metaFile(m.Signed.Version, product), slices.Sorted(slices.Values(d.KeyIDs)), d.Threshold, m.Signed.Expires})
	}
	return all
}

// Current returns the names of the files that make up the newest metadata, but
// for roots and the timestamp.
func (e *Editor) Current() []string {
	files := []string{metaFile(e.snapshot.Signed.Version, metadata.SNAPSHOT)}
	for name, m := range e.snapshot.Signed.Meta {
		files = append(files, metaFile(m.Version, strings.TrimSuffix(name, ".json")))
	}
	slices.Sort(files)
	return files
}

// due reports whether a role must be signed anew, or should and can be.
func (c *commit) due(role string, expires time.Time, life time.Duration, quorums ...quorum) bool {
	if c.changed[role] {
		return true
	}
	if expires.Sub(c.now) >= life/2 {
		return false
	}
	for _, q := range quorums {
		if len(q.among(c.keys)) < q.threshold {
			return false
		}
	}
	return true
}

func copySnapshot(m *snapshotMeta) *snapshotMeta {
	c := *m
	c.Signed.Meta = maps.Clone(m.Signed.Meta)
	return &c
}

func metaOf(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{
		Version: version,
		Length:  int64(len(b)),
		Hashes:  metadata.Hashes{"sha256": sum[:]},
	}
}

// quorum is whose signatures a file needs, and how many of them.
type quorum struct {
	role      string
	ids       []string
	threshold int
	verify    func(role string, m any) error
}

func rootQuorum(by *rootMeta, role string) quorum {
	r := by.Signed.Roles[role]
	return quorum{role, r.KeyIDs, r.Threshold, by.VerifyDelegate}
}

func productQuorum(by *targetsMeta, product string) quorum {
	r := delegated(by, product)
	return quorum{product, r.KeyIDs, r.Threshold, by.VerifyDelegate}
}

func (q quorum) among(keys []held) (in []held) {
	for _, k := range keys {
		if slices.Contains(q.ids, k.id) {
			in = append(in, k)
		}
	}
	return in
}

// sealing is what a file needs to be published.
type sealing struct {
	role, file string
	max        int
	have       []metadata.Signature // of an adopted proposal
	quorums    []quorum
}

// seal signs metadata. If it is to be whole, it makes sure that a client will
// take it.
func seal[T metadata.Roles](ctx context.Context, keys []held, m *metadata.Metadata[T], s sealing, whole bool) ([]byte, error) {
	m.Signatures = slices.Clone(s.have)
	if m.Signatures == nil {
		m.Signatures = []metadata.Signature{}
	}
	for _, q := range s.quorums {
		have := q.among(keys)
		n := len(have)
		for _, sig := range s.have {
			if slices.Contains(q.ids, sig.KeyID) && !slices.ContainsFunc(have, func(k held) bool { return k.id == sig.KeyID }) {
				n++
			}
		}
		if whole && n < q.threshold {
			return nil, fmt.Errorf("sign %s: role %s wants %d of the keys %s, have %d of them",
				s.file, q.role, q.threshold, strings.Join(q.ids, ", "), n)
		}
		for _, k := range have {
			if hasSigned(m.Signatures, k.id) {
				continue
			}
			sig, err := k.sign(ctx, m.Signed)
			if err != nil {
				return nil, fmt.Errorf("sign %s: %w", s.file, err)
			}
			m.Signatures = append(m.Signatures, sig)
		}
	}
	slices.SortFunc(m.Signatures, func(a, b metadata.Signature) int { return cmp.Compare(a.KeyID, b.KeyID) })
	for _, q := range s.quorums {
		if err := q.verify(q.role, m); whole && err != nil {
			return nil, &SignatureError{s.file, q.role, err}
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.file, err)
	}
	_, err = parse[T](s.file, s.role, b, s.max)
	return b, err
}
