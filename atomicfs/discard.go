package atomicfs

import (
	"io/fs"
	"os"
	"path"
	"strings"
)

// clearAway removes what a twin left under a name that is ours: a tree, a
// symlink, or folders that are empty. Anything else is somebody's, and stays.
func (d *disk) clearAway(name string) error {
	fi, err := d.lstat(name)
	switch {
	case err != nil || fi == nil:
		return err
	case fi.Mode().Type() == fs.ModeSymlink && strings.HasPrefix(path.Base(name), "."):
		return d.remove(name)
	case !fi.IsDir():
		return nil
	}
	if err := d.discard(name); err != nil {
		return err
	}
	for _, dir := range []string{path.Join(name, StateDir), name} {
		if err := d.remove(dir); err != nil && !notEmpty(err) && !notThere(err) {
			return err
		}
	}
	return nil
}

// discard removes a tree that is marked as a twin, its mark last. It does
// nothing to any other.
func (d *disk) discard(name string) error {
	mark := path.Join(name, twinFile)
	if marked, err := d.exists(mark); !marked || err != nil {
		return err
	}
	for _, dir := range []string{name, path.Join(name, StateDir)} {
		entries, err := d.readDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			if p == mark || p == path.Join(name, StateDir) {
				continue
			}
			if err := d.removeTree(p, e); err != nil {
				return err
			}
		}
	}
	for _, p := range []string{mark, path.Join(name, StateDir), name} {
		if err := d.remove(p); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes p and what is in it, folders that forbid it included.
func (d *disk) removeTree(p string, e fs.DirEntry) error {
	if e.IsDir() && os.Geteuid() != 0 {
		if err := d.openTree(p); err != nil {
			return err
		}
	}
	return d.removeAll(p)
}

// openTree lends us access to all folders from p on.
func (d *disk) openTree(p string) error {
	fi, err := d.lstat(p)
	if err != nil || fi == nil {
		return err
	}
	if fi.Mode()&ownerAll != ownerAll {
		if err := d.chmod(p, fi.Mode().Perm()|ownerAll); err != nil {
			return err
		}
	}
	entries, err := d.readDir(p)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := d.openTree(path.Join(p, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyDirAttributes gives a new folder owner, attributes and mode of another.
func (d *disk) copyDirAttributes(from string, fi fs.FileInfo, to string) error {
	if err := d.chown(to, fi); err != nil {
		return err
	}
	if old, err := d.root.Open(from); err == nil { // unreadable: nothing to copy
		defer old.Close()
		if f, err := d.root.Open(to); err == nil {
			copyAttributes(old, f, true)
			f.Close()
		}
	}
	return d.chmod(to, fi.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
}
