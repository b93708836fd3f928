package atomicfs

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func canSyncFS(*os.File) bool { return false }

func syncFS(*os.File) error { return nil }

// room asks how much fits on the file system of f. Unknown is -1.
func room(f *os.File) (r fsRoom, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return r, os.NewSyscallError("fstatfs", err)
	}
	return fsRoom{
		block: int64(st.Bsize), bytes: int64(st.Bavail) * int64(st.Bsize),
		inodes: int64(st.Ffree), readOnly: st.Flags&unix.MNT_RDONLY != 0,
	}, nil
}

// changed returns the time of the last change to anything about an entry,
// which unlike its modification time nobody can set.
func changed(fi fs.FileInfo) time.Time {
	st := fi.Sys().(*syscall.Stat_t)
	return time.Unix(st.Ctimespec.Sec, st.Ctimespec.Nsec)
}

// protected reports flags that stop even root.
func protected(dir *os.File, name string) (immutable, mounted bool) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, false
	}
	const flags = 0x2 | 0x4 | 0x20000 | 0x40000 // UF_ and SF_ IMMUTABLE and APPEND of sys/stat.h
	return st.Flags&flags != 0, false
}

// mayWrite asks whether entries of the folder name may be made and removed.
func mayWrite(dir *os.File, name string) error {
	return unix.Faccessat(int(dir.Fd()), name, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func allocate(*os.File, int64) error { return nil }

func copyAttributes(_, _ *os.File, _ bool) {}

// exchange lets two entries below r change places, on APFS.
func exchange(r *rootDir, a, b string) error {
	dir, err := r.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	fd := int(dir.Fd())
	if err := unix.RenameatxNp(fd, a, fd, b, unix.RENAME_SWAP); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// maxFullName is how many bytes a path may have that a program opens: PATH_MAX
// of sys/syslimits.h, without its end.
const maxFullName = 1023

func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
