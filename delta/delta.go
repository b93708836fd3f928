package delta

import (
	"io"
	"time"

	"github.com/treegraft-dev/treegraft/manifest"
)

// File is an open file, read at any offset and from several goroutines.
// An [os.File] is one.
type File interface {
	io.ReaderAt
	io.Closer
}

// Ref names some bytes by what they are.
type Ref struct {
	Digest manifest.Digest
	Size   int64
}

// Blob is one file that a pack is made from or made for.
type Blob struct {
	// Name is a hint: blobs of the same or a similar name are compared first,
	// and errors and reports carry it. It is not stored in the pack.
	Name string
	Ref
	// Open opens the content. It is called from several goroutines.
	Open func() (File, error)
	// Alone gives a new blob a frame of its own, before all others, because
	// the reader must have it before it can choose the rest. Such a frame is
	// made from those old blobs that are Alone too, unless there are none.
	Alone bool
}

// Codec is the way in which a pack describes changes.
type Codec int

const (
	// Native is the project's own codec.
	Native Codec = iota
	// BSDIFF40 makes patches that any bspatch program applies. It is slower,
	// larger and holds whole files in memory.
	BSDIFF40
)

// Options are the choices of [WritePack]. The zero value is ready to use.
// The bytes of a pack depend on Codec, Level and Memory, never on Workers, and
// not on the machine unless there is a bound on time.
type Options struct {
	Codec   Codec
	Level   Level
	Workers int         // goroutines; 0 means one per processor
	Memory  int64       // bytes for reading and matching; 0 means 2 GiB
	Events  func(Event) // called after every frame, by one goroutine at a time; may be nil

	// Time bounds the making of each frame; 0 means no bound. What takes longer
	// is stored in full, so that the bytes depend on the machine as well.
	Time time.Duration

	without ability // what a test leaves out, to see what it is worth
}

// An ability is something that makes deltas smaller, and that they work without.
type ability uint

const (
	containers  ability = 1 << iota // comparing unpacked forms
	sharing                         // frames that read what earlier ones make
	codeRefs                        // predicting references in code
	tableRefs                       // predicting those in tables
	rematching                      // matching tables after they were predicted
	extraMixing                     // the model for extra bytes
	pageDigests                     // computing digests that a file holds of its pages
	oneKind                         // << kind: predicting the references of one kind of area
)

// Level weighs the size of a pack against the time to make and to apply it.
type Level int

const (
	// Small makes the smallest packs. To apply one takes about as long as to
	// make it.
	Small Level = iota
	// Balanced predicts references as Small does, but leaves the rest to zstd.
	Balanced
	// Fast makes packs that are quick to make and to apply.
	Fast
)

// Event tells how far WritePack has come.
type Event struct {
	Done, Total int64 // bytes of new content
}

// Kind says how a frame makes its new blobs.
type Kind byte

const (
	// KindFull is a frame with the compressed content itself.
	KindFull Kind = 1 + iota
	// KindNative is a frame with covers of old content and what is left over.
	KindNative
	// KindBSDIFF40 is a frame with one BSDIFF40 patch of one old blob.
	KindBSDIFF40
	// KindUnpacked is a frame with a native one between the unpacked forms of
	// an old and a new blob: of archives and other compressed files.
	KindUnpacked
)

// Report tells what WritePack has written. A signed document that carries Head,
// and Size, authenticates every byte of the pack.
type Report struct {
	Head  Ref   // the head, at the start of the pack
	Size  int64 // the whole pack
	Blobs []BlobReport
}

// BlobReport tells how a pack makes one new blob.
type BlobReport struct {
	Name   string
	Frame  int
	Kind   Kind
	Stored int64  // bytes of the frame; for a shared frame, the blob's share by size
	Why    string // why the content is stored in full; empty for a delta
}
