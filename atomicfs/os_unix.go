//go:build unix

package atomicfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	dirsSync     = true
	openNonblock = syscall.O_NONBLOCK // a pipe put in place of a file must not make us wait
	modeBits     = fs.ModePerm        // permission bits that the system keeps
)

func notEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}

// noLinks reports whether err says that a hard link cannot be made here.
func noLinks(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.EXDEV, syscall.EMLINK, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// owner returns the user and group of an entry.
func owner(fi fs.FileInfo) (uid, gid int) {
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

// hardLinked reports whether a file has other names.
func hardLinked(fi fs.FileInfo) bool { return fi.Sys().(*syscall.Stat_t).Nlink > 1 }

// mayOpen reports whether we may give ourselves access to an entry.
func mayOpen(fi fs.FileInfo) bool {
	uid, _ := owner(fi)
	return os.Geteuid() == 0 || os.Geteuid() == uid
}

// replaceLink puts one symlink in the place of another.
func (d *disk) replaceLink(from, to string) error { return d.rename(from, to) }
