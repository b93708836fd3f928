package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

// ErrChanged says that a file was replaced while it was being read: what the
// reader has delivered is of no use, and the file must be read from its start.
var ErrChanged = errors.New("file changed while it was read")

// A MismatchError says that a file is not what was wanted.
type MismatchError struct {
	Name string
	Want Content
	// Got is what came instead. A Size above Want.Size stands for any size
	// above it, because reading ends there; its Digest is then zero.
	Got Content
}

func (e *MismatchError) Error() string {
	switch {
	case e.Got.Size > e.Want.Size:
		return fmt.Sprintf("verify %s: want %d bytes, got more", e.Name, e.Want.Size)
	case e.Got.Size < e.Want.Size:
		return fmt.Sprintf("verify %s: want %d bytes, got %d", e.Name, e.Want.Size, e.Got.Size)
	}
	return fmt.Sprintf("verify %s: want blake3:%v, got blake3:%v", e.Name, e.Want.Digest, e.Got.Digest)
}

// A LimitError says that a file is longer than its reader allows.
type LimitError struct {
	Name string
	Max  int64 // bytes
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("read %s: want at most %d bytes, got more", e.Name, e.Max)
}

// A StatusError is the answer of an HTTP server that does not hold the file.
// It is fs.ErrNotExist for 404 and 410, fs.ErrPermission for 401 and 403.
type StatusError struct {
	Name   string
	URL    string // without user, password and query
	Status int
	// RetryAfter is how long the server asked to be left alone, or 0.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	after := ""
	if e.RetryAfter > 0 {
		after = fmt.Sprintf(" (retry after %v)", e.RetryAfter)
	}
	return fmt.Sprintf("fetch %s: %s answered %d %s%s", e.Name, e.URL, e.Status, http.StatusText(e.Status), after)
}

// Is makes a StatusError one of the errors that every Fetcher returns.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		return target == fs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == fs.ErrPermission
	}
	return false
}

// A LockedError says that another publisher holds the lock of a store.
type LockedError struct {
	Store  string // where it is
	Holder string // what the other one gave to Lock, or "" when unknown
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another publisher"
	}
	return fmt.Sprintf("lock store %s: held by %s", e.Store, holder)
}
