package container

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
)

// Unpack writes to w the unpacked form of the file that r holds. It returns
// [ErrPlain] if the file is no container, has no deflate stream, or could not
// be made again from what was written; what was written then means nothing.
// It repacks while it unpacks, and compares the result with the file.
func Unpack(ctx context.Context, w io.Writer, r io.ReaderAt, size int64) error {
	find, err := finder(r, size)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pr, pw := io.Pipe()
	checked := make(chan error, 1)
	same := &comparer{r: r, size: size}
	go func() {
		err := Repack(ctx, same, pr)
		if err == nil && same.at != size {
			err = errDiffers
		}
		pr.CloseWithError(err)
		checked <- err
	}()
	u := &unpacker{ctx: ctx, src: r, size: size, ledger: newLedger(),
		out: bufio.NewWriterSize(io.MultiWriter(w, pw), 64<<10)}
	err = u.run(find)
	pw.CloseWithError(err)
	var format *FormatError
	if verdict := <-checked; verdict != nil && (err == nil || errors.Is(err, verdict)) {
		err = verdict
	}
	if errors.Is(err, errDiffers) || errors.As(err, &format) {
		return ErrPlain
	}
	return err
}

// Known reports whether a file may have an unpacked form: whether it begins like
// a container or, as a program, has compressed sections.
func Known(r io.ReaderAt, size int64) bool {
	if _, err := finder(r, size); err != nil {
		return false
	}
	u := &unpacker{src: r, size: size}
	return !isProgram(u.read(0, 4)) || len(u.packedSections()) > 0
}

// finder returns the function that finds the streams of a file of this kind.
func finder(r io.ReaderAt, size int64) (func(*unpacker) error, error) {
	start := make([]byte, min(size, 8))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), start); err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte(gzipMagic)):
		return (*unpacker).gzip, nil
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return (*unpacker).zip, nil
	case string(start) == pngMagic:
		return (*unpacker).png, nil
	case isProgram(start):
		return (*unpacker).sections, nil
	}
	return nil, ErrPlain
}

var errDiffers = errors.New("repacked file differs")

// comparer compares what is written with a file.
type comparer struct {
	r    io.ReaderAt
	size int64
	at   int64
	buf  []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	if int64(len(b)) > c.size-c.at {
		return 0, errDiffers
	}
	if len(c.buf) < len(b) {
		c.buf = make([]byte, len(b))
	}
	n, err := c.r.ReadAt(c.buf[:len(b)], c.at)
	if n < len(b) {
		return 0, err
	}
	if !bytes.Equal(c.buf[:len(b)], b) {
		return 0, errDiffers
	}
	c.at += int64(len(b))
	return len(b), nil
}

// unpacker writes records. All of src before at is written.
type unpacker struct {
	ctx      context.Context
	src      io.ReaderAt
	size     int64
	at       int64
	out      *bufio.Writer
	ledger   *ledger
	inflater inflater
	chooser  chooser
	sums     checksums
	streams  int
	err      error // sticky; of out, src or ctx
}

func (u *unpacker) run(find func(*unpacker) error) error {
	u.write([]byte(magic))
	if err := find(u); err != nil {
		return err
	}
	u.plain(u.size)
	u.write([]byte{recordEnd})
	if u.err == nil && u.streams == 0 {
		return ErrPlain
	}
	if u.err != nil {
		return u.err
	}
	return u.out.Flush()
}

func (u *unpacker) write(b []byte) {
	if u.err == nil {
		_, u.err = u.out.Write(b)
	}
}

func (u *unpacker) number(n int64) { u.write(binary.AppendUvarint(nil, uint64(n))) }

// read returns n bytes of src, or fewer at its end.
func (u *unpacker) read(at int64, n int) []byte {
	n = int(max(0, min(int64(n), u.size-at)))
	b := make([]byte, n)
	if u.err == nil && n > 0 {
		if got, err := u.src.ReadAt(b, at); got < n {
			u.err = err
		}
	}
	return b
}

// plain writes bytes of src as they are, up to a position.
func (u *unpacker) plain(to int64) {
	if to <= u.at {
		return
	}
	u.write([]byte{recordPlain})
	u.number(to - u.at)
	for u.at < to && u.err == nil {
		part := u.read(u.at, int(min(to-u.at, 64<<10)))
		u.write(part)
		u.at += int64(len(part))
		if u.err == nil {
			u.err = u.ctx.Err()
		}
	}
}

// check writes that what comes next is the trailer of the last stream, if so.
func (u *unpacker) check(kind int) bool {
	want := u.sums.trailer(kind)
	if !bytes.Equal(u.read(u.at, len(want)), want) {
		return false
	}
	u.write([]byte{recordCheck, byte(kind)})
	u.at += int64(len(want))
	return true
}

// stream unpacks the deflate stream that starts at a position, up to its end
// or to the first block that cannot be kept, and at most up to a limit. It
// reports whether it got to the end.
func (u *unpacker) stream(from, limit int64, zlib bool) bool {
	begun := false
	end, done := u.segments(from, limit, zlib, func(s *segment) {
		if !begun {
			u.plain(from)
			u.write([]byte{recordStream})
			begun = true
		}
		u.segment(s)
	})
	if begun {
		u.end(from, end)
	}
	return done && begun
}

// segments takes a stream apart, and returns the bit behind the last block.
func (u *unpacker) segments(from, limit int64, zlib bool, take func(*segment)) (end int64, done bool) {
	f := &u.inflater
	buf := f.in.buf
	if buf == nil {
		buf = make([]byte, 64<<10)
	}
	f.in = bitReader{r: io.NewSectionReader(u.src, from, limit-from), buf: buf[:0]}
	f.content, f.tokens, f.history = f.content[:0], f.tokens[:0], 0
	u.sums = checksums{adler: 1, zlib: zlib}
	var blocks []block
	for !done && u.err == nil {
		if u.err = u.ctx.Err(); u.err != nil {
			break
		}
		b, at, err := f.next()
		if u.err = f.in.err; err == nil {
			blocks = append(blocks, b)
			done = b.final
			end = f.in.pos()
		} else {
			end = at
		}
		full := len(f.content)-f.history >= segmentContent || len(f.tokens) >= segmentContent || len(blocks) >= segmentContent/64
		if len(blocks) > 0 && (full || done || err != nil) {
			take(&segment{content: f.content, history: f.history, tokens: f.tokens, blocks: blocks})
			blocks = blocks[:0]
			f.slide()
		}
		if err != nil {
			break
		}
	}
	return end, done
}

// end ends a stream at a bit, and keeps the rest of its byte.
func (u *unpacker) end(from, bit int64) {
	pad := byte(0)
	if bit%8 != 0 {
		if last := u.read(from+bit/8, 1); len(last) == 1 {
			pad = last[0] >> (bit % 8)
		}
	}
	u.write([]byte{0, pad})
	u.at = from + (bit+7)/8
	u.sums.coded = u.at - from
	u.ledger.stream(&u.sums)
	u.streams++
}

// segment writes a segment.
func (u *unpacker) segment(s *segment) {
	if u.err != nil {
		return
	}
	content := s.content[s.history:]
	s.findMakers()
	side := u.chooser.side(s)
	u.sums.add(content)
	u.number(int64(len(side)))
	u.write(side)
	u.number(int64(len(content)))
	u.write(content)
}
