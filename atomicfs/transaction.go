package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"
)

// fewFiles is how many files are synced one by one; more are synced at once.
const fewFiles = 16

// transaction carries one commit or rollback from its survey to its end.
//
//	survey ─ prepare ─ seal ─ record ─┬─ redo ─ sync ─ done ─ sweep
//	   any error: wipe, old tree      └─ error: abort, old tree
type transaction struct {
	t       *Tree
	j       *journal
	next    uint32                         // the last slot of new content in use
	fs      *os.File                       // for syncfs; nil if there is no new content
	content func(it *item) (uint32, error) // slot of a file's or symlink's new content
	owners  map[string]fs.FileInfo         // of folders
	bulk    bool                           // too many files to sync one by one
	items   []*item                        // by path; j.records points into them no more once sealed
}

// run makes changes, or nothing.
func (x *transaction) run(ctx context.Context, changes []Change, o CommitOptions) (Result, error) {
	t := x.t
	s, err := t.look(ctx, changes, o.KeepDrift, x.j.rollback)
	if err != nil {
		return Result{}, err
	}
	if len(s.drift) > 0 && !o.KeepDrift {
		return Result{}, &DriftError{s.drift}
	}
	if err := errors.Join(s.findObstacles(), s.blockedBy()); err != nil {
		return Result{}, err
	}
	res := s.result(x.j.id)
	if len(s.items) == 0 && !x.j.rollback {
		return res, t.disk.removeAll(stagingDir)
	}
	if err := x.assign(s); err != nil {
		return Result{}, errors.Join(err, x.wipe())
	}
	err = x.prepare(ctx)
	if err == nil {
		err = x.seal()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Result{}, errors.Join(err, x.wipe())
	}
	if committed, err := t.record(x.j); err != nil {
		if !committed {
			err = errors.Join(err, x.wipe())
		}
		return Result{}, err
	}
	run, err := t.forward(x.j)
	if err != nil && !errors.Is(err, ErrNotDurable) {
		return Result{}, err
	}
	maps.Copy(res.Kept, run.kept)
	return res, err
}

func (s *survey) result(id string) Result {
	res := Result{ID: id, Missing: s.missing, Kept: map[string]string{}}
	for i := range s.changes {
		if it := s.items[s.changes[i].Path]; it != nil && !(it.old.is(Dir) && it.new.is(Dir) && it.old.Mode == it.new.Mode) {
			res.Changed++
		}
	}
	for p, it := range s.items {
		if it.kept != "" {
			res.Kept[p] = it.kept
		}
	}
	return res
}

// assign gives the items their slots, in order of path.
func (x *transaction) assign(s *survey) error {
	var faults []error
	var backups uint32
	for _, p := range slices.Sorted(maps.Keys(s.items)) {
		it := s.items[p]
		var err error
		switch {
		case it.content, x.j.rollback && it.new.is(Symlink):
			it.newSlot, err = x.content(it)
		case it.copied, it.new.is(Symlink), it.new.is(Dir) && !it.old.is(Dir):
			x.next++
			it.newSlot = x.next
		}
		if err != nil {
			faults = append(faults, err)
		}
		if !it.chmod() && (it.old.is(File) || it.old.is(Symlink)) {
			backups++
			it.oldSlot = backups
		}
		x.items = append(x.items, it)
	}
	return errors.Join(faults...)
}

// prepare does everything that can fail and that nobody can see: it completes
// the staged files, stages symlinks and folders, and makes the backups.
func (x *transaction) prepare(ctx context.Context) error {
	if err := x.makeFolders(); err != nil {
		return err
	}
	from, backup := x.j.folders()
	defer x.t.disk.hold(from, backup, stagedDirs)()
	x.owners = map[string]fs.FileInfo{}
	if err := x.finishFiles(ctx, from); err != nil {
		return err
	}
	for _, it := range x.items {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.stageOther(it, from); err != nil {
			return err
		}
		if it.oldSlot != 0 {
			if err := x.backUp(it, slotName(backup, it.oldSlot)); err != nil {
				return err
			}
		}
		x.j.records = append(x.j.records, it.record)
	}
	return nil
}

func (x *transaction) makeFolders() error {
	d := x.t.disk
	if x.j.rollback {
		return x.t.newStaging()
	}
	if err := d.ensureDir(snapshotsDir, 0o700); err != nil {
		return err
	}
	x.t.seq = x.j.seq // even if it fails: a number is never used twice
	if err := d.mkdir(snapshotDir(x.j.seq), 0o700); err != nil {
		return err
	}
	return d.mkdir(snapshotOld(x.j.seq), 0o700)
}

// finishFiles gives new files their owner, mode and attributes, and makes
// them durable unless there are so many that seal does. In a rollback they are
// the old files themselves and want nothing.
func (x *transaction) finishFiles(ctx context.Context, from string) error {
	var work []*item
	for _, it := range x.items {
		if it.copied || it.content && !x.j.rollback {
			work = append(work, it)
		}
	}
	x.bulk = len(work) > fewFiles && x.fs != nil && canSyncFS(x.fs)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(1)
	if len(work) > fewFiles && !x.bulk {
		g.SetLimit(readers) // syncs of different files wait at the same time
	}
	for _, it := range work {
		like, err := x.ownerFor(it)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return x.finishFile(it, slotName(from, it.newSlot), like)
		})
	}
	return g.Wait()
}

func (x *transaction) finishFile(it *item, name string, like fs.FileInfo) error {
	d := x.t.disk
	if it.copied {
		sum, n, err := d.copyFile(it.path, it.info, name)
		if err != nil {
			return err
		}
		if got := (&Node{Kind: File, Size: n, Digest: sum}); !got.same(it.new) {
			return &fs.PathError{Op: "copy", Path: it.path, Err: errChanged}
		}
	}
	f, err := d.openStaged(name)
	if err != nil {
		return err
	}
	defer f.Close()
	// Owner before mode before attributes: chown takes privileges away.
	if err := d.chown(name, like); err != nil {
		return err
	}
	if err := d.chmod(name, it.new.Mode); err != nil {
		return err
	}
	if it.old.is(File) {
		if old, err := d.open(it.path, it.info); err == nil { // unreadable: nothing to copy
			copyAttributes(old, f, false)
			old.Close()
		}
	}
	if x.bulk {
		return nil
	}
	return d.syncFile(f, name)
}

// ownerFor returns whose owner a new entry gets: the file's that it replaces,
// else that of the nearest folder.
func (x *transaction) ownerFor(it *item) (fs.FileInfo, error) {
	if it.old != nil && it.info != nil {
		return it.info, nil
	}
	dirs := realDirs{d: x.t.disk}
	for dir := folderOf(it.path); ; dir = path.Dir(dir) {
		fi, ok := x.owners[dir]
		if !ok {
			var err error
			if fi, err = dirs.lstat(dir); err != nil {
				return nil, err
			}
			x.owners[dir] = fi
		}
		if fi != nil && fi.IsDir() {
			return fi, nil
		}
	}
}

// stageOther stages a symlink or a folder.
func (x *transaction) stageOther(it *item, from string) error {
	if it.newSlot == 0 {
		return nil
	}
	var name string
	var err error
	switch {
	case it.new.is(Symlink) && !x.j.rollback:
		name = slotName(from, it.newSlot)
		err = x.t.disk.symlink(it.new.Link, name)
	case it.new.is(Dir):
		name = slotName(stagedDirs, it.newSlot)
		err = x.t.disk.mkdir(name, it.new.Mode|ownerAll)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	like, err := x.ownerFor(it)
	if err != nil {
		return err
	}
	return x.t.disk.chown(name, like)
}

// backUp gives the old file or symlink a second name. Its path keeps it until
// the redo, and then loses it in one step.
func (x *transaction) backUp(it *item, name string) error {
	d := x.t.disk
	if it.old.Kind == Symlink {
		if err := d.symlink(it.old.Link, name); err != nil {
			return err
		}
		return d.chown(name, it.info)
	}
	if it.kept != "" {
		// The original goes to the user, who may edit it in place.
		sum, n, err := d.copyFile(it.path, it.info, name)
		if err != nil {
			return err
		}
		it.old = &Node{Kind: File, Mode: it.old.Mode, Size: n, Digest: sum}
		return errors.Join(d.chown(name, it.info), d.chmod(name, it.old.Mode))
	}
	err := d.link(it.path, name)
	if noLinks(err) {
		it.moved, err, name = true, nil, it.path
	}
	if err != nil {
		return err
	}
	// What was hashed must be what is kept.
	fi, err := d.lstat(name)
	if err != nil || fi == nil || !os.SameFile(fi, it.info) || fi.Size() != it.info.Size() || !fi.ModTime().Equal(it.info.ModTime()) {
		return errors.Join(err, &fs.PathError{Op: "back up", Path: it.path, Err: errChanged})
	}
	return nil
}

// seal makes everything durable that prepare made. A sync that fails is not
// tried again, because the second one may succeed with the data lost.
func (x *transaction) seal() error {
	if x.bulk {
		return x.t.disk.syncAll(x.fs)
	}
	for _, dir := range []string{
		stagedFiles, stagedDirs, stagingOld, stagingDir,
		snapshotOld(x.j.seq), snapshotDir(x.j.seq), snapshotsDir, StateDir, ".",
	} {
		if err := x.t.disk.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// wipe removes what prepare made.
func (x *transaction) wipe() error { return x.t.wipe(x.j) }

func (t *Tree) wipe(j *journal) error {
	var err error
	if !j.rollback {
		err = t.disk.removeAll(snapshotDir(j.seq))
	}
	if there, _ := t.disk.exists(journalNew); there { // what a full disk left of it
		err = errors.Join(err, t.disk.remove(journalNew))
	}
	if err = errors.Join(err, t.disk.removeAll(stagingDir)); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
