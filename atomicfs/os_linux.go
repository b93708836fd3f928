package atomicfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Magic numbers from statfs(2) that x/sys lacks.
const (
	magicSMB2 = 0xfe534d42
	magicCIFS = 0xff534d42
)

// canSyncFS reports whether syncfs does its work on the file system of f. On
// FUSE and network file systems it sends nothing to the server.
func canSyncFS(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	weak := []uint32{unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.V9FS_MAGIC, unix.SMB_SUPER_MAGIC, magicSMB2, magicCIFS, unix.CEPH_SUPER_MAGIC}
	return !slices.Contains(weak, uint32(st.Type))
}

func syncFS(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return os.NewSyscallError("syncfs", err)
	}
	return nil
}

// room asks how much fits on the file system of f. Unknown is -1.
func room(f *os.File) (r fsRoom, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return r, os.NewSyscallError("fstatfs", err)
	}
	r = fsRoom{block: int64(st.Bsize), bytes: int64(st.Bavail) * int64(st.Bsize), inodes: -1, readOnly: st.Flags&unix.ST_RDONLY != 0}
	if st.Files > 0 { // btrfs has no fixed number and reports 0
		r.inodes = int64(st.Ffree)
	}
	return r, nil
}

// changed returns the time of the last change to anything about an entry,
// which unlike its modification time nobody can set.
func changed(fi fs.FileInfo) time.Time {
	st := fi.Sys().(*syscall.Stat_t)
	return time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))
}

// protected reports flags that stop even root: immutable or append-only, and
// a mount point. dir is the root's descriptor.
func protected(dir *os.File, name string) (immutable, mounted bool) {
	var st unix.Statx_t
	err := unix.Statx(int(dir.Fd()), name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	if err != nil {
		return false, false // lstat tells what is wrong, if anything
	}
	at := st.Attributes & st.Attributes_mask
	return at&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0, at&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// mayWrite asks whether entries of the folder name may be made and removed.
func mayWrite(dir *os.File, name string) error {
	return unix.Faccessat(int(dir.Fd()), name, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// allocate reserves size bytes for f. File systems that cannot are no fault.
func allocate(f *os.File, size int64) error {
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return os.NewSyscallError("fallocate", err)
	}
	return nil
}

// copyAttributes gives a new file or folder the extended attributes of the one
// it replaces, as far as the system lets us: labels, capabilities, ACLs, and
// access ACLs if acl is set. Chown drops capabilities, so this comes after it.
func copyAttributes(from, to *os.File, acl bool) {
	buf := make([]byte, 64<<10) // the kernel's limit, for the list and for each value
	n, err := unix.Flistxattr(int(from.Fd()), buf)
	if err != nil || n == 0 {
		return
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		// An access ACL holds the old mode too.
		if name == "system.posix_acl_access" && !acl {
			continue
		}
		if n, err := unix.Fgetxattr(int(from.Fd()), name, buf); err == nil {
			_ = unix.Fsetxattr(int(to.Fd()), name, buf[:n], 0)
		}
	}
}

// maxFullName is how many bytes a path may have that a program opens.
const maxFullName = unix.PathMax - 1

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
