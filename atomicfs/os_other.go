//go:build !linux && !darwin

package atomicfs

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// On these systems preflight knows less, and every file is synced by itself.

func canSyncFS(*os.File) bool { return false }

func syncFS(*os.File) error { return nil }

func room(*os.File) (fsRoom, error) { return fsRoom{block: 4096, bytes: -1, inodes: -1}, nil }

func changed(fs.FileInfo) time.Time { return time.Time{} }

func protected(*os.File, string) (immutable, mounted bool) { return false, false }

func mayWrite(*os.File, string) error { return nil }

func allocate(*os.File, int64) error { return nil }

func copyAttributes(_, _ *os.File, _ bool) {}

// maxFullName is how many bytes a path may have that a program opens: what
// Windows allows, in whatever letters.
const maxFullName = 32767

func bootID() string { return "" }

func exchange(_ *rootDir, a, b string) error {
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: errors.ErrUnsupported}
}
