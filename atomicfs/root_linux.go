package atomicfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootDir is an open folder. Names given to its methods are slash-separated
// paths below it, as checkPath accepts them, or ".". The kernel sees to it,
// openat2(2) in one step, that no name is followed out of the folder or
// through a symlink, and that nothing is changed across a mount point, whatever
// is swapped for whatever meanwhile. Looking and reading do cross mounts.
type rootDir struct {
	fd   int
	walk bool // the kernel has no openat2 (before 5.6), or a sandbox forbids it
}

const (
	resolveLook   = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS
	resolveChange = resolveLook | unix.RESOLVE_NO_XDEV
)

func openRoot(name string) (*rootDir, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	r := &rootDir{fd: fd}
	probe, err := r.openBelow(".", unix.O_PATH, 0, resolveChange)
	if err != nil {
		r.walk = true
		return r, nil
	}
	return r, unix.Close(probe)
}

func (r *rootDir) Close() error {
	if r.fd < 0 {
		return nil
	}
	fd := r.fd
	r.fd = -1
	return unix.Close(fd)
}

// openBelow opens name. A symlink at its end is not followed either.
func (r *rootDir) openBelow(name string, flags int, perm fs.FileMode, resolve uint64) (int, error) {
	if r.walk {
		return r.walkBelow(name, flags, perm, resolve)
	}
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_LARGEFILE), Mode: uint64(perm), Resolve: resolve}
	if flags&unix.O_DIRECTORY == 0 { // else a symlink would be ENOTDIR, which reads as "nothing there"
		how.Flags |= unix.O_NOFOLLOW
	}
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Openat2(r.fd, name, how)
		return err
	})
	return fd, err
}

// walkBelow is openBelow, one name after the other. Where a name is a mount
// point of the same file system, only statx knows it, from Linux 5.8 on.
func (r *rootDir) walkBelow(name string, flags int, perm fs.FileMode, resolve uint64) (int, error) {
	at, names := r.fd, strings.Split(name, "/")
	for i, name := range names {
		f, p := unix.O_PATH|unix.O_DIRECTORY, fs.FileMode(0)
		if i == len(names)-1 {
			f, p = flags, perm
		}
		var fd int
		err := again(func() (err error) {
			fd, err = unix.Openat(at, name, f|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(p))
			return err
		})
		if err == unix.ENOTDIR && isSymlink(at, name) {
			err = unix.ELOOP
		}
		if at != r.fd {
			_ = unix.Close(at)
		}
		if err == nil && resolve&unix.RESOLVE_NO_XDEV != 0 && name != "." {
			if err = noMount(fd); err != nil {
				_ = unix.Close(fd)
			}
		}
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

func isSymlink(dir int, name string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// noMount is EXDEV if fd is where something is mounted.
func noMount(fd int) error {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, 0, &st); err != nil && err != unix.ENOSYS {
		return err
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return unix.EXDEV
	}
	return nil
}

// again repeats a call that a signal interrupted, or a rename elsewhere in the
// system: openat2(2) is not sure then, and says EAGAIN.
func again(call func() error) error {
	for tries := 0; ; {
		err := call()
		if err == unix.EAGAIN && tries < 64 {
			tries++
		} else if err != unix.EINTR {
			return err
		}
	}
}

// change runs call on the folder that holds name.
func (r *rootDir) change(op, name string, call func(dir int, base string) error) error {
	if err := r.in(name, func(dir int, base string) error {
		return again(func() error { return call(dir, base) })
	}); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (r *rootDir) in(name string, call func(dir int, base string) error) error {
	dir, base := path.Split(name)
	if dir == "" {
		return call(r.fd, base)
	}
	dir = strings.TrimSuffix(dir, "/")
	fd, err := r.openBelow(dir, unix.O_PATH|unix.O_DIRECTORY, 0, resolveChange)
	if err != nil {
		return above(err)
	}
	defer unix.Close(fd)
	return call(fd, base)
}

// above names what is wrong with a folder that was not entered.
func above(err error) error {
	switch err {
	case unix.EXDEV:
		return errMount
	case unix.ELOOP:
		return fmt.Errorf("a folder above it is a symlink: %w", err)
	}
	return err
}

// OpenRoot opens the folder name as a root of its own.
func (r *rootDir) OpenRoot(name string) (*rootDir, error) {
	fd, err := r.openBelow(name, unix.O_RDONLY|unix.O_DIRECTORY, 0, resolveChange)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: above(err)}
	}
	return &rootDir{fd: fd, walk: r.walk}, nil
}

// Open opens a file or folder for reading.
func (r *rootDir) Open(name string) (*os.File, error) { return r.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile opens a file.
func (r *rootDir) OpenFile(name string, flags int, perm fs.FileMode) (*os.File, error) {
	resolve := uint64(resolveLook)
	if flags&(os.O_WRONLY|os.O_RDWR|os.O_CREATE) != 0 {
		resolve = resolveChange
	}
	fd, err := r.openBelow(name, flags, perm, resolve)
	if err != nil {
		if err == unix.EXDEV {
			err = errMount
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Lstat describes name.
func (r *rootDir) Lstat(name string) (fs.FileInfo, error) {
	fd, err := r.openBelow(name, unix.O_PATH, 0, resolveLook)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return f.Stat()
}

// Readlink returns what a symlink points to.
func (r *rootDir) Readlink(name string) (string, error) {
	buf := make([]byte, maxPath+1)
	fd, err := r.openBelow(name, unix.O_PATH, 0, resolveLook)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	defer unix.Close(fd)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// Rename moves an entry, and replaces what is at its new name.
func (r *rootDir) Rename(from, to string) error {
	return r.pair("rename", from, to, unix.Renameat)
}

// Link gives a file a second name.
func (r *rootDir) Link(from, to string) error {
	return r.pair("link", from, to, func(fromDir int, fromBase string, toDir int, toBase string) error {
		return unix.Linkat(fromDir, fromBase, toDir, toBase, 0)
	})
}

// exchange lets two entries below r change places.
func exchange(r *rootDir, a, b string) error {
	return r.pair("exchange", a, b, func(aDir int, aBase string, bDir int, bBase string) error {
		return unix.Renameat2(aDir, aBase, bDir, bBase, unix.RENAME_EXCHANGE)
	})
}

func (r *rootDir) pair(op, from, to string, call func(fromDir int, fromBase string, toDir int, toBase string) error) error {
	err := r.in(from, func(fromDir int, fromBase string) error {
		return r.in(to, func(toDir int, toBase string) error {
			return again(func() error { return call(fromDir, fromBase, toDir, toBase) })
		})
	})
	if err != nil {
		return &os.LinkError{Op: op, Old: from, New: to, Err: err}
	}
	return nil
}

// Symlink makes a symlink.
func (r *rootDir) Symlink(target, name string) error {
	return r.change("symlink", name, func(dir int, base string) error { return unix.Symlinkat(target, dir, base) })
}

// Mkdir makes a folder.
func (r *rootDir) Mkdir(name string, perm fs.FileMode) error {
	return r.change("mkdir", name, func(dir int, base string) error { return unix.Mkdirat(dir, base, uint32(perm)) })
}

// Lchown changes the owner of an entry.
func (r *rootDir) Lchown(name string, uid, gid int) error {
	return r.change("chown", name, func(dir int, base string) error {
		return unix.Fchownat(dir, base, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Chmod changes the permissions of a file or folder.
func (r *rootDir) Chmod(name string, perm fs.FileMode) error {
	return r.change("chmod", name, func(dir int, base string) error {
		err := unix.Fchmodat(dir, base, rawMode(perm), unix.AT_SYMLINK_NOFOLLOW)
		if err != unix.EOPNOTSUPP {
			return err
		}
		// Before Linux 6.6 the way leads through a descriptor of the very file.
		fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return unix.ELOOP
		}
		return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), rawMode(perm))
	})
}

// rawMode returns the kernel's form of a mode.
func rawMode(m fs.FileMode) uint32 {
	raw := uint32(m.Perm())
	for bit, of := range map[fs.FileMode]uint32{fs.ModeSetuid: unix.S_ISUID, fs.ModeSetgid: unix.S_ISGID, fs.ModeSticky: unix.S_ISVTX} {
		if m&bit != 0 {
			raw |= of
		}
	}
	return raw
}

// Remove removes a file, a symlink or an empty folder.
func (r *rootDir) Remove(name string) error {
	return r.change("remove", name, func(dir int, base string) error {
		err := unix.Unlinkat(dir, base, 0)
		if err == unix.EISDIR {
			err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		}
		return err
	})
}

// RemoveAll removes name with all that is in it. That it is not there is no
// error.
func (r *rootDir) RemoveAll(name string) error {
	err := r.Remove(name)
	if err == nil || notThere(err) {
		return nil
	}
	if !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	dir, err := r.OpenRoot(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, base := range names {
		if err := dir.RemoveAll(base); err != nil {
			return err
		}
	}
	return r.Remove(name)
}
