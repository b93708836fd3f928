package atomicfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// StateDir is the folder in the root of a tree that holds everything of ours.
const StateDir = ".treegraft"

// MetaDir holds the caller's state records (what is installed), which change
// and roll back together with the tree: name them in a [Change].
const MetaDir = StateDir + "/meta"

// Options of [Open]. The zero value works.
type Options struct {
	// Events is told of progress, one call at a time; nil is fine.
	Events func(Event)
	// Hook is called before each system call that changes something, possibly
	// from several goroutines. An error stands for the call's own. For tests.
	Hook func(step string) error
	// Strategy says how changes become visible. Where the tree does not allow
	// it, they are made in place, and the [Result] says why.
	Strategy Strategy
	// ReadOnly is for looking at a tree that cannot be written to. No lock is
	// taken, so somebody else may change the tree meanwhile, and nothing is
	// changed whatever is asked for: what would, fails with [ErrReadOnly].
	ReadOnly bool
}

// Tree is an install tree, locked for us from [Open] to [Tree.Close]. Its
// methods may not be called at the same time.
type Tree struct {
	disk      *disk
	dir       *os.File // the root, for calls that want a descriptor
	lock      *flock.Flock
	root      string
	events    func(Event)
	eventsMu  sync.Mutex
	sums      sums
	seq       uint64 // of the newest snapshot, valid or not
	stage     *Stage // the open one
	recovered Recovery
	broken    error // why nothing may be done before the next Open
	strategy  Strategy
	readOnly  bool // see Options
	isTwin    bool // nobody sees this tree: see twin
}

// Open locks the tree at root, a folder that exists, and finishes or takes
// back what an earlier process left half done. A lock held by someone else is
// a *[LockedError], at once.
//
// With o.ReadOnly it does neither. A change that was cut short, or that somebody
// is making, then is [ErrReadOnly] and [ErrNeedsRecovery] in one.
func Open(root string, o Options) (*Tree, error) {
	t, err := open(root, o)
	if err != nil {
		return nil, fmt.Errorf("open tree: %w", err)
	}
	return t, nil
}

func open(root string, o Options) (_ *Tree, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if o.ReadOnly {
		o.Hook = func(string) error { return ErrReadOnly }
	} else if o.Strategy == Versioned {
		if err := healLink(root, o.Hook); err != nil {
			return nil, err
		}
	}
	r, err := openRoot(root)
	if err != nil {
		return nil, err
	}
	t := &Tree{disk: &disk{root: r, hook: o.Hook}, root: root, events: o.Events, strategy: o.Strategy, readOnly: o.ReadOnly}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if t.dir, err = r.Open("."); err != nil {
		return nil, err
	}
	if o.ReadOnly {
		return t, t.settled()
	}
	if err := t.disk.ensureDir(StateDir, 0o700); err != nil {
		return nil, err
	}
	if err := t.takeLock(); err != nil {
		return nil, err
	}
	if err := t.disk.ensureDir(MetaDir, 0o700); err != nil {
		return nil, err
	}
	return t, t.recover()
}

// ReadOnly reports whether the tree was opened with [Options.ReadOnly].
func (t *Tree) ReadOnly() bool { return t.readOnly }

// Recovered says what Open found and did.
func (t *Tree) Recovered() Recovery { return t.recovered }

// Close gives the lock back. It changes nothing: a staging that is neither
// committed nor discarded is swept by the next Open.
func (t *Tree) Close() error {
	if t.broken == nil {
		t.broken = errors.New("the tree is closed")
	}
	err := t.disk.root.Close()
	if t.dir != nil {
		err = errors.Join(err, t.dir.Close())
	}
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	return err
}

// StatePath returns the file name for a file of the caller's own in the state
// folder: downloads, caches. Such files are neither rolled back nor swept. The
// names lock, lock.json, journal, journal.*, staging, snapshots, twin and meta
// are taken.
func (t *Tree) StatePath(name string) string {
	return filepath.Join(t.root, StateDir, filepath.FromSlash(path.Clean("/"+name)))
}

func (t *Tree) usable() error { return t.broken }

func (t *Tree) emit(phase, path string, done, total int) {
	if t.events == nil {
		return
	}
	t.eventsMu.Lock()
	defer t.eventsMu.Unlock()
	t.events(Event{Phase: phase, Path: path, Done: done, Total: total})
}
