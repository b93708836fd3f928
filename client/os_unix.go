//go:build unix

package client

import (
	"errors"
	"syscall"
)

// notFolder reports whether a path does not exist because something above it
// is no folder.
func notFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
