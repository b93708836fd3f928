package client

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/lifecycle"
)

// Errors that callers tell apart. Others come typed from the packages below:
// trust (signatures, expiry, rollback attacks), store (network, digests) and
// atomicfs (lock, preflight, recovery).
var (
	// ErrNotInstalled means that the folder holds no tree of ours, or not the
	// product.
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

// A BlockedError lists all prerequisites of a release that the host does not
// have. Nothing was changed.
type BlockedError struct {
	Version string
	Unmet   []lifecycle.Unmet
}

// Error names them, one a line.
func (e *BlockedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version %s needs what is not here (%d)", e.Version, len(e.Unmet))
	for _, u := range e.Unmet {
		fmt.Fprintf(&b, "\n  %v", u)
	}
	return b.String()
}

// An IncompatibleError says that a release and the data do not go together.
// Nothing was changed.
type IncompatibleError struct {
	Version string
	Err     error
}

func (e *IncompatibleError) Error() string { return fmt.Sprintf("version %s: %v", e.Version, e.Err) }

// Unwrap returns a *lifecycle.MismatchError or a *lifecycle.OneWayError.
func (e *IncompatibleError) Unwrap() error { return e.Err }

// A BusyError lists the programs that use the tree and did not leave. Nothing
// was changed.
type BusyError struct{ Left []gate.Process }

func (e *BusyError) Error() string {
	var b strings.Builder
	b.WriteString("programs use the tree and do not leave")
	for _, p := range e.Left {
		fmt.Fprintf(&b, "\n  %v", p)
	}
	return b.String()
}

// A HeldError says that updates are on hold.
type HeldError struct{ Hold }

func (e *HeldError) Error() string { return "updates are on hold: " + e.Hold.String() }

// An ApprovalError says that policy wants somebody's approval of a release
// first: see [Client.Approve].
type ApprovalError struct{ Version string }

func (e *ApprovalError) Error() string {
	return fmt.Sprintf("version %s must be approved first", e.Version)
}

// A StoppedError says that a run waits for a person, with the gate closed: see
// [Client.Resume] and [Client.Abort].
type StoppedError struct {
	Run Run
	Err error
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("the %s of %s to %s has stopped (%s): %v", e.Run.Verb, e.Run.Product, e.Run.To, e.Run.Phase, e.Err)
}

// Unwrap returns why it stopped.
func (e *StoppedError) Unwrap() error { return e.Err }

// A ReturnedError says that a release failed, and that the one before is in
// place: again, or still.
type ReturnedError struct {
	From, To string // versions: from the failed one; To is "" for none
	Output   []string
	Err      error
}

func (e *ReturnedError) Error() string {
	return fmt.Sprintf("version %s has failed, and %s is in place: %v", e.From, cmp.Or(e.To, "what was there"), e.Err)
}

// Unwrap returns why the release failed.
func (e *ReturnedError) Unwrap() error { return e.Err }
