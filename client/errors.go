package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/treegraft-dev/treegraft/lifecycle"
)

// Errors that callers tell apart. Others come typed from the packages below:
// trust (signatures, expiry, rollback attacks), store (network, digests) and
// atomicfs (lock, preflight, recovery).
var (
	// ErrNotInstalled means that the folder holds no tree of ours.
	ErrNotInstalled = errors.New("nothing is installed here")
	// ErrNoRelease means that the channel has no release that fits.
	ErrNoRelease = lifecycle.ErrNoRelease
	// ErrDowngrade means that the release is older than the installed one.
	ErrDowngrade = lifecycle.ErrDowngrade
	// ErrFloor means that a release is older than any that may be installed here.
	ErrFloor = lifecycle.ErrFloor
	// ErrOnline means that AcceptExpired was asked for where newer metadata could
	// be had.
	ErrOnline = errors.New("what has expired is only accepted from a folder")
	// ErrOffline means that something has to be fetched first.
	ErrOffline = errors.New("not fetched yet")
)

// A WithdrawnError says that the publisher has taken a release back.
type WithdrawnError = lifecycle.WithdrawnError

// DriftError lists all local changes in the way of an operation. Nothing was
// changed.
type DriftError struct{ Drift []Drift }

// maxShown bounds the length of an error's text; Drift has the whole list.
const maxShown = 20

// Error names the first local changes, one a line.
func (e *DriftError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "local changes are in the way (%d)", len(e.Drift))
	for i, d := range e.Drift {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  … and %d more", len(e.Drift)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %v", d)
	}
	return b.String()
}
