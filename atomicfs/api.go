package atomicfs

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

var errTODO = errors.New("not written yet")

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
}

// Tree is an install tree, locked for us from [Open] to [Tree.Close].
// Its methods may not be called at the same time, except those of [StagedFile].
type Tree struct{}

// Recovery says what [Open] had to do.
type Recovery struct {
	ID       string   // of the change that was cut short after its commit; "" if none
	Rollback bool     // that change was a rollback
	Forward  bool     // it was finished
	Back     bool     // it could not be finished, and was taken back
	Swept    []string // leftovers removed from the state folder
	Kept     map[string]string
}

// Open locks the tree at root, a folder that exists, and finishes or takes
// back what an earlier process left half done. A lock held by someone else is
// a *[LockedError], at once.
func Open(root string, o Options) (*Tree, error) { return nil, errTODO }

// Recovered says what Open found and did.
func (t *Tree) Recovered() Recovery { return Recovery{} }

// Close gives the lock back. It changes nothing.
func (t *Tree) Close() error { return nil }

// StatePath returns the file name for a file of the caller's own: downloads,
// caches. Such files are neither changed nor swept here, whatever their name.
func (t *Tree) StatePath(name string) string { return "" }

// Drift compares every Old with the tree and returns what is in the way of
// changes: modified files, other kinds, unmanaged things where a New must go.
// What it hashed is remembered, so that [Stage.Commit] does not hash again.
func (t *Tree) Drift(ctx context.Context, changes []Change) ([]Drift, error) { return nil, errTODO }

// Preflight looks for whatever would stop changes from being made, given that
// extra bytes beyond the new files (downloads) will be needed too. All
// obstacles are in the *[PreflightError].
func (t *Tree) Preflight(ctx context.Context, changes []Change, extra int64) error { return errTODO }

// Stage starts an empty staging for the change named id (a release, say), and
// sweeps what an earlier one left.
func (t *Tree) Stage(id string) (*Stage, error) { return nil, errTODO }

// Stage collects the new files of one change.
type Stage struct{}

// Create starts the new file for path. Write its content, then call
// [StagedFile.Commit]. Files may be created and written from several goroutines.
func (s *Stage) Create(path string, n Node) (*StagedFile, error) { return nil, errTODO }

// Discard removes the staging. After [Stage.Commit] it does nothing, so
// deferring it is always right.
func (s *Stage) Discard() error { return nil }

// StagedFile is a new file being written to the staging.
type StagedFile struct{}

// Write adds content. Writing more than the declared size fails.
func (f *StagedFile) Write(p []byte) (int, error) { return 0, errTODO }

// Commit ends the file, and fails unless size and digest are as declared.
func (f *StagedFile) Commit() error { return errTODO }

// Cleanup drops the file. After Commit it does nothing.
func (f *StagedFile) Cleanup() error { return nil }

// CommitOptions of [Stage.Commit] and [Tree.Rollback]. The zero value works.
type CommitOptions struct {
	// KeepDrift goes on where drift is in the way: what is there stays beside,
	// as NAME.kept (NAME.kept-2, ...), unmanaged from then on.
	KeepDrift bool
}

// Result of a commit or rollback.
type Result struct {
	ID      string
	Changed int               // entries made, replaced, removed or chmodded
	Missing []string          // managed entries that were not there; no obstacle
	Kept    map[string]string // drift kept beside: path → its new path
}

// Commit makes changes. Every New file whose content is not there already
// must have been staged. After the commit record is durable, ctx is not
// looked at any more. A *[DriftError] or *[PreflightError] leaves the staging
// as it is; any other error ends it.
func (s *Stage) Commit(ctx context.Context, changes []Change, o CommitOptions) (Result, error) {
	return Result{}, errTODO
}

// Rollback brings back what the last snapshot holds.
func (t *Tree) Rollback(ctx context.Context, o CommitOptions) (Result, error) {
	return Result{}, errTODO
}

// Snapshot describes the replaced files of one commit.
type Snapshot struct {
	Seq     uint64
	ID      string    // of the change it takes back
	Time    time.Time // of the commit
	Changes int
	Bytes   int64 // of replaced files
}

// Snapshots lists the snapshots, oldest first.
func (t *Tree) Snapshots() ([]Snapshot, error) { return nil, errTODO }

// DropSnapshots removes all but the newest keep snapshots.
func (t *Tree) DropSnapshots(keep int) error { return errTODO }

// WriteFile replaces the file name by data, durably and in one step. The
// folder must exist.
func WriteFile(name string, data []byte, perm fs.FileMode) error { return errTODO }
