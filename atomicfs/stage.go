package atomicfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"sync"
	"time"
)

// allocateFrom is the size from which space is reserved before writing. Below
// it the file system's own delayed allocation does as well, and costs less.
const allocateFrom = 1 << 20

// Stage collects the new files of one change.
type Stage struct {
	t      *Tree
	id     string
	fs     *os.File // opened before the first write: syncfs tells of errors since
	mu     sync.Mutex
	slots  map[string]uint32
	nodes  map[string]Node
	next   uint32
	closed bool
}

// Stage starts an empty staging for the change named id (a release, say), and
// sweeps what an earlier one left.
func (t *Tree) Stage(id string) (*Stage, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	if len(id) > maxID {
		return nil, fmt.Errorf("stage %.80q: want an id of at most %d bytes, got %d", id, maxID, len(id))
	}
	if t.stage != nil {
		t.stage.close()
	}
	if err := t.newStaging(); err != nil {
		return nil, fmt.Errorf("stage %q: %w", id, errors.Join(err, t.disk.removeAll(stagingDir)))
	}
	f, err := t.disk.root.Open(StateDir)
	if err != nil {
		return nil, fmt.Errorf("stage %q: %w", id, err)
	}
	t.stage = &Stage{t: t, id: id, fs: f, slots: map[string]uint32{}, nodes: map[string]Node{}}
	return t.stage, nil
}

// newStaging makes the folders of an empty staging.
func (t *Tree) newStaging() error {
	if err := t.disk.removeAll(stagingDir); err != nil {
		return err
	}
	for _, dir := range []string{stagingDir, stagedFiles, stagedDirs, stagingOld} {
		if err := t.disk.mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// Create starts the new file for path. Write its content, then call
// [StagedFile.Commit]. Files may be created and written from several
// goroutines, each file from one. A path created again counts the last time.
func (s *Stage) Create(path string, n Node) (*StagedFile, error) {
	err := checkPath(path)
	if err == nil {
		err = checkNode(&n)
	}
	if err == nil && n.Kind != File {
		err = fmt.Errorf("want a file, got a %v", n.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", path, err)
	}
	s.mu.Lock()
	s.next++
	slot, closed := s.next, s.closed
	s.mu.Unlock()
	if closed {
		return nil, fmt.Errorf("stage %s: %w", path, errStageClosed)
	}
	f := &StagedFile{s: s, path: path, node: n, slot: slot, name: slotName(stagedFiles, slot), hash: newHash()}
	if f.file, err = s.t.disk.create(f.name); err != nil {
		return nil, fmt.Errorf("stage %s: %w", path, err)
	}
	if n.Size >= allocateFrom {
		if err := s.allocate(f); err != nil {
			return nil, errors.Join(fmt.Errorf("stage %s: %w", path, err), f.Cleanup())
		}
	}
	return f, nil
}

// Open opens a new file that was committed, for reading.
func (s *Stage) Open(path string) (*os.File, error) {
	s.mu.Lock()
	slot, ok := s.slots[path]
	closed := s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("open staged %s: %w", path, errStageClosed)
	case !ok:
		return nil, fmt.Errorf("open staged %s: %w", path, fs.ErrNotExist)
	}
	f, err := s.t.disk.openMade(slotName(stagedFiles, slot))
	if err != nil {
		return nil, fmt.Errorf("open staged %s: %w", path, err)
	}
	return f, nil
}

func (s *Stage) allocate(f *StagedFile) error {
	if run, err := s.t.disk.step("allocate", f.name); !run {
		return err
	}
	return allocate(f.file, f.node.Size)
}

var errStageClosed = errors.New("the staging is closed")

// Discard removes the staging. After [Stage.Commit] it does nothing, so
// deferring it is always right.
func (s *Stage) Discard() error {
	if !s.close() {
		return nil
	}
	return s.t.disk.removeAll(stagingDir)
}

// close reports whether s was open.
func (s *Stage) close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.fs.Close()
	s.t.stage = nil
	return true
}

// CommitOptions of [Stage.Commit] and [Tree.Rollback]. The zero value works.
type CommitOptions struct {
	// KeepDrift goes on where drift is in the way: what is there stays beside,
	// as NAME.kept (NAME.kept-2, ...), unmanaged from then on.
	KeepDrift bool
	// NoSnapshot leaves no way back from this commit, and the one from the
	// commit before as it is: for repairs, which bring back what was there.
	// Rollback does not look at it.
	NoSnapshot bool
	// Version names the new folder of the strategy [Versioned]. The default is
	// the name of the change; a name that is taken gets a number.
	Version string
	// Snapshot is the Seq of what Rollback takes back; 0 means the newest. One
	// that is not the newest can be taken back if no later commit that still
	// stands has changed the same paths: otherwise that is drift.
	Snapshot uint64
}

// Result of a commit or rollback.
type Result struct {
	ID       string
	Changed  int               // entries made, replaced, removed or chmodded
	Missing  []string          // managed entries that were not there; no obstacle
	Kept     map[string]string // drift kept beside: path → its new path
	Strategy Strategy          // that was used
	Fallback error             // why it is not the one that was asked for; nil if it is
}

// Commit makes changes. Every New file whose content is not there already
// must have been staged. After the commit record is durable, ctx is not
// looked at any more. A *[DriftError] or *[PreflightError] leaves the staging
// as it is; any other outcome ends it.
func (s *Stage) Commit(ctx context.Context, changes []Change, o CommitOptions) (Result, error) {
	t := s.t
	if err := t.usable(); err != nil {
		return Result{}, fmt.Errorf("commit %q: %w", s.id, err)
	}
	if s.closed {
		return Result{}, fmt.Errorf("commit %q: %w", s.id, errStageClosed)
	}
	res, err := t.change(ctx, cmp.Or(o.Version, s.id), func(t *Tree) (Result, error) { return s.commit(ctx, t, changes, o) })
	var drift *DriftError
	var obstacles *PreflightError
	if err != nil {
		err = fmt.Errorf("commit %q: %w", s.id, err)
		if errors.As(err, &drift) || errors.As(err, &obstacles) {
			return res, err
		}
	}
	s.close()
	return res, err
}

// commit makes changes in the tree t, which may be the stage's own or its twin.
func (s *Stage) commit(ctx context.Context, t *Tree, changes []Change, o CommitOptions) (Result, error) {
	x := &transaction{
		t:    t,
		j:    &journal{id: s.id, final: o.NoSnapshot, seq: t.seq + 1, time: time.Unix(time.Now().Unix(), 0)},
		next: s.next,
		fs:   s.fs,
		content: func(it *item) (uint32, error) {
			slot := s.slots[it.path]
			if slot == 0 || !it.new.same(ptr(s.nodes[it.path])) {
				return 0, &fs.PathError{Op: "find staged content of", Path: it.path, Err: fs.ErrNotExist}
			}
			return slot, nil
		},
	}
	return x.run(ctx, changes, o)
}

func ptr[T any](v T) *T { return &v }

// StagedFile is a new file being written to the staging.
type StagedFile struct {
	s    *Stage
	file *os.File // nil when committed or cleaned up
	path string
	name string
	node Node
	slot uint32
	hash hash.Hash
	n    int64
	err  error // sticky
}

// Write adds content. Writing more than the declared size fails, before it is
// written.
func (f *StagedFile) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.file == nil {
		return 0, fmt.Errorf("stage %s: %w", f.path, fs.ErrClosed)
	}
	if int64(len(p)) > f.node.Size-f.n {
		got := Node{Kind: File, Size: f.n + int64(len(p))}
		f.err = &ContentError{Path: f.path, Want: f.node, Got: got}
		return 0, f.err
	}
	n, err := f.s.t.disk.write(f.file, f.name, p)
	f.hash.Write(p[:n])
	f.n += int64(n)
	if err != nil {
		f.err = fmt.Errorf("stage %s: %w", f.path, err)
	}
	return n, f.err
}

// Commit ends the file. It is a *[ContentError] unless size and digest are as
// declared.
func (f *StagedFile) Commit() error {
	if f.err != nil {
		return f.err
	}
	if f.file == nil {
		return fmt.Errorf("stage %s: %w", f.path, fs.ErrClosed)
	}
	got := Node{Kind: File, Mode: f.node.Mode, Size: f.n}
	f.hash.Sum(got.Digest[:0])
	if !got.same(&f.node) {
		f.err = &ContentError{Path: f.path, Want: f.node, Got: got}
		return f.err
	}
	if err := f.file.Close(); err != nil {
		f.err = fmt.Errorf("stage %s: %w", f.path, err)
		return f.err
	}
	f.file = nil
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.closed {
		return fmt.Errorf("stage %s: %w", f.path, errStageClosed)
	}
	f.s.slots[f.path], f.s.nodes[f.path] = f.slot, f.node
	return nil
}

// Cleanup drops the file. After Commit it does nothing, so deferring it is
// always right.
func (f *StagedFile) Cleanup() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return errors.Join(err, f.s.t.disk.remove(f.name))
}
