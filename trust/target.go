package trust

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// A Target is a file that a product signs: what TUF calls by that name.
type Target struct {
	Name   string          // slash path in the repository, without the digest
	Length int64           // in bytes
	SHA256 [32]byte        // of the whole file
	Custom json.RawMessage // facts of the product's own, never null; may be nil

	sha512 string // instead of SHA256, in repositories that have only that
	plain  bool   // stored under its name alone, in repositories without consistent snapshots
}

func targetOf(name string, f *metadata.TargetFiles) Target {
	t := Target{Name: name, Length: f.Length}
	if sum := f.Hashes["sha256"]; len(sum) == len(t.SHA256) {
		t.SHA256 = [32]byte(sum)
	} else { // foreign; what is neither fits no content
		t.sha512 = string(f.Hashes["sha512"])
	}
	if f.Custom != nil {
		t.Custom = slices.Clone(json.RawMessage(*f.Custom))
	}
	return t
}

// NewTarget describes the file name with the given content.
func NewTarget(name string, content []byte, custom json.RawMessage) Target {
	return Target{Name: name, Length: int64(len(content)), SHA256: sha256.Sum256(content), Custom: custom}
}

// File returns where the repository stores the target: its digest goes before
// the base name, so that old and new files of one name stand side by side.
func (t Target) File() string {
	dir, base := path.Split(t.Name)
	switch {
	case t.plain:
		return t.Name
	case t.sha512 != "":
		return dir + hex.EncodeToString([]byte(t.sha512)) + "." + base
	}
	return dir + hex.EncodeToString(t.SHA256[:]) + "." + base
}

// Check returns a [ContentError] unless b is the target's content.
func (t Target) Check(b []byte) error { return t.check(t.File(), b) }

func (t Target) check(file string, b []byte) error {
	if t.sha512 == "" {
		return checkContent(file, b, t.Length, t.SHA256)
	}
	if sum := sha512.Sum512(b); int64(len(b)) != t.Length || string(sum[:]) != t.sha512 {
		return &ContentError{File: file, WantLength: t.Length, GotLength: int64(len(b)), Got: sha256.Sum256(b)}
	}
	return nil
}

func checkContent(file string, b []byte, length int64, sum [32]byte) error {
	e := ContentError{File: file, WantLength: length, GotLength: int64(len(b)), Want: sum}
	if e.GotLength == e.WantLength {
		if e.Got = sha256.Sum256(b); e.Got == e.Want {
			return nil
		}
	}
	return &e
}
