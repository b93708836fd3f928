package atomicfs

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/windows"
)

const (
	dirsSync     = false
	openNonblock = 0
	modeBits     = 0o200 // all there is: the read-only attribute
)

func notEmpty(err error) bool { return errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) }

// noLinks reports whether err says that a hard link cannot be made here.
func noLinks(err error) bool {
	for _, e := range []error{windows.ERROR_INVALID_FUNCTION, windows.ERROR_NOT_SUPPORTED, windows.ERROR_NOT_SAME_DEVICE, windows.ERROR_TOO_MANY_LINKS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func owner(fs.FileInfo) (uid, gid int) { return 0, 0 }

func hardLinked(fs.FileInfo) bool { return false }

func mayOpen(fs.FileInfo) bool { return true }

// replaceLink puts one symlink in the place of another. A symlink to a folder
// cannot be renamed over, so for a moment there is none; if that is the last
// one, healLink ends it.
func (d *disk) replaceLink(from, to string) error {
	if err := d.remove(to); err != nil {
		return err
	}
	return d.rename(from, to)
}
