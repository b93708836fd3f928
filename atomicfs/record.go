package atomicfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// fewFolders is how many folders are synced one by one; more are synced at
// once where that can be done.
const fewFolders = 64

// record writes the journal, and with that decides for the new tree. It
// reports whether the journal has its name: then only the next Open can tell
// which way the system will remember it, and nothing may be wiped.
func (t *Tree) record(j *journal) (committed bool, err error) {
	b, err := j.encode()
	if err != nil {
		return false, err
	}
	// A journal that could not be read back would leave no way on.
	if _, err := parseJournal(b); err != nil {
		return false, fmt.Errorf("check journal: %w", err)
	}
	if err := t.disk.writeFile(journalNew, b); err != nil {
		return false, err
	}
	if err := t.disk.rename(journalNew, journalFile); err != nil {
		// A file server whose answer got lost has done it nevertheless.
		if there, lookErr := t.disk.exists(journalFile); there || lookErr != nil {
			return true, t.breakOff(err, lookErr)
		}
		return false, err
	}
	if err := t.disk.syncDir(StateDir); err != nil {
		return true, t.breakOff(err)
	}
	return true, nil
}

// breakOff notes that only a new Open can go on.
func (t *Tree) breakOff(causes ...error) error {
	t.broken = ErrNeedsRecovery
	if t.isTwin {
		return errors.Join(causes...) // the tree itself is as it was
	}
	return errors.Join(append([]error{ErrNeedsRecovery}, causes...)...)
}

// forward makes the recorded change visible and ends it. An error is
// ErrNotDurable with the new tree in place, or else means that the old tree is
// back, or ErrNeedsRecovery.
func (t *Tree) forward(j *journal) (*runner, error) {
	x := newRunner(t.disk, j)
	f, err := t.disk.root.Open(StateDir) // before the first step, to hear of every error
	if err != nil {
		return x, t.back(j, x, err)
	}
	defer f.Close()
	if err := t.redoAll(j, x); err != nil {
		return x, t.back(j, x, err)
	}
	if err := x.sync(f, j); err != nil {
		return x, t.notDurable(err)
	}
	if err := t.disk.rename(journalFile, snapshotJournal(j.seq)); err != nil {
		return x, t.back(j, x, err)
	}
	for _, dir := range []string{snapshotDir(j.seq), StateDir} {
		if err := t.disk.syncDir(dir); err != nil {
			return x, t.notDurable(err)
		}
	}
	// The change is made: what cannot be swept now, the next Open sweeps.
	_ = t.disk.removeAll(stagingDir)
	if j.rollback || j.final {
		_ = t.disk.removeAll(snapshotDir(j.seq))
	}
	return x, nil
}

func (t *Tree) redoAll(j *journal, x *runner) error {
	defer t.disk.hold(x.from, x.backup, stagedDirs)()
	steps := plan(j.records)
	for i, s := range steps {
		if err := x.redo(s); err != nil {
			return err
		}
		t.emit("apply", s.r.path, i+1, len(steps))
	}
	return nil
}

func (t *Tree) undoAll(j *journal, x *runner) error {
	defer t.disk.hold(x.from, x.backup, stagedDirs)()
	for _, s := range slices.Backward(plan(j.records)) {
		if err := x.undo(s); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) notDurable(cause error) error {
	t.broken = ErrNeedsRecovery
	if t.isTwin {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrNotDurable, cause)
}

// back turns a recorded change round because of cause, and brings back the old
// tree. The turn is durable before the first step back: from then on a crash
// goes back, not forward.
func (t *Tree) back(j *journal, x *runner, cause error) error {
	if err := t.disk.rename(journalFile, journalUndo); err != nil {
		return t.breakOff(cause, err)
	}
	if err := t.disk.syncDir(StateDir); err != nil {
		return t.breakOff(cause, err)
	}
	if err := t.undo(j, x); err != nil {
		return t.breakOff(cause, err)
	}
	return cause
}

// undo ends a change that was turned round.
func (t *Tree) undo(j *journal, x *runner) error {
	x.dirs.forget()
	f, err := t.disk.root.Open(StateDir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.undoAll(j, x); err != nil {
		return err
	}
	if err := x.sync(f, j); err != nil {
		return err
	}
	if err := t.disk.remove(journalUndo); err != nil {
		return err
	}
	if err := t.disk.syncDir(StateDir); err != nil {
		return err
	}
	_ = t.wipe(j) // the next Open sweeps the rest
	return nil
}

// sync makes the steps of a change durable: the folders in which names
// changed, and the modes. Without it btrfs loses updates.
func (x *runner) sync(f *os.File, j *journal) error {
	names := map[string]bool{x.from: true, x.backup: true, stagedDirs: true}
	for i := range j.records {
		r := &j.records[i]
		names[folderOf(r.path)] = true
		if r.new.is(Dir) || r.old.is(Dir) || r.chmod() {
			names[r.path] = true
		}
	}
	if len(names) > fewFolders && canSyncFS(f) {
		return x.d.syncAll(f)
	}
	for _, name := range sortedKeys(names) {
		fi, err := x.dirs.lstat(name)
		if err == nil && fi != nil && (fi.IsDir() || fi.Mode().IsRegular()) {
			err = x.d.syncDir(name)
		}
		if errors.Is(err, os.ErrPermission) && canSyncFS(f) {
			return x.d.syncAll(f) // what we may not open for reading
		}
		if err != nil && !notThere(err) {
			return err
		}
	}
	return nil
}
