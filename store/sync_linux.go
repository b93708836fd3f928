package store

import (
	"cmp"
	"os"

	"golang.org/x/sys/unix"
)

// canSyncAll says that syncAll works here.
const canSyncAll = true

// syncAll makes everything durable that was written to the folder's file
// system. Network file systems may take it for nothing to do (syncfs(2)).
func syncAll(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	return cmp.Or(unix.Syncfs(int(f.Fd())), f.Close())
}
