package store

import (
	"io/fs"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Magic numbers from statfs(2) that x/sys lacks.
const (
	magicSMB2 = 0xfe534d42
	magicCIFS = 0xff534d42
)

// canSyncAll reports whether syncAll works on the file system of f. FUSE and
// network file systems send nothing to their server.
func canSyncAll(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	remote := []uint32{unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.V9FS_MAGIC,
		unix.SMB_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, magicSMB2, magicCIFS}
	return !slices.Contains(remote, uint32(st.Type))
}

// syncAll makes everything durable that was written to the file system of f.
func syncAll(f *os.File) error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}

// sameFileSystem reports whether a sync of one file's system is one of the
// other's: something else may be mounted inside the store.
func sameFileSystem(a, b fs.FileInfo) bool {
	return a.Sys().(*syscall.Stat_t).Dev == b.Sys().(*syscall.Stat_t).Dev
}
