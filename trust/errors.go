package trust

import (
	"errors"
	"fmt"
	"time"
)

// ErrPassphrase says that a key file does not open with the passphrase given.
var ErrPassphrase = errors.New("wrong passphrase")

// A SignatureError says that too few of the right keys signed a file.
type SignatureError struct {
	File string // such as "metadata/timestamp.json"
	Role string // whose keys were asked for
	Err  error
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("verify %s: signatures of role %s: %v", e.File, e.Role, e.Err)
}

func (e *SignatureError) Unwrap() error { return e.Err }

// An ExpiredError says that a file was good until a moment that has passed.
// Nothing is broken: what is installed stays as it is, only newer releases
// cannot be told from withheld ones.
type ExpiredError struct {
	File    string
	Expired time.Time
	Now     time.Time // the time it was compared with
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("verify %s: expired on %s, and it is %s", e.File,
		e.Expired.UTC().Format(time.RFC3339), e.Now.UTC().Format(time.RFC3339))
}

// A RollbackError says that a file is older than what was already trusted.
type RollbackError struct {
	File string
	Have int64 // version already trusted
	Got  int64 // version offered, 0 when the file is no longer listed
}

func (e *RollbackError) Error() string {
	if e.Got == 0 {
		return fmt.Sprintf("verify %s: version %d was listed before and is not any more", e.File, e.Have)
	}
	return fmt.Sprintf("verify %s: got version %d, want at least %d", e.File, e.Got, e.Have)
}

// A FormatError says that a file is not metadata this package accepts, whoever
// signed it.
type FormatError struct {
	File string
	Err  error
}

func (e *FormatError) Error() string { return fmt.Sprintf("read %s: %v", e.File, e.Err) }

func (e *FormatError) Unwrap() error { return e.Err }

// A ContentError says that bytes are not those a signed file names.
type ContentError struct {
	File                  string
	WantLength, GotLength int64
	Want, Got             [32]byte // SHA-256
}

func (e *ContentError) Error() string {
	if e.WantLength != e.GotLength {
		return fmt.Sprintf("verify %s: got %d bytes, want %d", e.File, e.GotLength, e.WantLength)
	}
	return fmt.Sprintf("verify %s: got sha256:%x, want sha256:%x", e.File, e.Got, e.Want)
}
