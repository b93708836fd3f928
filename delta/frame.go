package delta

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/treegraft-dev/treegraft/internal/macho"
	"github.com/treegraft-dev/treegraft/manifest"
	"golang.org/x/sync/errgroup"
)

// frameResult is one frame, made.
type frameResult struct {
	kind Kind
	old  []int
	data *spool
	why  string
}

// frame makes a frame in the best way: as a delta, unless the content itself
// is smaller.
func (p *packer) frame(ctx context.Context, j *job) (*frameResult, error) {
	delta, err := p.inTime(ctx, j)
	if err != nil {
		return nil, err
	}
	if delta.data != nil {
		likely, err := estimateFull(ctx, j)
		if err != nil || delta.data.size <= likely/2 {
			return delta, err
		}
	}
	full := &spool{limit: spoolMemory}
	if delta.data != nil {
		full.most = delta.data.size - 1
	}
	if err := writeFull(ctx, j, p.o.Level, full); err != nil {
		full.close()
		if delta.data != nil && errors.Is(err, errTooLarge) {
			return delta, nil
		}
		delta.data.close()
		return nil, err
	}
	why := delta.why
	if delta.data != nil {
		why = fmt.Sprintf("the full content takes %d bytes, a delta %d", full.size, delta.data.size)
	}
	return &frameResult{kind: KindFull, data: full, why: why}, delta.data.close()
}

// inTime is delta, but gives up when that takes too long.
func (p *packer) inTime(ctx context.Context, j *job) (*frameResult, error) {
	if p.o.Time == 0 {
		return p.delta(ctx, j)
	}
	short, cancel := context.WithTimeout(ctx, p.o.Time)
	defer cancel()
	r, err := p.delta(short, j)
	if short.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &frameResult{why: fmt.Sprintf("a delta takes longer than %v to make", p.o.Time)}, nil
	}
	return r, err
}

// delta makes a frame by the wanted codec. If that is not possible, the
// result has no data, but says why.
func (p *packer) delta(ctx context.Context, j *job) (*frameResult, error) {
	switch {
	case p.o.Codec == BSDIFF40:
		return p.bsdiffFrame(ctx, j)
	case len(p.old) == 0:
		return &frameResult{why: "there is no old content"}, nil
	}
	var r *frameResult
	var err error
	if j.container && p.o.without&containers == 0 {
		r, err = p.unpackedFrame(ctx, j)
	}
	if r == nil && err == nil {
		r, err = p.nativeFrame(ctx, j)
	}
	if errors.Is(err, errOther) {
		return &frameResult{why: err.Error()}, nil
	}
	return r, err
}

func (p *packer) bsdiffFrame(ctx context.Context, j *job) (*frameResult, error) {
	b := &j.blobs[0]
	i, ok := p.pairs.find(b)
	if !ok {
		return &frameResult{why: "there is no old file of this name"}, nil
	}
	if b.Size > maxBSDIFF40 || p.old[i].Size > maxBSDIFF40 {
		return &frameResult{why: "too large for bsdiff40"}, nil
	}
	data := &spool{limit: spoolMemory}
	if err := DiffBSDIFF40(ctx, data, p.old[i], *b); err != nil {
		data.close()
		return nil, err
	}
	return &frameResult{kind: KindBSDIFF40, old: []int{i}, data: data}, nil
}

// nativeFrame makes a native frame, one section after the other. It keeps all
// covers, but the content of one section only.
func (p *packer) nativeFrame(ctx context.Context, j *job) (_ *frameResult, err error) {
	in := &jobReader{ctx: ctx, blobs: j.blobs}
	data := &spool{limit: spoolMemory}
	defer func() {
		in.close()
		if err != nil {
			data.close()
		}
	}()
	seals, err := p.seals(j)
	if err != nil {
		return nil, err
	}
	hidden := newSealer(seals)
	var list []section
	var covers [][]cover
	for at := int64(0); at < j.size; {
		new := make([]byte, min(p.section, j.size-at))
		if _, err := io.ReadFull(in, new); err != nil {
			return nil, err
		}
		hidden.hide(new)
		s, c, err := p.data(ctx, j, at, new, data)
		if err != nil {
			return nil, err
		}
		list, covers = append(list, s), append(covers, c)
		at += s.size
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	mark := make([]bool, len(p.space.starts)-1)
	for _, c := range covers {
		p.space.used(c, mark)
	}
	var old []int
	for i, m := range mark {
		if m {
			old = append(old, i)
		}
	}
	frame := &spool{limit: spoolMemory}
	if err := p.assemble(frame, list, seals, covers, old, data); err != nil {
		frame.close()
		return nil, err
	}
	return &frameResult{kind: KindNative, old: old, data: frame}, data.close()
}

// data makes the data columns of the section new, which starts at a position
// of the job, and returns its covers over all old blobs.
func (p *packer) data(ctx context.Context, j *job, at int64, new []byte, w io.Writer) (section, []cover, error) {
	a := p.arena
	if a == nil {
		var err error
		size := min(p.o.Memory/oldShare, 4*int64(len(new))+4*sketchBlock)
		if a, err = p.sketch.choose(ctx, p.old, p.space, new, size); err != nil {
			return section{}, nil, err
		}
	}
	found, err := a.covers(ctx, new, p.hints(a, j, at, len(new)), p.o.Workers, j.reach)
	if err != nil {
		return section{}, nil, err
	}
	covers := a.toOld(found)
	if p.o.Level == Fast || len(covers) > maxMixedCovers {
		s := section{size: int64(len(new)), covers: int64(len(covers))}
		return s, covers, s.pack(w, dataColumns(found, a.old, new), p.o)
	}
	s, covers, err := p.mixed(ctx, j, at, a, covers, new, w)
	return s, covers, err
}

func (p *packer) mixed(ctx context.Context, j *job, at int64, a *arena, covers []cover, new []byte, w io.Writer) (section, []cover, error) {
	list := p.executables(j, at, new)
	covers, err := p.rematch(list, covers, new)
	if err != nil {
		return section{}, nil, err
	}
	s := section{size: int64(len(new)), covers: int64(len(covers))}
	if s.layout, err = p.worthwhile(list, covers, new); err == nil {
		e := mixedEncoder{packer: p, arena: a, covers: covers, new: new}
		err = e.encode(ctx, &s, w)
	}
	return s, covers, err
}

// errOther reports an encoder that does not know what its decoder will do.
var errOther = errors.New("a delta would make something else")

// hints lists where the blobs of a job start, and where the old blob of the
// same name does.
func (p *packer) hints(a *arena, j *job, from int64, n int) (hints []hint) {
	at := int64(0)
	for i := range j.blobs {
		if k, ok := p.pairs.find(&j.blobs[i]); ok && at >= from && at < from+int64(n) {
			if o, ok := a.find(p.space.starts[k]); ok {
				hints = append(hints, hint{new: int(at - from), old: o})
			}
		}
		at += j.blobs[i].Size
	}
	return hints
}

// assemble writes the frame: header, control columns, data columns.
func (p *packer) assemble(w io.Writer, list []section, seals []macho.Seal, covers [][]cover, old []int, data *spool) error {
	control := &spool{limit: spoolMemory}
	defer control.close()
	for i := range list {
		cols := controlColumns(p.space.narrow(covers[i], old))
		cols[colLayout] = layoutColumn(list[i].layout, old)
		if err := list[i].pack(control, cols, p.o); err != nil {
			return err
		}
	}
	if _, err := w.Write(appendSections(nil, list, seals)); err != nil {
		return err
	}
	if _, err := control.WriteTo(w); err != nil {
		return err
	}
	_, err := data.WriteTo(w)
	return err
}

// pack compresses those columns that are there, writes them, and notes their
// sizes.
func (s *section) pack(w io.Writer, cols [numColumns][]byte, o Options) error {
	var packed [numColumns][]byte
	var g errgroup.Group
	g.SetLimit(o.Workers)
	for c, raw := range cols {
		g.Go(func() error {
			if packed[c] = raw; column(c) != colMixed {
				packed[c] = packColumn(column(c), raw, o.Level)
			}
			return nil
		})
	}
	g.Wait() // none fails
	for c, b := range packed {
		if len(b) == 0 {
			continue
		}
		s.cols[c] = columnSize{raw: int64(len(cols[c])), stored: int64(len(b))}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// writeFull writes the compressed content of a job.
func writeFull(ctx context.Context, j *job, l Level, w io.Writer) error {
	in := &jobReader{ctx: ctx, blobs: j.blobs}
	defer in.close()
	if _, _, err := WriteObject(ctx, w, in, l); err != nil {
		return err
	}
	return in.end()
}

const (
	samples    = 8
	sampleSize = 64 << 10
)

// estimateFull returns about how many bytes the compressed content of a job
// takes, out of a few samples: compressing everything would cost more than
// making the delta. Zero means that it may be very few.
func estimateFull(ctx context.Context, j *job) (int64, error) {
	in := &jobReader{ctx: ctx, blobs: j.blobs}
	defer in.close()
	e, done := encoderKind{zstd.SpeedDefault, sampleSize}.encoder()
	defer done()
	var raw, packed int64
	buf := make([]byte, sampleSize)
	for i := range int64(samples) {
		b := buf[:min(sampleSize, j.size)]
		if err := in.readAt(b, (j.size-int64(len(b)))*i/(samples-1)); err != nil {
			return 0, err
		}
		raw += int64(len(b))
		packed += int64(len(e.EncodeAll(b, nil)))
		if j.size <= sampleSize {
			break
		}
	}
	if packed*64 < raw {
		return 0, nil // so redundant that samples tell little
	}
	return int64(float64(packed) / float64(raw) * float64(j.size)), nil
}

// A jobReader reads the new blobs of a job one behind the other, and verifies
// each when it has read it.
type jobReader struct {
	ctx   context.Context
	blobs []Blob
	next  int // blob to open
	cur   *Blob
	file  File
	at    int64
	hash  hash.Hash
}

func (r *jobReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	for r.cur == nil || r.at == r.cur.Size {
		if err := r.verify(); err != nil {
			return 0, err
		}
		if r.next == len(r.blobs) {
			return 0, io.EOF
		}
		f, err := r.blobs[r.next].Open()
		if err != nil {
			return 0, fmt.Errorf("open %s: %w", r.blobs[r.next].Name, err)
		}
		r.cur, r.file, r.at, r.hash = &r.blobs[r.next], f, 0, manifest.NewHash()
		r.next++
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.cur.Size-r.at, 1<<20)], r.at)
	r.hash.Write(p[:n])
	r.at += int64(n)
	if n == 0 {
		return 0, fmt.Errorf("read %s: %w", r.cur.Name, noEOF(err))
	}
	return n, nil
}

// verify closes the present blob, all of which was read.
func (r *jobReader) verify() error {
	if r.cur == nil {
		return nil
	}
	b := r.cur
	if err := r.close(); err != nil {
		return err
	}
	if got := manifest.SumOf(r.hash); got != b.Digest {
		return &DigestError{What: b.Name, Want: b.Digest, Got: got}
	}
	return nil
}

// end checks that everything was read.
func (r *jobReader) end() error {
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("read new blobs: want their end: %w", err)
	}
	return nil
}

func (r *jobReader) close() error {
	if r.cur == nil {
		return nil
	}
	b := r.cur
	r.cur = nil
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", b.Name, err)
	}
	return nil
}

// readAt reads any part, without verifying.
func (r *jobReader) readAt(p []byte, at int64) error {
	for i := 0; len(p) > 0; i++ {
		b := &r.blobs[i]
		if at >= b.Size {
			at -= b.Size
			continue
		}
		f, err := b.Open()
		if err != nil {
			return fmt.Errorf("open %s: %w", b.Name, err)
		}
		part := p[:min(int64(len(p)), b.Size-at)]
		n, err := f.ReadAt(part, at)
		f.Close()
		if n < len(part) {
			return fmt.Errorf("read %s: %w", b.Name, noEOF(err))
		}
		p, at = p[n:], 0
	}
	return nil
}
