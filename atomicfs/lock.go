package atomicfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// holder is what the lock's owner writes about itself. It only informs: the
// system's lock on the lock file decides, and that ends with its process, so
// that no lock is ever stale.
type holder struct {
	PID    int       `json:"pid"`
	BootID string    `json:"boot_id,omitempty"`
	Since  time.Time `json:"since"`
}

func (t *Tree) takeLock() error {
	// flock opens by name and would follow a symlink out of the tree.
	fi, err := t.disk.lstat(lockFile)
	if err != nil {
		return err
	}
	if fi != nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("lock %s: want a file, got %v", lockFile, fi.Mode().Type())
	}
	if err := t.disk.touch("lock", lockFile); err != nil {
		return err
	}
	// So it may open, but not make, and what it opened must be ours.
	lock := flock.New(filepath.Join(t.root, filepath.FromSlash(lockFile)), flock.SetFlag(os.O_RDWR))
	got, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", lockFile, err)
	}
	if !got {
		h := t.readHolder()
		return &LockedError{Root: t.root, PID: h.PID, BootID: h.BootID, Since: h.Since}
	}
	t.lock = lock
	opened, err := lock.Stat()
	if err == nil {
		fi, err = t.disk.lstat(lockFile)
	}
	if err != nil || fi == nil || !os.SameFile(fi, opened) {
		return errors.Join(err, fmt.Errorf("lock %s: %w", lockFile, errChanged))
	}
	b, err := json.Marshal(holder{PID: os.Getpid(), BootID: bootID(), Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	f, err := t.disk.create(holderFile)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = t.disk.write(f, holderFile, b)
	return err
}

// readHolder returns what is known about the owner; zero if nothing is, as in
// the moment between its lock and its note.
func (t *Tree) readHolder() (h holder) {
	f, err := t.disk.root.Open(holderFile)
	if err != nil {
		return h
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil || json.Unmarshal(b, &h) != nil {
		return holder{}
	}
	return h
}
