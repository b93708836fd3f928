package trust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

const (
	maxRootSteps = 256 // new roots in one refresh
	maxTime      = 64  // bytes of the remembered time

	// timeStep is how much the time must move before it is worth a write.
	timeStep = time.Hour
)

// trusted is one pass through the workflow that the package comment describes,
// and afterwards what the pass has found to be good.
//
// The checks of timestamp and snapshot are those of go-tuf's trustedmetadata, with
// two exceptions. Its reference time is left at zero, so that it never finds
// anything expired: expiry is checked here, where file and date are known, and
// where two of the four can be lifted. And its root and targets are replaced, once
// verified, by copies without the keys that do not count, because one key of an
// unknown type would fail all. Targets and products are checked here, with go-tuf's
// signatures: trustedmetadata would read them once more, and they are large.
type trusted struct {
	opt     Options
	dialect dialect
	now     time.Time // fixed for the whole pass
	root    []byte    // the last root as published
	set     trustedmetadata.TrustedMetadata

	targets *targetsMeta // as published; in set it lacks the keys that do not count
}

func newTrusted(opt Options, anchor *rootMeta) *trusted {
	return &trusted{
		opt:     opt,
		dialect: opt.dialect(),
		now:     later(opt.Now(), opt.BuildTime),
		root:    opt.Root,
		set:     trustedmetadata.TrustedMetadata{Root: anchor, Targets: map[string]*targetsMeta{}},
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (t *trusted) refresh(ctx context.Context) error {
	t.replayRoots()
	// The next root and the timestamp are asked for at once, because most often
	// neither is new. Only the asking: they are judged in order.
	ctx, cancel := context.WithCancel(ctx)
	early := t.fetchLater(ctx, timestampFile, maxTimestamp)
	defer func() { cancel(); early() }()

	grown, err := t.fetchRoots(ctx)
	if err != nil {
		return err
	}
	known := t.replayTimestamp()
	t.now = later(t.now, known)
	if err := t.fresh(rootFile(t.set.Root.Signed.Version), t.set.Root.Signed.Expires, false); err != nil {
		return err
	}
	b, err := early()
	if grown { // that timestamp may be older than the new root
		b, err = t.fetch(ctx, timestampFile, maxTimestamp)
	}
	if err != nil {
		return err
	}
	if err := t.updateTimestamp(b); err != nil {
		return err
	}
	if err := t.updateSnapshot(ctx); err != nil {
		return err
	}
	if t.targets, err = t.updateTargets(ctx, metadata.TARGETS, metadata.ROOT); err != nil {
		return err
	}
	t.set.Targets[metadata.TARGETS] = t.dialect.usableTargets(t.targets)
	return t.rememberTime(known)
}

// replayRoots follows the roots that earlier passes have verified.
func (t *trusted) replayRoots() {
	for {
		name := rootName(t.set.Root.Signed.Version + 1)
		b := t.cached(name, maxRoot)
		if b == nil {
			return
		}
		root, err := t.dialect.nextRoot(t.set.Root, b)
		if err != nil {
			t.opt.Warn(fmt.Errorf("cached %s: %w", name, err))
			return
		}
		t.set.Root, t.root = root, b
	}
}

// fetchRoots follows the roots of the repository, and reports whether there were
// any.
func (t *trusted) fetchRoots(ctx context.Context) (grown bool, err error) {
	for range maxRootSteps {
		version := t.set.Root.Signed.Version + 1
		b, err := t.fetch(ctx, rootFile(version), maxRoot)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return grown, nil // object stores answer 403 when they may not say 404
		}
		if err != nil {
			return grown, err
		}
		root, err := t.dialect.nextRoot(t.set.Root, b)
		if err != nil {
			return grown, err
		}
		if err := t.store(rootName(version), b); err != nil {
			return grown, err
		}
		t.set.Root, t.root, grown = root, b, true
	}
	return grown, fmt.Errorf("fetch roots: %d new ones and no end, try again to go on", maxRootSteps)
}

// replayTimestamp loads the cached timestamp, if the keys of the present root
// signed it, and returns the remembered time. That time was no later than the
// expiry of a timestamp when it was written, so anything else is damage.
func (t *trusted) replayTimestamp() (known time.Time) {
	b := t.cached("timestamp.json", maxTimestamp)
	if b == nil {
		return time.Time{}
	}
	if err := t.loadTimestamp(b); err != nil {
		t.opt.Warn(fmt.Errorf("cached timestamp.json: %w", err))
		return time.Time{}
	}
	text := t.cached("time", maxTime)
	if text == nil {
		return time.Time{}
	}
	known, err := time.Parse(time.RFC3339, string(text))
	if err == nil && known.After(t.set.Timestamp.Signed.Expires) {
		err = fmt.Errorf("%s is later than the timestamp that was good then", known.Format(time.RFC3339))
	}
	if err != nil {
		t.opt.Warn(fmt.Errorf("cached time: %w", err))
		return time.Time{}
	}
	return known
}

func (t *trusted) rememberTime(known time.Time) error {
	if t.opt.LiftExpiry || t.opt.liftAll || t.now.Sub(known) < timeStep {
		return nil
	}
	return t.store("time", []byte(t.now.UTC().Format(time.RFC3339)))
}

func (t *trusted) updateTimestamp(b []byte) error {
	have := t.set.Timestamp
	if err := t.loadTimestamp(b); err != nil {
		return err
	}
	if err := t.fresh(timestampFile, t.set.Timestamp.Signed.Expires, t.opt.LiftExpiry); err != nil {
		return err
	}
	if t.set.Timestamp == have { // nothing new
		return nil
	}
	return t.store("timestamp.json", b)
}

// loadTimestamp replaces the timestamp in t by b, unless both are one version:
// then the first stays, but if both name the same snapshot, the one that is good
// for longer. A bundle's timestamp is such a twin of the repository's.
func (t *trusted) loadTimestamp(b []byte) error {
	m, err := parseAs[metadata.TimestampType](t.dialect, timestampFile, metadata.TIMESTAMP, b, maxTimestamp)
	if err != nil {
		return err
	}
	have := t.set.Timestamp
	err = guard(func() error {
		_, err := t.set.UpdateTimestamp(b)
		return err
	})
	var equal *metadata.ErrEqualVersionNumber
	var lower *metadata.ErrBadVersionNumber
	switch {
	case err == nil:
		return nil
	case errors.As(err, &equal):
		if m.Signed.Expires.After(have.Signed.Expires) && sameMeta(have, m) {
			t.set.Timestamp = m
		}
		return nil
	case errors.As(err, &lower) && m.Signed.Version < have.Signed.Version:
		return &RollbackError{timestampFile, have.Signed.Version, m.Signed.Version}
	case errors.As(err, &lower):
		was, is := have.Signed.Meta["snapshot.json"].Version, m.Signed.Meta["snapshot.json"].Version
		return &RollbackError{t.file(is, metadata.SNAPSHOT), was, is}
	}
	return refusal(timestampFile, metadata.TIMESTAMP, err)
}

func sameMeta(a, b *timestampMeta) bool {
	x, y := a.Signed.Meta["snapshot.json"], b.Signed.Meta["snapshot.json"]
	return x.Version == y.Version && x.Length == y.Length && len(x.Hashes) > 0 && bytes.Equal(x.Hashes["sha256"], y.Hashes["sha256"])
}

func (t *trusted) updateSnapshot(ctx context.Context) error {
	want := t.set.Timestamp.Signed.Meta["snapshot.json"]
	file := t.file(want.Version, metadata.SNAPSHOT)
	b := t.cached("snapshot.json", maxSnapshot)
	if b != nil && (len(want.Hashes) == 0 || checkMetaContent(file, b, want) != nil) {
		same, err := t.replaySnapshot(b, want)
		if err != nil {
			return err
		}
		if !same {
			b = nil
		}
	}
	isNew := b == nil
	if isNew {
		var err error
		if b, err = t.fetchListed(ctx, file, want, maxSnapshot); err != nil {
			return err
		}
	}
	if err := t.loadSnapshot(file, b); err != nil {
		return err
	}
	if err := t.fresh(file, t.set.Snapshot.Signed.Expires, t.opt.LiftExpiry); err != nil || !isNew {
		return err
	}
	return t.store("snapshot.json", b)
}

// replaySnapshot loads an earlier snapshot, so that the next one is compared
// with it. go-tuf compares the versions of snapshots only as two timestamps tell
// them, and the earlier timestamp may be lost. It reports whether b is the very
// one that is wanted, where only versions tell.
func (t *trusted) replaySnapshot(b []byte, want *metadata.MetaFiles) (same bool, err error) {
	m, err := parseAs[metadata.SnapshotType](t.dialect, "snapshot.json", metadata.SNAPSHOT, b, maxSnapshot)
	if err == nil {
		err = guard(func() error { _, err := t.set.UpdateSnapshot(b, true); return err })
	}
	if t.set.Snapshot == nil {
		t.opt.Warn(fmt.Errorf("cached snapshot.json: %w", err))
		return false, nil
	}
	if have, next := m.Signed.Version, want.Version; next < have {
		return false, &RollbackError{t.file(next, metadata.SNAPSHOT), have, next}
	}
	return len(want.Hashes) == 0 && m.Signed.Version == want.Version, nil
}

func (t *trusted) loadSnapshot(file string, b []byte) error {
	m, err := parseAs[metadata.SnapshotType](t.dialect, file, metadata.SNAPSHOT, b, maxSnapshot)
	if err != nil {
		return err
	}
	have := t.set.Snapshot
	err = guard(func() error { _, err := t.set.UpdateSnapshot(b, false); return err })
	if err == nil {
		return nil
	}
	// A lower version counts only when the right keys signed it.
	if signature := refusal(file, metadata.SNAPSHOT, err); errors.As(signature, new(*SignatureError)) || have == nil {
		return signature
	}
	for _, name := range slices.Sorted(maps.Keys(have.Signed.Meta)) {
		was, is := have.Signed.Meta[name].Version, int64(0)
		if now := m.Signed.Meta[name]; now != nil {
			is = now.Version
		}
		if is < was {
			return &RollbackError{"metadata/" + name, was, is}
		}
	}
	return refusal(file, metadata.SNAPSHOT, err)
}

// updateTargets makes sure of targets or of a product.
func (t *trusted) updateTargets(ctx context.Context, role, delegator string) (*targetsMeta, error) {
	want := t.set.Snapshot.Signed.Meta[role+".json"]
	if want == nil {
		return nil, &FormatError{"metadata/" + role + ".json", errors.New("not in the snapshot")}
	}
	file, name := t.file(want.Version, role), cacheName(role)
	if b := t.cached(name, maxTargets); b != nil && t.isListed(role, b, want) {
		m, err := t.loadTargets(file, role, delegator, b)
		// Without a digest, what the cache has may be another file of that version.
		if len(want.Hashes) > 0 || !errors.As(err, new(*SignatureError)) {
			return m, err
		}
	}
	b, err := t.fetchListed(ctx, file, want, maxTargets)
	if err != nil {
		return nil, err
	}
	m, err := t.loadTargets(file, role, delegator, b)
	if err != nil {
		return nil, err
	}
	return m, t.store(name, b)
}

func cacheName(role string) string {
	if role == metadata.TARGETS {
		return "targets.json"
	}
	return "product." + url.PathEscape(role) + ".json"
}

// loadTargets makes sure that the delegator vouches for b, which is what the
// snapshot lists as far as length and digest tell.
func (t *trusted) loadTargets(file, role, delegator string, b []byte) (*targetsMeta, error) {
	m, err := parseAs[metadata.TargetsType](t.dialect, file, role, b, maxTargets)
	if err != nil {
		return nil, err
	}
	if err := t.vouches(delegator, role, m); err != nil {
		return nil, refusal(file, role, err)
	}
	if got, want := m.Signed.Version, t.set.Snapshot.Signed.Meta[role+".json"].Version; got != want {
		return nil, &FormatError{file, fmt.Errorf("version %d, want %d", got, want)}
	}
	if err := t.fresh(file, m.Signed.Expires, false); err != nil {
		return nil, err
	}
	t.set.Targets[role] = m
	return m, nil
}

// vouches verifies the signatures of a role by the keys that its delegator names.
func (t *trusted) vouches(delegator, role string, m *targetsMeta) error {
	return guard(func() error {
		if delegator == metadata.ROOT {
			return t.set.Root.VerifyDelegate(role, m)
		}
		return t.set.Targets[delegator].VerifyDelegate(role, m)
	})
}

func (t *trusted) products() (names []string) {
	if d := t.targets.Signed.Delegations; d != nil {
		for _, role := range d.Roles {
			names = append(names, role.Name)
		}
	}
	slices.Sort(names)
	return names
}

// product returns the files of a product, after a look at whether it may sign
// them.
func (t *trusted) product(ctx context.Context, name string) (*targetsMeta, error) {
	if m := t.set.Targets[name]; m != nil && name != metadata.TARGETS {
		return m, nil
	}
	role := delegated(t.targets, name)
	if role == nil {
		return nil, fmt.Errorf("find product %.80q: %w", name, fs.ErrNotExist)
	}
	m, err := t.updateTargets(ctx, name, metadata.TARGETS)
	if err != nil {
		return nil, err
	}
	if err := checkPaths(role, m); err != nil {
		delete(t.set.Targets, name)
		return nil, &FormatError{t.file(m.Signed.Version, name), err}
	}
	return m, nil
}

func checkPaths(role *metadata.DelegatedRole, m *targetsMeta) error {
	var f faults
	for _, name := range slices.Sorted(maps.Keys(m.Signed.Targets)) {
		if ok, err := role.IsDelegatedPath(name); !ok || err != nil {
			f.add("target %.80q is not delegated to product %s", name, role.Name)
		}
	}
	return errors.Join(f...)
}

// fresh reports what has expired. The bound itself is still good.
func (t *trusted) fresh(file string, expires time.Time, lift bool) error {
	if lift || t.opt.liftAll || !t.now.After(expires) {
		return nil
	}
	return &ExpiredError{file, expires, t.now}
}

func (t *trusted) fetch(ctx context.Context, file string, max int64) ([]byte, error) {
	b, err := t.opt.Fetch(ctx, file, max)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > max {
		return nil, &FormatError{file, fmt.Errorf("%d bytes, want at most %d", len(b), max)}
	}
	return b, nil
}

// fetchLater begins to fetch a file; the function it returns waits for it.
func (t *trusted) fetchLater(ctx context.Context, file string, max int64) func() ([]byte, error) {
	var b []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, err = t.fetch(ctx, file, max)
	}()
	return func() ([]byte, error) { <-done; return b, err }
}

// fetchListed fetches a file whose length and digest another one names. Only
// where that one does not, max is the bound.
func (t *trusted) fetchListed(ctx context.Context, file string, want *metadata.MetaFiles, max int64) ([]byte, error) {
	b, err := t.fetch(ctx, file, cmp.Or(want.Length, max))
	if err != nil {
		return nil, err
	}
	return b, checkMetaContent(file, b, want)
}

func checkMetaContent(file string, b []byte, want *metadata.MetaFiles) error {
	t := Target{Length: cmp.Or(want.Length, int64(len(b)))}
	switch sum := want.Hashes["sha256"]; {
	case len(want.Hashes) == 0 && t.Length == int64(len(b)):
		return nil // foreign: only the signature tells
	case sum != nil:
		t.SHA256 = [32]byte(sum)
	default:
		t.sha512 = string(want.Hashes["sha512"])
	}
	return t.check(file, b)
}

func rootName(version int64) string { return fmt.Sprintf("%d.root.json", version) }

func (t *trusted) cached(name string, max int64) []byte {
	b, err := t.opt.Cache.Read(name, max)
	if err != nil || int64(len(b)) > max {
		return nil
	}
	return b
}

func (t *trusted) store(name string, b []byte) error {
	if err := t.opt.Cache.Write(name, b); err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	return nil
}
