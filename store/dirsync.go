package store

import (
	"fmt"
	"os"
	"sync"
)

// A laterSync makes many new files durable by one sync of their whole file
// system. To sync each with its folder takes two syncs for a file: 23,000 for a
// tree of 11,516 files.
//
// The zero laterSync takes it that files wait for a sync: those of a process
// that was killed before its own.
type laterSync struct {
	mu      sync.Mutex
	clean   bool     // no file waits for a sync
	folder  *os.File // the store's; open while files are written or wait
	writing int      // files between begin and end
	lost    error    // of a sync that failed

	sync func(*os.File) error // syncAll when nil, another one in tests
}

// begin tells that a file will be written into a folder. It reports whether
// flush will make it durable; end must follow then. If not, the file has to be
// synced on its own.
//
// The store's folder is opened before the file is written, because syncing
// through it tells only of errors that came up since it was opened.
func (l *laterSync) begin(root, folder *os.Root) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open(root) {
		return false
	}
	top, err := l.folder.Stat()
	if err == nil {
		var below os.FileInfo
		if below, err = folder.Stat("."); err == nil && sameFileSystem(top, below) {
			l.writing++
			return true
		}
	}
	l.closeUnused()
	return false
}

// end tells that a file has been written, or has failed.
func (l *laterSync) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing--
	l.clean = false
}

// flush makes all files durable that have come to their end. A sync that fails
// is not repeated: the second one may succeed with the data lost. The error
// stays, and with it the name that was to lead to the files stays as it was.
func (l *laterSync) flush(root *os.Root) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil || l.clean {
		return l.lost
	}
	l.clean = true
	if !l.open(root) {
		return nil // then each has been synced on its own
	}
	syncNow := l.sync
	if syncNow == nil {
		syncNow = syncAll
	}
	if err := syncNow(l.folder); err != nil {
		l.lost = fmt.Errorf("sync what was pushed before: %w", err)
	}
	l.closeUnused()
	return l.lost
}

// open opens the store's folder, unless its file system must be synced file by
// file.
func (l *laterSync) open(root *os.Root) bool {
	if l.folder != nil {
		return true
	}
	f, err := root.Open(".")
	if err != nil {
		return false
	}
	if !canSyncAll(f) {
		f.Close()
		return false
	}
	l.folder = f
	return true
}

// closeUnused closes the store's folder when no file needs it.
func (l *laterSync) closeUnused() {
	if l.writing == 0 && l.clean && l.folder != nil {
		l.folder.Close()
		l.folder = nil
	}
}
