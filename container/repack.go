package container

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"slices"
)

// Repack writes the file whose unpacked form r holds. It reads r once, in
// order, up to its end, and needs at most about 32 MiB, mostly far less. What
// it writes before it returns an error means nothing. Bytes that are not an
// unpacked form give a [FormatError].
func Repack(ctx context.Context, w io.Writer, r io.Reader) error {
	p := &repacker{ctx: ctx, in: bufio.NewReaderSize(r, 64<<10), out: newCutter(w), ledger: newLedger()}
	err := p.run()
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badForm("unpacked form ends too early")
	}
	return err
}

type repacker struct {
	ctx       context.Context
	in        *bufio.Reader
	out       *cutter
	ledger    *ledger
	predictor *predictor
	sums      checksums
	bits      bitWriter
	content   []byte
	tokens    []token
	side      []byte
	head      []byte
}

func (p *repacker) run() error {
	var start [len(magic)]byte
	if _, err := io.ReadFull(p.in, start[:]); err != nil {
		return err
	}
	if string(start[:]) != magic {
		return badForm("unknown magic")
	}
	for {
		kind, err := p.in.ReadByte()
		if err != nil {
			return err
		}
		if kind == recordEnd {
			break
		}
		if err := p.record(kind); err != nil {
			return err
		}
	}
	if _, err := p.in.ReadByte(); err != io.EOF {
		if err == nil {
			err = badForm("bytes behind the end")
		}
		return err
	}
	return p.out.close()
}

func (p *repacker) record(kind byte) error {
	switch kind {
	case recordPlain:
		return p.plain()
	case recordStream:
		return p.stream()
	case recordCheck:
		check, err := p.in.ReadByte()
		if err != nil {
			return err
		}
		if check >= checks {
			return badForm("unknown kind of check")
		}
		_, err = p.out.Write(p.sums.trailer(int(check)))
		return err
	case recordLocal, recordCentral, recordTail:
		return p.header(kind)
	case recordChunks:
		return p.chunks()
	case recordWhole:
		return p.out.whole()
	case recordSection:
		return p.section()
	case recordSeal:
		return p.seal()
	case recordDigests:
		return p.digests()
	}
	return badForm("unknown record %d", kind)
}

// number reads a number of at most most.
func (p *repacker) number(most uint64) (int64, error) {
	v, err := binary.ReadUvarint(p.in)
	if err != nil {
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			err = badForm("number is too large")
		}
		return 0, err
	}
	if v > most {
		return 0, badForm("number is too large: want at most %d, got %d", most, v)
	}
	return int64(v), nil
}

// plain copies bytes.
func (p *repacker) plain() error {
	n, err := p.number(1 << 62)
	for n > 0 && err == nil {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		part, err := p.in.Peek(int(min(n, int64(p.in.Size()))))
		if err != nil {
			return err
		}
		if _, err := p.out.Write(part); err != nil {
			return err
		}
		if _, err := p.in.Discard(len(part)); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return err
}

// header copies a header of a zip file, and puts in what is known.
func (p *repacker) header(kind byte) error {
	jump := int64(0)
	if kind == recordCentral {
		v, err := p.number(2 * maxEntries)
		if err != nil {
			return err
		}
		jump = v>>1 ^ -(v & 1)
	}
	n, err := p.number(maxHeader)
	if err != nil {
		return err
	}
	if p.head, err = readGrowing(p.in, p.head[:0], int(n)); err != nil {
		return err
	}
	least := map[byte]int{recordLocal: localHeader, recordCentral: centralHeader, recordTail: tailHeader}[kind]
	if len(p.head) < least {
		return badForm("header is too short")
	}
	ok := true
	switch kind {
	case recordLocal:
		ok = len(p.ledger.members) < maxEntries
		if ok {
			p.ledger.local(p.out.n, p.head)
		}
	case recordCentral:
		ok = p.ledger.central(p.out.n, p.head, jump, 1)
	default:
		ok = p.ledger.tail(p.out.n, p.head, 1)
	}
	if !ok {
		return badForm("directory without its members")
	}
	_, err = p.out.Write(p.head)
	return err
}

// chunks reads the sizes of the IDAT chunks that follow.
func (p *repacker) chunks() error {
	n, err := p.number(maxChunks)
	if err != nil {
		return err
	}
	var sizes []chunkRun
	for range n {
		times, err := p.number(1 << 31)
		if err != nil {
			return err
		}
		size, err := p.number(1<<31 - 1)
		if err != nil {
			return err
		}
		if size == 0 {
			return badForm("empty chunks")
		}
		sizes = append(sizes, chunkRun{times, size})
	}
	return p.out.cut(sizes)
}

// stream reads the segments of a deflate stream, and the bits behind it.
func (p *repacker) stream() error {
	started := p.start(p.out.cutting())
	for fresh := true; ; fresh = false {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		n, err := p.number(maxSide)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if p.side, err = readGrowing(p.in, p.side[:0], int(n)); err != nil {
			return err
		}
		if n, err = p.number(maxSegment); err != nil {
			return err
		}
		if err := p.filled(p.side, int(n), fresh); err != nil {
			return err
		}
	}
	pad, err := p.in.ReadByte()
	if err != nil {
		return err
	}
	return p.end(pad, started)
}

// section reads a deflate stream whose content stands behind all that is said
// of its segments.
func (p *repacker) section() error {
	coded, err := p.number(1 << 62)
	if err != nil {
		return err
	}
	p.side = p.side[:0]
	for {
		n, err := p.number(uint64(max(0, maxSide-len(p.side))))
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		p.side = binary.AppendUvarint(p.side, uint64(n))
		if p.side, err = readGrowing(p.in, p.side, int(n)); err != nil {
			return err
		}
		if n, err = p.number(maxSegment); err != nil {
			return err
		}
		p.side = binary.AppendUvarint(p.side, uint64(n))
	}
	pad, err := p.in.ReadByte()
	if err != nil {
		return err
	}
	started := p.start(true)
	next := func(b []byte) (int, []byte) { // numbers that were written above
		v, n := binary.Uvarint(b)
		return int(v), b[n:]
	}
	fresh := true
	for left := p.side; len(left) > 0; fresh = false {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		size, rest := next(left)
		side := rest[:size]
		size, left = next(rest[size:])
		if err := p.filled(side, size, fresh); err != nil {
			return err
		}
	}
	if err := p.end(pad, started); err != nil {
		return err
	}
	if p.sums.coded != coded {
		return badForm("stream has a wrong size: want %d bytes, got %d", coded, p.sums.coded)
	}
	return nil
}

// start begins a stream, whose Adler-32 may be wanted, and returns where.
func (p *repacker) start(zlib bool) int64 {
	p.sums = checksums{adler: 1, zlib: zlib}
	p.content = p.content[:0]
	return p.out.size
}

// filled reads the content of a segment, and writes it.
func (p *repacker) filled(side []byte, n int, fresh bool) (err error) {
	history := keepHistory(&p.content)
	if p.content, err = readGrowing(p.in, p.content, n); err != nil {
		return err
	}
	return p.segment(side, history, fresh)
}

// end fills the last byte of a stream.
func (p *repacker) end(pad byte, started int64) error {
	if p.bits.n > 0 {
		p.bits.put(uint64(pad)&(1<<(8-p.bits.n)-1), 8-p.bits.n)
	}
	if err := p.spill(0); err != nil {
		return err
	}
	p.sums.coded = p.out.size - started
	p.ledger.stream(&p.sums)
	return nil
}

// spill writes the bits that are whole bytes, if there are more than so many.
func (p *repacker) spill(most int) error {
	if len(p.bits.out) <= most {
		return nil
	}
	_, err := p.out.Write(p.bits.out)
	p.bits.out = p.bits.out[:0]
	return err
}

// segment writes the blocks of a segment.
func (p *repacker) segment(told []byte, history int, fresh bool) error {
	side := &sideReader{side: told}
	first := side.byte()
	id := int(first &^ flagAnew)
	if id >= len(matchers) {
		return badForm("unknown matcher %d", id)
	}
	if p.predictor == nil {
		p.predictor = newPredictor()
	}
	anew := first&flagAnew != 0
	if !fresh && !anew && id != p.predictor.id {
		return badForm("matcher changes in a stream")
	}
	if fresh || anew {
		p.predictor.begin(id)
	}
	s := &segment{content: p.content, history: history}
	p.predictor.segment(s.content, history)
	p.sums.add(s.content[history:])
	pos := history
	for len(side.side) > 0 {
		pos = p.block(side, s, pos)
		if side.err != nil {
			return side.err
		}
		if err := p.spill(32 << 10); err != nil {
			return err
		}
	}
	if side.err == nil && pos != len(s.content) {
		side.fail("content behind the last block")
	}
	return side.err
}

// block writes one block, and returns where the next one starts.
func (p *repacker) block(side *sideReader, s *segment, pos int) int {
	flags := int(side.byte())
	kind := flags >> flagKind & 3
	if flags&flagUnused != 0 || kind > dynamic {
		side.fail("unknown kind of block")
		return pos
	}
	p.bits.put(uint64(flags&7), 3) // RFC 1951 §3.2.3 has them in the same order
	if kind == stored {
		n := side.number(min(65535, len(s.content)-pos))
		if side.err == nil {
			p.bits.stored(s.content[pos : pos+n])
		}
		return pos + n
	}
	n := -1
	if flags&flagRest == 0 {
		n = side.number(maxBlockTokens)
	}
	lengths, maker := &codeLengths{}, flags>>flagHeader&3
	if kind == fixed {
		lengths = fixedLengths()
	}
	var raw bitWriter
	if kind == dynamic && maker == headerRaw {
		in := &bitReader{buf: side.side}
		if err := lengths.read(in, &raw); err != nil || in.fail() != nil {
			side.fail("bad code lengths")
			return pos
		}
		p.bits.copyBits(side.side, int(in.pos()))
		side.side = side.side[(in.pos()+7)/8:]
	}
	p.tokens = side.tokens(p.tokens[:0], p.predictor, s, pos, n)
	if side.err != nil {
		return pos
	}
	if kind == dynamic && maker != headerRaw {
		lengths = makeHeader(maker, count(p.tokens, s.content[pos:]), &p.bits)
	}
	return p.bits.tokens(p.tokens, s.content, pos, lengths)
}

// readGrowing appends n bytes of r. It allocates as they arrive.
func readGrowing(r io.Reader, b []byte, n int) ([]byte, error) {
	for n > 0 {
		part := min(n, max(64<<10, len(b)))
		b = slices.Grow(b, part)
		if _, err := io.ReadFull(r, b[len(b):len(b)+part]); err != nil {
			return b, err
		}
		b = b[:len(b)+part]
		n -= part
	}
	return b, nil
}

// keepHistory drops all but the last 32 KiB, and returns how many there are.
func keepHistory(content *[]byte) int {
	n := min(len(*content), window)
	copy(*content, (*content)[len(*content)-n:])
	*content = (*content)[:n]
	return n
}
