package client

import "errors"

// Errors that callers tell apart. Others come typed from the packages below:
// trust (signatures, expiry, rollback attacks), store (network, digests) and
// atomicfs (lock, drift, preflight, recovery).
var (
	// ErrNotInstalled means that the folder holds no tree of ours.
	ErrNotInstalled = errors.New("nothing is installed here")
	// ErrNoRelease means that the channel has no release that fits.
	ErrNoRelease = errors.New("no such release")
	// ErrDowngrade means that the release is older than the installed one.
	ErrDowngrade = errors.New("release is older than the installed one")
	// ErrOffline means that something has to be fetched first.
	ErrOffline = errors.New("not fetched yet")
)
