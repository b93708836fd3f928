package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/client/detach"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Code is an exit code. Scripts may rely on each of them.
type Code int

// The codes that verbs give by themselves, with [Out.Done] or [UsageError].
const (
	OK           Code = 0
	Failed       Code = 1
	Usage        Code = 2
	Partial      Code = 3  // of several parts, some failed
	Available    Code = 10 // check: an update is there
	Security     Code = 11 // check: one with a security fix
	Staged       Code = 12 // check: one that is fetched already
	Migration    Code = 21 // status: data must be migrated first
	Incompatible Code = 22 // status: the release cannot work with its data
	Mismatch     Code = 32 // verify: something is not what was signed
	Returned     Code = 70 // update: it has failed, and the release before is back
	Unfinished   Code = 71 // status: an update was cut short or has stopped
)

// The codes that follow from errors.
const (
	prerequisite Code = 20
	approval     Code = 23
	signature    Code = 30
	expired      Code = 31
	locked       Code = 40
	busy         Code = 41
	held         Code = 42
	space        Code = 50
	permission   Code = 51
	network      Code = 60
	interrupted  Code = 130
)

// meanings is printed by "help exit-codes".
var meanings = [...]struct {
	code    Code
	meaning string
}{
	{OK, "done, or nothing to do"},
	{Failed, "error"},
	{Usage, "wrong use: flags, arguments or settings"},
	{Partial, "partial: some of it was done"},
	{Available, "an update is available"},
	{Security, "an update with a security fix is available"},
	{Staged, "an update is downloaded and waits to be applied"},
	{prerequisite, "a prerequisite is not met"},
	{Migration, "data must be migrated first"},
	{Incompatible, "the release and the data do not go together"},
	{approval, "an approval is missing"},
	{signature, "a signature is missing or wrong, or signed data is malformed"},
	{expired, "signed data has expired, or is older than what was seen before"},
	{Mismatch, "content is not what was signed; or files of the tree were changed"},
	{locked, "another process is at work"},
	{busy, "the application is running"},
	{held, "updates are on hold"},
	{space, "not enough space"},
	{permission, "not permitted"},
	{network, "the repository cannot be reached"},
	{Returned, "the update failed and was rolled back"},
	{Unfinished, "the tree is between two releases: run the command again, or resume"},
	{interrupted, "interrupted"},
}

func codesText() string {
	var b strings.Builder
	b.WriteString("The exit code says how a verb ended:\n\n")
	for _, m := range meanings {
		fmt.Fprintf(&b, "  %3d  %s\n", m.code, m.meaning)
	}
	return b.String()
}

// UsageError says that a verb was called in a wrong way.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// exit ends a verb whose result is told already.
type exit struct{ code Code }

func (e *exit) Error() string {
	for _, m := range meanings {
		if m.code == e.code {
			return m.meaning
		}
	}
	return fmt.Sprintf("exit code %d", e.code)
}

// CodeOf returns the exit code for an error. What is known best goes first: an
// update that stopped between two releases for want of space needs recovery.
func CodeOf(err error) Code {
	var done *exit
	switch {
	case err == nil:
		return OK
	case errors.As(err, &done):
		return done.code
	case errors.Is(err, atomicfs.ErrNeedsRecovery), is[*client.StoppedError](err):
		return Unfinished
	case is[*client.ReturnedError](err):
		return Returned
	case errors.Is(err, context.Canceled):
		return interrupted
	case is[*UsageError](err):
		return Usage
	case is[*trust.ExpiredError](err), is[*trust.RollbackError](err), errors.Is(err, client.ErrFloor):
		return expired
	case is[*trust.SignatureError](err), is[*trust.FormatError](err), is[*manifest.ListingError](err):
		return signature
	case is[*client.DependencyError](err):
		return prerequisite
	case is[*client.DriftError](err), is[*atomicfs.DriftError](err), is[*client.DamagedError](err), wrongContent(err):
		return Mismatch
	case is[*atomicfs.LockedError](err), is[*store.LockedError](err):
		return locked
	case is[*detach.RunningError](err):
		return busy
	}
	return lifeCode(err)
}

// lifeCode is for errors of the life of an install: what has to come first.
func lifeCode(err error) Code {
	switch {
	case is[*client.BlockedError](err):
		return prerequisite
	case is[*client.IncompatibleError](err):
		return Incompatible
	case is[*client.ApprovalError](err):
		return approval
	case is[*client.BusyError](err):
		return busy
	case is[*client.HeldError](err):
		return held
	}
	return systemCode(err)
}

// wrongContent reports whether bytes were not those that something signed names,
// or not what their format allows.
func wrongContent(err error) bool {
	return is[*trust.ContentError](err) || is[*store.MismatchError](err) || is[*store.LimitError](err) ||
		is[*delta.DigestError](err) || is[*delta.FormatError](err) || is[*delta.LimitError](err)
}

// systemCode tells errors of the network and the operating system apart.
func systemCode(err error) Code {
	var preflight *atomicfs.PreflightError
	switch {
	case errors.As(err, &preflight):
		return obstacleCode(preflight.Obstacles)
	case is[*store.StatusError](err), is[*url.Error](err), is[*net.OpError](err), errors.Is(err, store.ErrChanged), errors.Is(err, store.ErrStalled), errors.Is(err, context.DeadlineExceeded):
		return network
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, atomicfs.ErrNotDurable):
		return space
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return permission
	}
	return Failed
}

// obstacleCode is permission if that is among the obstacles, because more
// space would not help then.
func obstacleCode(obstacles []atomicfs.Obstacle) Code {
	code := Failed
	for _, o := range obstacles {
		switch o.Kind {
		case "permission", "read-only", "immutable":
			return permission
		case "space", "inodes":
			code = space
		}
	}
	return code
}

func is[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}
