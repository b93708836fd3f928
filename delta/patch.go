package delta

import (
	"context"
	"fmt"
	"io"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Output receives one new blob. Write is called with all bytes in order, then
// Finish exactly once: with nil when the digest of what was written is the
// wanted one, else with the error, upon which the bytes must be thrown away.
type Output interface {
	io.Writer
	Finish(err error) error
}

// Patch makes the new blobs of one frame. It reads the frame's stored bytes
// from r, where offset 0 is the start of the frame, and checks their digest
// before it looks into them. It opens the blobs of Frame.Old by their numbers,
// and closes them: those that earlier frames make must be there already. For
// each new blob, in order, it calls create; where create returns nil, that blob
// is skipped. Old blobs need not be verified before: what is made of wrong ones
// has a wrong digest.
//
// Patch may be called for several frames at once. One call needs at most
// 64 MiB, whatever the sizes; for an unpacked frame up to 32 MiB more, and a
// temporary file.
func (h *Head) Patch(ctx context.Context, frame int, r io.ReaderAt, open func(old int) (File, error), create func(Ref) (Output, error)) (err error) {
	f := &h.Frames[frame]
	sr := io.NewSectionReader(r, 0, f.Size)
	if err := verify(ctx, sr, f.Ref, frame); err != nil {
		return err
	}
	out := &blobWriter{ctx: ctx, refs: f.New, create: create}
	defer func() { err = out.finish(err) }()
	if f.Kind == KindFull {
		return patchFull(out, sr, f.newSize())
	}
	old := newOldSet(h, f, open)
	defer func() {
		if e := old.close(); err == nil {
			err = e
		}
	}()
	if f.Kind == KindBSDIFF40 {
		return patchBSDIFF40(out, old, sr, f.newSize())
	}
	if f.Kind == KindUnpacked {
		return patchUnpacked(ctx, out, old, sr)
	}
	return patchNative(out, old, sr, f.newSize())
}

// verify compares the digest of a frame's stored bytes.
func verify(ctx context.Context, r *io.SectionReader, want Ref, frame int) error {
	got, n, err := manifest.SumReader(&ctxReader{ctx, r})
	if err != nil {
		return fmt.Errorf("read frame %d: %w", frame, err)
	}
	if n != want.Size {
		return fmt.Errorf("read frame %d: want %d bytes, got %d: %w", frame, want.Size, n, io.ErrUnexpectedEOF)
	}
	if got != want.Digest {
		return &DigestError{What: fmt.Sprintf("frame %d", frame), Want: want.Digest, Got: got}
	}
	_, err = r.Seek(0, io.SeekStart)
	return err
}

// A ctxReader stops reading when its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// patchFull makes new blobs out of their compressed content.
func patchFull(w io.Writer, r io.Reader, size int64) error {
	d, err := newZstdReader(r, maxWindow)
	if err != nil {
		return badFormat("full frame", "%v", err)
	}
	defer d.Close()
	return copyExactly(w, d, size, "full frame")
}

// copyExactly copies size bytes, after which r must end.
func copyExactly(w io.Writer, r io.Reader, size int64, what string) error {
	src := &sourceReader{r: r}
	n, err := io.CopyBuffer(onlyWriter{w}, io.LimitReader(src, size), make([]byte, min(64<<10, size+1)))
	if src.err != nil {
		return badFormat(what, "%v", src.err)
	}
	if err != nil {
		return err
	}
	if n < size {
		return badFormat(what, "want %d bytes, got %d", size, n)
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return &LimitError{What: what, Max: size, Size: size + 1}
	case err != io.EOF:
		return badFormat(what, "%v", err)
	}
	return nil
}

// A sourceReader remembers which errors came from reading.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// onlyWriter hides ReadFrom, which would choose its own buffer.
type onlyWriter struct{ io.Writer }

// A sectionPatcher makes the new bytes of one section of a native frame.
type sectionPatcher struct {
	out    io.Writer
	old    *oldSet
	sealer *sealer
	cols   [numColumns]*columnReader
	buf    []byte

	left     int64 // new bytes to make
	oldEnd   int64 // of the last cover
	zeros    int64 // residuals to come that are zero
	nonzeros int64 // and, after these, that are not
}

func patchNative(w io.Writer, old *oldSet, r *io.SectionReader, newSize int64) error {
	list, seals, err := readSections(r, newSize)
	if err != nil {
		return err
	}
	p := &sectionPatcher{out: w, old: old, sealer: newSealer(seals), buf: make([]byte, 128<<10)}
	for i := range list {
		if err := p.section(&list[i], r); err != nil {
			return fmt.Errorf("patch section %d: %w", i, err)
		}
	}
	return nil
}

func (p *sectionPatcher) section(s *section, r *io.SectionReader) (err error) {
	defer p.closeColumns()
	for c := range numColumns {
		size := s.cols[c]
		if p.cols[c], err = openColumn(c, io.NewSectionReader(r, size.at, size.stored), size.raw); err != nil {
			return err
		}
	}
	p.left, p.oldEnd, p.zeros, p.nonzeros = s.size, 0, 0, 0
	if s.coding == 0 {
		err = p.plain(s)
	} else {
		err = p.mixed(s)
	}
	if err != nil {
		return err
	}
	for _, c := range p.cols {
		if err := c.end(); err != nil {
			return err
		}
	}
	return nil
}

func (p *sectionPatcher) closeColumns() {
	for i, c := range p.cols {
		if c != nil {
			c.close()
		}
		p.cols[i] = nil
	}
}

// plain makes a section whose residuals and extra bytes are in columns.
func (p *sectionPatcher) plain(s *section) error {
	newEnd := int64(0)
	for range s.covers {
		c, err := p.nextCover(s.size, newEnd)
		if err != nil {
			return err
		}
		if err := p.extra(int64(c.new) - newEnd); err != nil {
			return err
		}
		if err := p.copyCover(int64(c.old), int64(c.n)); err != nil {
			return err
		}
		newEnd = int64(c.new + c.n)
	}
	if err := p.extra(s.size - newEnd); err != nil {
		return err
	}
	return p.endResiduals()
}

// endResiduals checks that all residuals are used up.
func (p *sectionPatcher) endResiduals() error {
	if p.zeros != 0 || p.nonzeros != 0 {
		return badFormat("residuals", "want none after the last cover, got %d", p.zeros+p.nonzeros)
	}
	return nil
}

// nextCover reads the next cover of a section of a size. The last one ended at
// newEnd and p.oldEnd.
func (p *sectionPatcher) nextCover(size, newEnd int64) (cover, error) {
	skip, err := p.cols[colSkip].number(size - newEnd)
	if err != nil {
		return cover{}, err
	}
	n, err := p.cols[colLength].number(size - newEnd - skip)
	if err != nil {
		return cover{}, err
	}
	jump, err := p.cols[colJump].jump()
	if err != nil {
		return cover{}, err
	}
	if n == 0 || n > p.old.size() || jump < -p.oldEnd || jump > p.old.size()-n-p.oldEnd {
		return cover{}, badFormat("cover", "want one inside the %d old bytes, got %d bytes at %d%+d", p.old.size(), n, p.oldEnd, jump)
	}
	at := p.oldEnd + jump
	p.oldEnd = at + n
	return cover{old: int(at), new: int(newEnd + skip), n: int(n)}, nil
}

// mixed makes a section whose residuals are a stream of bits.
func (p *sectionPatcher) mixed(s *section) (err error) {
	covers := make([]cover, 0, s.covers) // at most maxMixedCovers
	newEnd, extra := int64(0), s.size
	for range s.covers {
		c, err := p.nextCover(s.size, newEnd)
		if err != nil {
			return err
		}
		covers = append(covers, c)
		newEnd, extra = int64(c.new+c.n), extra-int64(c.n)
	}
	if s.coding&codingExtra != 0 && extra > maxMixedExtra {
		return badFormat("mixed section", "want at most %d extra bytes, got %d", maxMixedExtra, extra)
	}
	var a *arith
	if s.coding&codingMixed != 0 {
		a = newDecoder(&p.cols[colMixed].Reader)
	}
	m := newMixedCoder(a, s.coding, s.tables, int(min(extra, maxMixedExtra)))
	if a == nil {
		m.plain = func(pred, new []byte) error {
			copy(new, pred)
			return p.addResiduals(new)
		}
	}
	m.space, m.read = p.old.space, p.old.readAt
	if m.predictor, err = p.predictor(s, covers); err != nil {
		return err
	}
	err = m.walk(covers, s.size, func(n int) []byte { return p.buf[:n] }, p.cols[colExtra].fill, func(b []byte) error {
		if a != nil && a.overrun() != nil {
			return a.overrun()
		}
		return p.write(b)
	})
	if err != nil {
		return err
	}
	if a == nil {
		return p.endResiduals()
	}
	return a.end()
}

func (p *sectionPatcher) predictor(s *section, covers []cover) (*predictor, error) {
	b := make([]byte, s.cols[colLayout].raw)
	if err := p.cols[colLayout].fill(b); err != nil {
		return nil, err
	}
	var modules []module
	if len(b) > 0 {
		var err error
		if modules, err = readModules(b, p.old.space, s.size); err != nil {
			return nil, err
		}
	}
	return newPredictor(modules, covers, p.old.space, p.old.readAt)
}

// extra copies n bytes that no cover explains.
func (p *sectionPatcher) extra(n int64) error {
	for n > 0 {
		b := p.buf[:min(n, int64(len(p.buf)))]
		if err := p.cols[colExtra].fill(b); err != nil {
			return err
		}
		if err := p.write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// copyCover makes n new bytes out of the old ones from position at.
func (p *sectionPatcher) copyCover(at, n int64) error {
	for n > 0 {
		b := p.buf[:min(n, int64(len(p.buf)))]
		if err := p.old.readAt(b, at); err != nil {
			return err
		}
		if err := p.addResiduals(b); err != nil {
			return err
		}
		if err := p.write(b); err != nil {
			return err
		}
		at, n = at+int64(len(b)), n-int64(len(b))
	}
	return nil
}

// addResiduals adds the next residuals to the predicted bytes.
func (p *sectionPatcher) addResiduals(b []byte) error {
	var value [256]byte
	for {
		k := min(int64(len(b)), p.zeros)
		b, p.zeros = b[k:], p.zeros-k
		for len(b) > 0 && p.nonzeros > 0 {
			v := value[:min(int64(len(b)), p.nonzeros, int64(len(value)))]
			if err := p.cols[colValue].fill(v); err != nil {
				return err
			}
			for i := range v {
				b[i] += v[i]
			}
			b, p.nonzeros = b[len(v):], p.nonzeros-int64(len(v))
		}
		if len(b) == 0 {
			return nil
		}
		if err := p.nextRun(); err != nil {
			return err
		}
	}
}

func (p *sectionPatcher) nextRun() (err error) {
	if p.zeros, err = p.cols[colZeros].number(p.left); err != nil {
		return err
	}
	if p.nonzeros, err = p.cols[colRun].number(p.left - p.zeros); err != nil {
		return err
	}
	if p.zeros+p.nonzeros == 0 {
		return badFormat("residuals", "want at least one in a run")
	}
	return nil
}

// write hands over the next new bytes, after which b is of no more use.
func (p *sectionPatcher) write(b []byte) error {
	p.left -= int64(len(b))
	p.sealer.show(b)
	_, err := p.out.Write(b)
	return err
}
