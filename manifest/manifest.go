// Package manifest says what a release contains: its facts and its entries,
// the rules for their paths, the digests that identify content, and the names
// under which a repository stores things.
//
// A [Manifest] is immutable. It has one canonical encoding: two manifests that
// say the same have the same bytes, and so the same digest. A manifest says
// nothing of where or how content is stored; that is the business of the
// [Index] and of the [Objects] listing beside it.
//
// # Canonical encoding
//
// Integers are unsigned varints as in encoding/binary, in their shortest form.
//
//	magic     "treegraft manifest 1\n"
//	facts     length, then the Release as compact JSON (see Release)
//	entries   count, then for each entry in bytewise order of paths:
//	    tag       1 byte: kind (0 file, 1 folder, 2 symlink), and for a
//	              file 16 × its ConfigRule (0 none, 1 merge, 2 keep)
//	    shared    how many bytes the path shares with the one before
//	    rest      length, then the other bytes of the path
//	    file:     mode (permission bits), size, digest (32 bytes)
//	    folder:   mode
//	    symlink:  length, then the link's target
//	tree      32 bytes: BLAKE3-256 of all bytes from the entry count to here
//
// The encoding can be written and read as a stream, and a small change of the
// tree is a small change of the bytes, so that a manifest can itself be sent
// as a delta. A repository stores it compressed as one zstd frame.
//
// # Invariants
//
// [Parse] accepts exactly what [Manifest.Encode] writes: anything else, also
// another spelling of the same content, is an error. What it returns has
// passed [Manifest.Validate]. It allocates in step with the bytes it has read,
// never for what they announce; but since a path may share up to all of its
// bytes with the one before, MaxText bounds all paths together.
package manifest

import (
	"fmt"
	"io/fs"
	"strings"
)

// Limits of a manifest. They bound what a reader of hostile bytes may be asked
// to hold; they are far above what release trees need.
const (
	MaxEntries   = 1 << 21    // entries of one manifest
	MaxFacts     = 1 << 20    // bytes of the encoded Release
	MaxText      = 1 << 28    // bytes of all paths and link targets, each in full
	MaxCanonical = 1 << 30    // bytes of the canonical encoding; follows from the others
	MaxFileSize  = 1 << 46    // bytes of one file
	MaxSequence  = 1<<53 - 1  // what every reader of JSON takes exactly
	MaxSeconds   = 30 * 86400 // of a command's time limit
)

// Manifest is the list of all a release contains.
type Manifest struct {
	Release Release
	Entries []Entry // in bytewise order of Path
}

// Kind is what an entry is.
type Kind uint8

// The kinds of entries.
const (
	File Kind = iota
	Dir
	Symlink
)

// String returns "file", "folder" or "symlink".
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Dir:
		return "folder"
	case Symlink:
		return "symlink"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ConfigRule says what an update does with a file that its user may have
// edited.
type ConfigRule uint8

// The rules for configuration files.
const (
	NoConfig    ConfigRule = iota // an ordinary file: an edited one is drift
	MergeConfig                   // three-way merge; the user's values win
	KeepConfig                    // an edited one stays as it is
)

// Entry is one file, folder or symlink of a release.
//
// A folder has an entry of its own only where nothing else implies it as it
// must be: when it is empty, or when its mode is not [DirMode].
type Entry struct {
	Path   string      // slash-separated, relative to the tree's root; see CheckPath
	Kind   Kind        //
	Mode   fs.FileMode // permission bits (0o777) of a file or folder; 0 for a symlink
	Size   int64       // bytes of a file
	Digest Digest      // of a file's content
	Link   string      // where a symlink points: relative, and inside the tree
	Config ConfigRule  // files only
}

// DirMode is the mode of a folder that has no entry of its own.
const DirMode fs.FileMode = 0o755

// Release holds the facts of a release. Its JSON form is part of the canonical
// encoding: fields in this order, nothing that is empty.
type Release struct {
	Product  string `json:"product"`  // see CheckName
	Version  string `json:"version"`  // semantic version 2.0.0, without a leading "v"
	Sequence uint64 `json:"sequence"` // rises with every release of a product; 1 to MaxSequence
	Platform string `json:"platform"` // "any", or GOOS-GOARCH

	Severity      Severity     `json:"severity,omitempty"`
	CriticalSince string       `json:"critical_since,omitempty"` // installs older than this version must take it
	Barrier       bool         `json:"barrier,omitempty"`        // no plan may jump over this release
	Strict        bool         `json:"strict,omitempty"`         // only from the release just before
	Essential     bool         `json:"essential,omitempty"`      // set up without asking
	Requires      *Requires    `json:"requires,omitempty"`
	Schema        *Schema      `json:"schema,omitempty"`
	Migrations    []Migration  `json:"migrations,omitempty"`
	Hooks         []Hook       `json:"hooks,omitempty"`
	Depends       []Dependency `json:"depends,omitempty"`
	EntryPoints   []string     `json:"entry_points,omitempty"` // files that are replaced last
	Notes         string       `json:"notes,omitempty"`        // for people; plain text
}

// Severity says how much a release matters to those who do not have it.
type Severity string

// The severities, from least to most urgent. The empty one means optional.
const (
	Optional    Severity = ""
	Recommended Severity = "recommended"
	Security    Severity = "security"
	Critical    Severity = "critical"
)

// Requires lists what a host must have before a release may be applied.
type Requires struct {
	OS        []string     `json:"os,omitempty"`         // any of these GOOS
	Arch      []string     `json:"arch,omitempty"`       // any of these GOARCH
	MinOS     string       `json:"min_os,omitempty"`     // operating system or kernel version
	Disk      int64        `json:"disk,omitempty"`       // free bytes beyond what the update itself needs
	Memory    int64        `json:"memory,omitempty"`     // bytes of main memory
	Commands  []string     `json:"commands,omitempty"`   // on the PATH
	Packages  []Dependency `json:"packages,omitempty"`   // of the operating system
	Installed string       `json:"installed,omitempty"`  // oldest version of this product it applies to
	BelowNext string       `json:"below_next,omitempty"` // and first version it does not apply to
}

// Schema is the range of data versions that the release's code works with, and
// the command that tells the version there is: a number on its standard output,
// or "none".
type Schema struct {
	Min   uint64   `json:"min"`
	Max   uint64   `json:"max"`
	Query []string `json:"query,omitempty"`
}

// Migration brings data to an integer version. A command is run without a
// shell, in the tree; its first word is the path of a file of the release, or
// else, without a slash, a command on the PATH.
type Migration struct {
	Version uint64   `json:"version"`           // the data version it makes
	Up      []string `json:"up"`                // command and arguments
	Down    []string `json:"down,omitempty"`    // the way back, if there is one
	Once    bool     `json:"once,omitempty"`    // cut short, it may not simply run again
	Seconds int      `json:"seconds,omitempty"` // time limit, at most MaxSeconds; 0 means none
}

// Hook is a command run at a named phase of an update: "offline" and "backup"
// of the installed release, "place" and "online" of the new one, "undo" of the
// new one before its files go back, "restored" of the old one after that.
type Hook struct {
	Phase   string   `json:"phase"`
	Command []string `json:"command"`        // as that of a [Migration]
	Veto    bool     `json:"veto,omitempty"` // its failure stops the update
	Once    bool     `json:"once,omitempty"` // cut short, it may not simply run again
	Seconds int      `json:"seconds,omitempty"`
}

// Dependency names a product (or package) and the oldest version that will do.
type Dependency struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Content returns the number of bytes of all files.
func (m *Manifest) Content() (n int64) {
	for i := range m.Entries {
		n += m.Entries[i].Size
	}
	return n
}

// Lookup returns the entry at path, or nil.
func (m *Manifest) Lookup(path string) *Entry {
	lo, hi := 0, len(m.Entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := strings.Compare(m.Entries[mid].Path, path); {
		case c == 0:
			return &m.Entries[mid]
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil
}

// Change is what becomes of one path from one manifest to another. From is nil
// for an added entry, To for a deleted one.
type Change struct {
	Path     string
	From, To *Entry
}

// Compare returns the changes from one list of entries to another, in order of
// paths. Both lists are in the order of a valid manifest. The changes point
// into the lists.
func Compare(from, to []Entry) (changes []Change) {
	i, j := 0, 0
	for i < len(from) || j < len(to) {
		switch {
		case j == len(to) || i < len(from) && from[i].Path < to[j].Path:
			changes = append(changes, Change{Path: from[i].Path, From: &from[i]})
			i++
		case i == len(from) || to[j].Path < from[i].Path:
			changes = append(changes, Change{Path: to[j].Path, To: &to[j]})
			j++
		default:
			if from[i] != to[j] {
				changes = append(changes, Change{Path: to[j].Path, From: &from[i], To: &to[j]})
			}
			i++
			j++
		}
	}
	return changes
}
