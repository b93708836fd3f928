package atomicfs

import (
	"encoding/hex"
	"fmt"
	"io/fs"
)

// Kind says what an entry of a tree is. The zero Kind is no valid kind.
type Kind uint8

// The kinds of entries. Other is anything that is never managed (a device, a
// socket, a pipe): it occurs only in what was found.
const (
	File Kind = iota + 1
	Dir
	Symlink
	Other
)

// String returns the word for k.
func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Dir:
		return "folder"
	case Symlink:
		return "symlink"
	case Other:
		return "special file"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Node describes one entry of a tree.
type Node struct {
	Kind   Kind
	Mode   fs.FileMode // permission bits of a File or Dir; nothing above 0o777
	Size   int64       // of a File
	Digest [32]byte    // BLAKE3-256 of a File's content
	Link   string      // what a Symlink points to
}

// String describes n in a few words; a nil Node is "nothing".
func (n *Node) String() string {
	switch {
	case n == nil:
		return "nothing"
	case n.Kind == File && n.Digest == [32]byte{}:
		return fmt.Sprintf("file of %d bytes", n.Size)
	case n.Kind == File:
		return fmt.Sprintf("file of %d bytes, blake3:%s", n.Size, hex.EncodeToString(n.Digest[:]))
	case n.Kind == Symlink:
		return fmt.Sprintf("symlink to %q", n.Link)
	}
	return n.Kind.String()
}

// Change says what is at Path before a commit and what must be there after it;
// nil means nothing. Old and New with the same Kind, content and link differ
// in mode alone, and then no content is staged. Old and New equal means "keep":
// it protects a folder that must stay although it becomes empty.
//
// Permissions are set, not compared: a file whose mode alone is not Old's is
// no drift.
//
// A Path below [MetaDir] names a state record of the caller, which is changed
// and rolled back together with the tree; its Old is not looked at.
type Change struct {
	Path string
	Old  *Node
	New  *Node
	Last bool // an entry point: changed after everything else of the tree
}

// Event reports progress.
type Event struct {
	Phase string // "check": an old file was compared; "apply": an entry was changed
	Path  string
	Done  int // of Total in this phase, this one included
	Total int
}
