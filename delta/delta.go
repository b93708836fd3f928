package delta

import (
	"context"
	"io"

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
	// the reader must have it before it can choose the rest.
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
// The bytes of a pack depend on Codec, Level and Memory, never on Workers.
type Options struct {
	Codec   Codec
	Level   Level
	Workers int         // goroutines; 0 means one per processor
	Memory  int64       // bytes for reading and matching; 0 means 2 GiB
	Events  func(Event) // called after every frame, by one goroutine at a time; may be nil
}

// Level weighs the size of a pack against the time to make and to apply it.
type Level int

const (
	// Small makes the smallest packs.
	Small Level = iota
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

// Output receives one new blob. Write is called with all bytes in order, then
// Finish exactly once: with nil when the digest of what was written is the
// wanted one, else with the error, upon which the bytes must be thrown away.
type Output interface {
	io.Writer
	Finish(err error) error
}

// WritePack writes to w a pack that makes every blob of new out of the blobs
// of old. New blobs of equal content are stored once.
func WritePack(ctx context.Context, w io.Writer, old, new []Blob, o Options) (*Report, error) {
	panic("not yet")
}

// ReadHead reads the head of a pack from r and nothing behind it.
func ReadHead(r io.Reader, l Limits) (*Head, error) {
	panic("not yet")
}

// Limits bound what a head may ask for. A zero field means its default.
type Limits struct {
	Head  int64 // bytes of the head; default 64 MiB
	Blob  int64 // bytes of one old or new blob; default 1 TiB
	Total int64 // bytes of all new blobs; default 16 TiB
}

// Head is the table of contents of a pack.
type Head struct {
	Ref    // of the head itself
	Old    []Ref
	Frames []Frame
}

// Frame is an independent part of a pack.
type Frame struct {
	Ref          // the stored bytes
	Offset int64 // of the stored bytes, from the start of the pack
	Kind   Kind
	Old    []int // the blobs of Head.Old that the frame reads, rising
	New    []Ref // the blobs that it makes
}

// Patch makes the new blobs of one frame. It reads the frame's stored bytes
// from r, where offset 0 is the start of the frame, and checks their digest
// before it looks at them. It opens blobs of h.Old by their index and closes
// them. For each new blob, in order, it calls create; where create returns nil,
// that blob is skipped. Patch may be called for several frames at once.
func (h *Head) Patch(ctx context.Context, frame int, r io.ReaderAt, open func(old int) (File, error), create func(Ref) (Output, error)) error {
	panic("not yet")
}

// PatchFile writes to w the new file that the delta makes out of the old file.
// The delta is a pack of one old and one new blob, or a BSDIFF40 patch. The
// bytes written are good only if the error is nil.
func PatchFile(ctx context.Context, w io.Writer, old, delta io.ReaderAt, oldSize, deltaSize int64) error {
	panic("not yet")
}

// DiffBSDIFF40 writes to w the BSDIFF40 patch from old to new, for any bspatch.
func DiffBSDIFF40(ctx context.Context, w io.Writer, old, new Blob) error {
	panic("not yet")
}

// WriteObject writes the content of r to w as a stored object: a zstd stream
// with a window of at most 8 MiB. It returns what it read and what it wrote.
func WriteObject(ctx context.Context, w io.Writer, r io.Reader, l Level) (content, stored Ref, err error) {
	panic("not yet")
}

// ReadObject writes to w the content of the stored object r. It fails unless
// the content has exactly the wanted size and digest; it never writes more
// than the size.
func ReadObject(ctx context.Context, w io.Writer, r io.Reader, want Ref) error {
	panic("not yet")
}
