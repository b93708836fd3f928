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

// Commit signs what has changed, renews what has less than half of its lifetime
// left (if the keys are at hand), and returns the new files in the order in which
// they must be published. The timestamp is always among them, and last. The root
// comes right before it: a client that meets a new root must soon meet a timestamp
// that the new keys have signed.
func (e *Editor) Commit(ctx context.Context) ([]File, error) {
	c := &commit{Editor: e, now: e.now().UTC().Truncate(time.Second), next: e.edition}
	root, err := c.signRoot(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{c.signProducts, c.signTargets, c.signSnapshot} {
		if err := step(ctx); err != nil {
			return nil, err
		}
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
	return c.files, nil
}

func (c *commit) signRoot(ctx context.Context) ([]byte, error) {
	quorums := []quorum{rootQuorum(ours.usableRoot(c.root), metadata.ROOT)}
	if c.before != nil {
		quorums = append(quorums, rootQuorum(c.before, metadata.ROOT))
	}
	if !c.due(metadata.ROOT, c.root.Signed.Expires, c.life.Root, quorums...) {
		return nil, nil
	}
	m := *c.root
	m.Signed.Version++
	m.Signed.Expires = c.now.Add(c.life.Root)
	c.next.root = &m
	return seal(ctx, c.keys, &m, rootFile(m.Signed.Version), maxRoot, quorums...)
}

func (c *commit) signProducts(ctx context.Context) error {
	c.next.snapshot = copySnapshot(c.snapshot)
	c.next.products = maps.Clone(c.products)
	by := ours.usableTargets(c.targets)
	for _, name := range c.Products() {
		m := *c.products[name]
		q := productQuorum(by, name)
		if !c.due(name, m.Signed.Expires, c.life.Targets, q) {
			continue
		}
		m.Signed.Version++
		m.Signed.Expires = c.now.Add(c.life.Targets)
		c.next.products[name] = &m
		b, err := seal(ctx, c.keys, &m, metaFile(m.Signed.Version, name), maxTargets, q)
		if err != nil {
			return err
		}
		c.list(name, m.Signed.Version, b)
	}
	return nil
}

func (c *commit) signTargets(ctx context.Context) error {
	q := rootQuorum(ours.usableRoot(c.next.root), metadata.TARGETS)
	m := *c.targets
	if !c.due(metadata.TARGETS, m.Signed.Expires, c.life.Targets, q) {
		return nil
	}
	m.Signed.Version++
	m.Signed.Expires = c.now.Add(c.life.Targets)
	c.next.targets = &m
	b, err := seal(ctx, c.keys, &m, metaFile(m.Signed.Version, metadata.TARGETS), maxTargets, q)
	if err != nil {
		return err
	}
	c.list(metadata.TARGETS, m.Signed.Version, b)
	return nil
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
	b, err := seal(ctx, c.keys, m, file, maxSnapshot, q)
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
	b, err := seal(ctx, c.keys, &m, timestampFile, maxTimestamp, rootQuorum(ours.usableRoot(c.next.root), metadata.TIMESTAMP))
	if err != nil {
		return err
	}
	c.files = append(c.files, File{timestampFile, b})
	return nil
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

// seal signs metadata and makes sure that a client will take it.
func seal[T metadata.Roles](ctx context.Context, keys []held, m *metadata.Metadata[T], file string, max int, quorums ...quorum) ([]byte, error) {
	signers := map[string]held{}
	for _, q := range quorums {
		have := q.among(keys)
		if len(have) < q.threshold {
			return nil, fmt.Errorf("sign %s: role %s wants %d of the keys %s, have %d of them",
				file, q.role, q.threshold, strings.Join(q.ids, ", "), len(have))
		}
		for _, k := range have {
			signers[k.id] = k
		}
	}
	m.Signatures = nil
	for _, k := range slices.SortedFunc(maps.Values(signers), func(a, b held) int { return cmp.Compare(a.id, b.id) }) {
		s, err := k.sign(ctx, m.Signed)
		if err != nil {
			return nil, fmt.Errorf("sign %s: %w", file, err)
		}
		m.Signatures = append(m.Signatures, s)
	}
	for _, q := range quorums {
		if err := q.verify(q.role, m); err != nil {
			return nil, &SignatureError{file, q.role, err}
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", file, err)
	}
	_, err = parse[T](file, quorums[0].role, b, max)
	return b, err
}
