package delta

import (
	"fmt"

	"github.com/treegraft-dev/treegraft/manifest"
)

// FormatError says that a pack, a frame, a patch or an object is not what its
// format allows.
type FormatError struct {
	What string // the part that is wrong, such as "head" or "frame 3"
	Why  string
}

func (e *FormatError) Error() string { return "read " + e.What + ": " + e.Why }

func badFormat(what, why string, args ...any) error {
	return &FormatError{What: what, Why: fmt.Sprintf(why, args...)}
}

// LimitError says that something is larger than allowed.
type LimitError struct {
	What      string
	Max, Size int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("read %s: want at most %d bytes, got %d", e.What, e.Max, e.Size)
}

// DigestError says that some bytes are not the wanted ones.
type DigestError struct {
	What      string // such as "frame 3" or the name of a blob
	Want, Got manifest.Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("verify %s: want blake3:%v, got blake3:%v", e.What, e.Want, e.Got)
}
