//go:build unix

package client

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that are free for us.
func freeSpace(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
