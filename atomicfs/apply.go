package atomicfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// runner redoes and undoes the steps of one change.
//
// A step must find out by itself whether it was done before: it may have run
// in a process that is gone. It never asks whether a path exists, because
// files and folders change places; it asks where the numbered file is: new
// content still in its slot was not put, and an old file with the identity of
// its backup was not replaced.
//
// A rename may be half on the disk: when btrfs replays its log after a power cut,
// a file can have both names. Then it was done, and the name before it goes.
type runner struct {
	d            *disk
	dirs         realDirs
	from, backup string
	kept         map[string]string // moved beside because it came meanwhile
}

func newRunner(d *disk, j *journal) *runner {
	from, backup := j.folders()
	return &runner{d: d, dirs: realDirs{d: d}, from: from, backup: backup, kept: map[string]string{}}
}

func (x *runner) redo(s step) error {
	r := s.r
	switch s.verb {
	case openDir:
		return x.chmodDir(r.path, r.old.Mode|ownerAll)
	case take:
		return x.redoTake(r)
	case closeDir:
		return x.removeDir(r.path)
	case keep:
		return x.redoKeep(r)
	case makeDir:
		return x.redoMakeDir(r)
	case put:
		return x.redoPut(r)
	case setMode:
		return x.chmodFile(r.path, r.new.Mode)
	case sealDir:
		return x.chmodDir(r.path, r.new.Mode)
	}
	panic(fmt.Sprintf("verb %d has no redo", s.verb))
}

func (x *runner) undo(s step) error {
	r := s.r
	switch s.verb {
	case openDir:
		return x.chmodDir(r.path, r.old.Mode)
	case take:
		return x.restore(r)
	case closeDir:
		return x.undoCloseDir(r)
	case keep:
		return x.undoKeep(r)
	case makeDir:
		return x.undoMakeDir(r)
	case put:
		return x.undoPut(r)
	case setMode:
		return x.chmodFile(r.path, r.old.Mode)
	case sealDir:
		n := r.new
		if r.old.is(Dir) {
			n = r.old
		}
		return x.chmodDir(r.path, n.Mode|ownerAll)
	}
	panic(fmt.Sprintf("verb %d has no undo", s.verb))
}

// reach looks at a p where something must go: folders above it that are gone
// are made again, and anything else in their place is an error.
func (x *runner) reach(p string) (fs.FileInfo, error) {
	for {
		other, fi, err := x.dirs.firstOther(p)
		switch {
		case err != nil:
			return nil, err
		case other == "":
			return x.d.lstat(p)
		case fi != nil:
			return nil, &fs.PathError{Op: "reach", Path: p, Err: fmt.Errorf("want a folder at %s, got %v", other, fi.Mode().Type())}
		}
		if err := x.d.mkdirLike(other, impliedMode); err != nil {
			return nil, err
		}
	}
}

// isOld reports whether live, found at r.path, is what r backed up.
func (x *runner) isOld(live fs.FileInfo, r *record) (bool, error) {
	if r.oldSlot == 0 || live.Mode().Type() != r.old.Kind.fileMode() {
		return false, nil
	}
	if r.old.Kind == Symlink {
		link, err := x.d.root.Readlink(r.path)
		return link == r.old.Link, err
	}
	backup, err := x.d.lstat(slotName(x.backup, r.oldSlot))
	return backup != nil && os.SameFile(live, backup), err
}

// isNew reports whether live, found at r.path, can be what r put there.
func (x *runner) isNew(live fs.FileInfo, r *record) (bool, error) {
	switch {
	case live.Mode().Type() != r.new.Kind.fileMode():
		return false, nil
	case r.new.Kind == File:
		return live.Size() == r.new.Size, nil
	case r.new.Kind == Symlink:
		link, err := x.d.root.Readlink(r.path)
		return link == r.new.Link, err
	}
	return true, nil
}

func (x *runner) redoTake(r *record) error {
	live, err := x.dirs.lstat(r.path)
	if live == nil || err != nil {
		return err
	}
	if r.moved {
		return x.moveOld(live, r)
	}
	// Something else at the path came after the backup: it is not ours.
	if old, err := x.isOld(live, r); !old || err != nil {
		return err
	}
	return x.d.remove(r.path)
}

// moveOld makes the backup of r by moving the old file away, once.
func (x *runner) moveOld(live fs.FileInfo, r *record) error {
	backup := slotName(x.backup, r.oldSlot)
	done, err := x.d.lstat(backup)
	switch {
	case err != nil:
		return err
	case sameFile(live, done):
		return x.d.remove(r.path)
	case done != nil || live.Mode().Type() != r.old.Kind.fileMode():
		return nil
	}
	return x.d.rename(r.path, backup)
}

// sameFile reports whether two names, nil for one where nothing is, are of one
// file or symlink.
func sameFile(a, b fs.FileInfo) bool { return a != nil && b != nil && !a.IsDir() && os.SameFile(a, b) }

func (x *runner) redoPut(r *record) error {
	fresh := slotName(x.from, r.newSlot)
	todo, err := x.d.lstat(fresh)
	if todo == nil || err != nil {
		return err
	}
	live, err := x.reach(r.path)
	if err != nil {
		return err
	}
	if sameFile(live, todo) {
		return x.d.remove(fresh)
	}
	if err := x.clear(live, r); err != nil {
		return err
	}
	return x.d.rename(fresh, r.path)
}

// clear makes r.path, where live is, ready for a rename onto it: that is the old
// file, which has a backup, or is moved away.
func (x *runner) clear(live fs.FileInfo, r *record) (err error) {
	if live == nil {
		return nil
	}
	if r.moved {
		if err := x.moveOld(live, r); err != nil {
			return err
		}
		if live, err = x.d.lstat(r.path); live == nil || err != nil {
			return err
		}
	} else if old, err := x.isOld(live, r); old || err != nil {
		return err
	}
	return x.displace(r.path)
}

// displace moves beside what appeared at p after it was checked: whatever it
// is, it is not ours to destroy. State records are ours.
func (x *runner) displace(p string) error {
	if isMeta(p) {
		return nil
	}
	beside, err := freeName(p, func(p string) (bool, error) { return x.d.exists(p) })
	if err != nil {
		return err
	}
	if err := x.d.rename(p, beside); err != nil {
		return err
	}
	x.kept[p] = beside
	x.dirs.forget()
	return nil
}

func (x *runner) redoMakeDir(r *record) error {
	fresh := slotName(stagedDirs, r.newSlot)
	if todo, err := x.d.exists(fresh); !todo || err != nil {
		return err
	}
	live, err := x.reach(r.path)
	if err != nil {
		return err
	}
	if live != nil && live.IsDir() {
		return x.d.remove(fresh)
	}
	if err := x.clear(live, r); err != nil {
		return err
	}
	return x.d.rename(fresh, r.path)
}

func (x *runner) undoMakeDir(r *record) error {
	if todo, err := x.d.exists(slotName(stagedDirs, r.newSlot)); todo || err != nil {
		return err
	}
	return x.removeDir(r.path)
}

// removeDir removes a folder, unless it holds something.
func (x *runner) removeDir(p string) error {
	live, err := x.dirs.lstat(p)
	if err != nil || live == nil || !live.IsDir() {
		return err
	}
	x.dirs.forget()
	if err := x.d.remove(p); err != nil && !notEmpty(err) && !notThere(err) {
		return err
	}
	return nil
}

func (x *runner) undoCloseDir(r *record) error {
	live, err := x.reach(r.path)
	if err != nil {
		return err
	}
	if live != nil && live.IsDir() {
		return x.chmodDir(r.path, r.old.Mode|ownerAll)
	}
	if live != nil {
		if err := x.displace(r.path); err != nil {
			return err
		}
	}
	return x.d.mkdirLike(r.path, r.old.Mode|ownerAll)
}

func (x *runner) redoKeep(r *record) error {
	done, err := x.d.lstat(r.kept)
	if err != nil {
		return err
	}
	if done != nil {
		if live, err := x.dirs.lstat(r.path); err != nil || !sameFile(live, done) {
			return err
		}
		return x.d.remove(r.path)
	}
	// Once the new content is in place, what is at the path is that.
	if r.newSlot != 0 {
		fresh := slotName(x.from, r.newSlot)
		if r.new.is(Dir) {
			fresh = slotName(stagedDirs, r.newSlot)
		}
		if todo, err := x.d.exists(fresh); !todo || err != nil {
			return err
		}
	}
	live, err := x.dirs.lstat(r.path)
	if live == nil || err != nil {
		return err
	}
	x.dirs.forget()
	return x.d.rename(r.path, r.kept)
}

func (x *runner) undoKeep(r *record) error {
	done, err := x.d.lstat(r.kept)
	if done == nil || err != nil {
		return err
	}
	live, err := x.reach(r.path)
	if sameFile(live, done) {
		return x.d.remove(r.kept)
	}
	if live != nil || err != nil {
		return err
	}
	return x.d.rename(r.kept, r.path)
}

// undoPut moves new content back into its slot, which for a rollback is the
// only place that has it, and the old file back to its path.
func (x *runner) undoPut(r *record) error {
	fresh := slotName(x.from, r.newSlot)
	todo, err := x.d.lstat(fresh)
	if err != nil {
		return err
	}
	if r.oldSlot != 0 && r.kept == "" {
		if backed, err := x.d.exists(slotName(x.backup, r.oldSlot)); !backed || err != nil {
			return err
		}
	}
	live, err := x.dirs.lstat(r.path)
	if err != nil {
		return err
	}
	switch {
	case sameFile(live, todo):
		err = x.d.remove(r.path)
	case live != nil && todo == nil:
		err = x.takeBack(live, r, fresh)
	}
	if err != nil {
		return err
	}
	return x.restore(r)
}

func (x *runner) takeBack(live fs.FileInfo, r *record, fresh string) error {
	if old, err := x.isOld(live, r); old || err != nil {
		return err
	}
	if ours, err := x.isNew(live, r); !ours || err != nil {
		return errors.Join(err, x.displace(r.path))
	}
	return x.d.rename(r.path, fresh)
}

// restore moves a backup back to its path.
func (x *runner) restore(r *record) error {
	if r.oldSlot == 0 || r.kept != "" {
		return nil
	}
	backup := slotName(x.backup, r.oldSlot)
	if todo, err := x.d.exists(backup); !todo || err != nil {
		return err
	}
	live, err := x.reach(r.path)
	if err != nil {
		return err
	}
	if live != nil {
		// A rename between two links of one file would do nothing.
		if old, err := x.isOld(live, r); old || err != nil {
			return err
		}
		if err := x.displace(r.path); err != nil {
			return err
		}
	}
	return x.d.rename(backup, r.path)
}

func (x *runner) chmodDir(p string, mode fs.FileMode) error {
	live, err := x.dirs.lstat(p)
	if err != nil || live == nil || !live.IsDir() || sameMode(live.Mode(), mode) {
		return err
	}
	return x.d.chmod(p, mode)
}

func (x *runner) chmodFile(p string, mode fs.FileMode) error {
	live, err := x.dirs.lstat(p)
	if err != nil || live == nil || !live.Mode().IsRegular() || sameMode(live.Mode(), mode) {
		return err
	}
	return x.d.chmod(p, mode)
}

// sameMode compares what the system keeps of permissions.
func sameMode(a, b fs.FileMode) bool { return (a^b)&modeBits == 0 }

func (k Kind) fileMode() fs.FileMode {
	switch k {
	case File:
		return 0
	case Dir:
		return fs.ModeDir
	case Symlink:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}

// freeName returns the first of p.kept, p.kept-2, ... that is not taken.
func freeName(p string, taken func(string) (bool, error)) (string, error) {
	dir, base := path.Split(p)
	for n := 1; n < 1<<16; n++ {
		suffix := ".kept"
		if n > 1 {
			suffix = fmt.Sprintf(".kept-%d", n)
		}
		cut := base[:min(len(base), maxName-len(suffix))]
		for len(cut) < len(base) && !utf8.ValidString(cut) && utf8.ValidString(base) {
			cut = cut[:len(cut)-1]
		}
		name := dir + strings.TrimRight(cut, " .") + suffix
		if used, err := taken(name); !used || err != nil {
			return name, err
		}
	}
	return "", &fs.PathError{Op: "keep", Path: p, Err: errors.New("no free name beside it")}
}
