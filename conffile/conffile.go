// Package conffile merges a new release's settings file into one that its user
// has edited.
//
// There are three texts: what the old release shipped, what the new one ships,
// and what the user made of the old one. [Merge] gives the user's text, with
// what the new release adds, and with its values where the user never touched
// the old ones. A user's own value always stays.
//
// # Formats
//
//	lines   KEY = VALUE or KEY: VALUE, INI sections, shell-like settings: by name
//	JSON    one object: by member, also within objects
//	other   as a whole: a text the user did not touch is replaced, others stay
//
// Which one it is follows from the name and from the texts: what cannot be read
// safely as lines or JSON, as nested YAML or TOML with values over several
// lines, is taken as a whole.
//
// # Invariants
//
// With o, n and u for the old, new and user's text: Merge(o, n, o) is n, and
// Merge(o, o, u) is u, byte for byte. To merge once more changes nothing. Every
// setting that the user has changed or added is in the result with the user's
// value; comments and the order of lines are the user's. What is not certain is
// told as a conflict, and then the caller keeps the user's text and puts the new
// one beside it.
//
// # Limits
//
// Texts are at most [MaxSize] bytes and UTF-8. In JSON the formatting of objects
// that change is ours: two blanks a level. Lists are values, and not merged.
package conffile

import (
	"bytes"
	"path"
	"unicode/utf8"
)

// MaxSize bounds the bytes of each text. Larger ones are taken as a whole.
const MaxSize = 1 << 20

// Conflict is a setting for which neither the user's value nor the new one is
// surely right. The user's is in the result.
type Conflict struct {
	Key  string // "" for the whole file
	User string
	New  string
}

// Merge brings the changes from one release's file to another's into the user's.
// Name chooses the format.
func Merge(name string, from, to, user []byte) (merged []byte, conflicts []Conflict) {
	switch {
	case bytes.Equal(user, from), bytes.Equal(user, to):
		return to, nil
	case bytes.Equal(from, to):
		return user, nil
	}
	for _, t := range [][]byte{from, to, user} {
		if len(t) > MaxSize || !utf8.Valid(t) || bytes.IndexByte(t, 0) >= 0 {
			return whole(user)
		}
	}
	merge := mergeLines
	if path.Ext(name) == ".json" {
		merge = mergeJSON
	}
	if merged, conflicts, ok := merge(from, to, user); ok {
		return merged, conflicts
	}
	return whole(user)
}

// whole keeps the user's text.
func whole(user []byte) ([]byte, []Conflict) { return user, []Conflict{{}} }
