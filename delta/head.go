package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sort"

	"github.com/treegraft-dev/treegraft/manifest"
)

const (
	packMagic  = "tgpack1\n"
	prefixSize = len(packMagic) + 4 // magic and size of the head
	refSize    = 1 + 32             // the least that a Ref takes

	maxNamed  = 1 << 22 // old blobs named by all frames together
	maxOffset = 1 << 62
)

// Limits bound what a head may ask for. A zero field means its default.
type Limits struct {
	Head  int64 // bytes of the head; default 64 MiB
	Blob  int64 // bytes of one old or new blob; default 1 TiB
	Total int64 // bytes of all new blobs; default 16 TiB
}

func (l Limits) orDefault() Limits {
	set := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Head, 64<<20)
	set(&l.Blob, 1<<40)
	set(&l.Total, 1<<44)
	return l
}

// Head is the table of contents of a pack.
type Head struct {
	Ref    // of the head itself
	Old    []Ref
	Frames []Frame

	made []int // new blobs of all frames before each, and in all
}

// Blob returns the blob that Frame.Old means by a number: those of Old come
// first, then the new ones of all frames.
func (h *Head) Blob(i int) Ref {
	if i < len(h.Old) {
		return h.Old[i]
	}
	frame, at := h.maker(i)
	return h.Frames[frame].New[at]
}

// maker returns the frame that makes a new blob, and its place there.
func (h *Head) maker(i int) (frame, at int) {
	i -= len(h.Old)
	frame = sort.Search(len(h.Frames), func(k int) bool { return h.made[k+1] > i })
	return frame, i - h.made[frame]
}

// Needs returns the frames, all of them earlier, whose new blobs a frame reads.
func (h *Head) Needs(frame int) (frames []int) {
	for _, i := range h.Frames[frame].Old {
		if i < len(h.Old) {
			continue
		}
		if k, _ := h.maker(i); len(frames) == 0 || frames[len(frames)-1] != k {
			frames = append(frames, k)
		}
	}
	return frames
}

// Frame is a part of a pack. It reads old blobs, and may read what earlier
// frames make.
type Frame struct {
	Ref          // the stored bytes
	Offset int64 // of the stored bytes, from the start of the pack
	Kind   Kind
	Old    []int // the blobs that the frame reads, as numbers for Head.Blob, rising
	New    []Ref // the blobs that it makes
}

// PackSize returns the size of the whole pack, which the head starts.
func (h *Head) PackSize() int64 {
	if n := len(h.Frames); n > 0 {
		return h.Frames[n-1].Offset + h.Frames[n-1].Size
	}
	return h.Size
}

// newSize returns the size of all that the frame makes.
func (f *Frame) newSize() (n int64) {
	for _, r := range f.New {
		n += r.Size
	}
	return n
}

// encode sets h.Ref and the frames' offsets, and returns the head's bytes.
func (h *Head) encode() []byte {
	b := append([]byte(packMagic), 0, 0, 0, 0)
	b = binary.AppendUvarint(b, uint64(len(h.Old)))
	for _, r := range h.Old {
		b = appendRef(b, r)
	}
	b = binary.AppendUvarint(b, uint64(len(h.Frames)))
	for i := range h.Frames {
		b = h.Frames[i].append(b)
	}
	binary.LittleEndian.PutUint32(b[len(packMagic):], uint32(len(b)))
	h.Ref = Ref{Digest: manifest.Sum(b), Size: int64(len(b))}
	h.setOffsets()
	return b
}

func (f *Frame) append(b []byte) []byte {
	b = append(b, byte(f.Kind))
	b = appendRef(b, f.Ref)
	runs := runsOf(f.Old)
	b = binary.AppendUvarint(b, uint64(len(runs)))
	next := 0
	for _, r := range runs {
		b = binary.AppendUvarint(b, uint64(r.from-next))
		b = binary.AppendUvarint(b, uint64(r.n))
		next = r.from + r.n
	}
	b = binary.AppendUvarint(b, uint64(len(f.New)))
	for _, r := range f.New {
		b = appendRef(b, r)
	}
	return b
}

// setOffsets computes what follows from the frames.
func (h *Head) setOffsets() {
	at := h.Size
	h.made = make([]int, 1, len(h.Frames)+1)
	for i := range h.Frames {
		h.Frames[i].Offset = at
		at += h.Frames[i].Size
		h.made = append(h.made, h.made[i]+len(h.Frames[i].New))
	}
}

type run struct{ from, n int }

// runsOf returns the runs of consecutive numbers in a rising list.
func runsOf(list []int) (runs []run) {
	for _, v := range list {
		if k := len(runs) - 1; k >= 0 && v == runs[k].from+runs[k].n {
			runs[k].n++
		} else {
			runs = append(runs, run{v, 1})
		}
	}
	return runs
}

// ReadHead reads the head of a pack from r, and nothing behind it. Before it
// believes any of it, the caller compares [Head.Ref] with a signed one; it
// costs no more than Limits.Head bytes, whatever r holds.
func ReadHead(r io.Reader, l Limits) (*Head, error) {
	l = l.orDefault()
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, fmt.Errorf("read head: %w", noEOF(err))
	}
	if string(prefix[:len(packMagic)]) != packMagic {
		return nil, badFormat("head", "want %q, got %q", packMagic, prefix[:len(packMagic)])
	}
	size := int64(binary.LittleEndian.Uint32(prefix[len(packMagic):]))
	if size > l.Head {
		return nil, &LimitError{What: "head", Max: l.Head, Size: size}
	}
	if size < int64(prefixSize) {
		return nil, badFormat("head", "want a size of at least %d, got %d", prefixSize, size)
	}
	// A buffer grows with what arrives, not with what was announced.
	var body bytes.Buffer
	body.Write(prefix[:])
	if _, err := io.CopyN(&body, r, size-int64(prefixSize)); err != nil {
		return nil, fmt.Errorf("read head: %w", noEOF(err))
	}
	return parseHead(body.Bytes(), l)
}

// noEOF turns the end of input into an unexpected end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parseHead(b []byte, l Limits) (*Head, error) {
	h := &Head{Ref: Ref{Digest: manifest.Sum(b), Size: int64(len(b))}}
	r := &wireReader{what: "head", b: b[prefixSize:]}
	h.Old = make([]Ref, r.count("number of old blobs", refSize))
	for i := range h.Old {
		h.Old[i] = r.ref("old blob", l.Blob)
	}
	p := frameParser{wireReader: r, old: len(h.Old), limits: l, seen: map[Ref]bool{}}
	h.Frames = make([]Frame, r.count("number of frames", 1+refSize+2))
	for i := range h.Frames {
		if h.Frames[i] = p.frame(); r.err != nil {
			break
		}
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	h.setOffsets()
	return h, nil
}

// frameParser reads frame descriptions and keeps what must hold over all.
type frameParser struct {
	*wireReader
	old           int
	limits        Limits
	stored, total int64
	named         int // old blobs, over all frames
	seen          map[Ref]bool
}

func (p *frameParser) frame() (f Frame) {
	f.Kind = Kind(p.bytes("kind", 1)[0])
	f.Ref = p.ref("frame", maxOffset)
	if f.Size > maxOffset-p.stored {
		p.fail("frames: want less than %d bytes in all", int64(maxOffset))
	}
	p.stored += f.Size
	f.Old = p.oldList(p.old + len(p.seen))
	f.New = make([]Ref, p.count("number of new blobs", refSize))
	for i := range f.New {
		f.New[i] = p.ref("new blob", p.limits.Blob)
		if p.seen[f.New[i]] && p.err == nil {
			p.fail("new blob %v: want it once", f.New[i].Digest)
		}
		p.seen[f.New[i]] = true
		if p.total += f.New[i].Size; p.total > p.limits.Total {
			p.fail("new blobs: want at most %d bytes in all", p.limits.Total)
			return f
		}
	}
	p.checkShape(&f)
	return f
}

// oldList reads runs of indexes. A run of four bytes may name all old blobs,
// in every frame, so the number of names is bounded over the whole head.
func (p *frameParser) oldList(known int) (list []int) {
	next := 0
	for k := range p.count("number of old runs", 2) {
		gap := int(p.uint("old gap", int64(known-next)))
		n := int(p.uint("old run", int64(known-next-gap)))
		if n == 0 || k > 0 && gap == 0 {
			p.fail("old runs: want them apart and not empty")
		}
		if p.named += n; p.named > maxNamed {
			p.fail("old runs: want at most %d old blobs named in all frames", maxNamed)
		}
		if p.err != nil {
			return nil
		}
		for i := range n {
			list = append(list, next+gap+i)
		}
		next += gap + n
	}
	return list
}

func (p *frameParser) checkShape(f *Frame) {
	if p.err != nil {
		return
	}
	switch {
	case len(f.New) == 0:
		p.fail("frame: want at least one new blob")
	case f.Kind == KindFull && len(f.Old) != 0:
		p.fail("full frame: want no old blob, got %d", len(f.Old))
	case f.Kind == KindBSDIFF40 && (len(f.Old) != 1 || len(f.New) != 1):
		p.fail("bsdiff40 frame: want one old and one new blob, got %d and %d", len(f.Old), len(f.New))
	case f.Kind == KindUnpacked && (len(f.Old) != 1 || len(f.New) != 1):
		p.fail("unpacked frame: want one old and one new blob, got %d and %d", len(f.Old), len(f.New))
	case f.Kind < KindFull || f.Kind > KindUnpacked:
		p.fail("frame: want a kind from 1 to 4, got %d", f.Kind)
	}
}
