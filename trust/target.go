package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
)

// A Target is a file that a product signs: what TUF calls by that name.
type Target struct {
	Name   string          // slash path in the repository, without the digest
	Length int64           // in bytes
	SHA256 [32]byte        // of the whole file
	Custom json.RawMessage // facts of the product's own, never null; may be nil
}

// NewTarget describes the file name with the given content.
func NewTarget(name string, content []byte, custom json.RawMessage) Target {
	return Target{Name: name, Length: int64(len(content)), SHA256: sha256.Sum256(content), Custom: custom}
}

// File returns where the repository stores the target: its digest goes before
// the base name, so that old and new files of one name stand side by side.
func (t Target) File() string {
	dir, base := path.Split(t.Name)
	return dir + hex.EncodeToString(t.SHA256[:]) + "." + base
}

// Check returns a [ContentError] unless b is the target's content.
func (t Target) Check(b []byte) error { return checkContent(t.File(), b, t.Length, t.SHA256) }

func checkContent(file string, b []byte, length int64, sum [32]byte) error {
	e := ContentError{File: file, WantLength: length, GotLength: int64(len(b)), Want: sum}
	if e.GotLength == e.WantLength {
		if e.Got = sha256.Sum256(b); e.Got == e.Want {
			return nil
		}
	}
	return &e
}
