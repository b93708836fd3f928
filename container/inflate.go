package container

import (
	"errors"
	"math/bits"
)

// Limits of a block. A block that is larger ends what is unpacked of its
// stream. zlib makes at most 32,767 tokens, which hold at most 8.1 MiB.
const (
	maxBlockTokens  = 1 << 20
	maxBlockContent = 9 << 20
)

var (
	errBadBlock = errors.New("not a deflate block that can be kept")
	errTooLarge = errors.New("deflate block is too large")
)

// Types of blocks, RFC 1951 §3.2.3.
const (
	stored = iota
	fixed
	dynamic
)

// block is what is known of a block beside its content.
type block struct {
	final   bool
	kind    int
	header  []byte // of a dynamic block: its bits from HLIT on, padded with zeros
	maker   int    // who makes the same header
	tokens  int    // how many there are; none in a stored block
	content int    // bytes
}

// inflater takes a deflate stream apart, block by block.
type inflater struct {
	in      bitReader
	content []byte  // history, then the blocks of a segment
	tokens  []token // of the segment
	history int     // bytes of content that are older than the segment
	lit     decoder
	dist    decoder
	lengths codeLengths
}

// next appends a block's content and tokens. If it fails, these are as they
// were, and at is the position of the bit the block starts at.
func (f *inflater) next() (b block, at int64, err error) {
	f.in.refill()
	at = f.in.pos()
	start, first := len(f.content), len(f.tokens)
	b, err = f.read()
	if err == nil {
		err = f.in.fail()
	}
	if err != nil {
		f.content, f.tokens = f.content[:start], f.tokens[:first]
		return b, at, err
	}
	b.content, b.tokens = len(f.content)-start, len(f.tokens)-first
	return b, at, nil
}

func (f *inflater) read() (b block, err error) {
	b.final = f.in.take(1) == 1
	b.kind = int(f.in.take(2))
	switch b.kind {
	case stored:
		return b, f.readStored()
	case fixed:
		f.lengths = *fixedLengths()
	case dynamic:
		raw := bitWriter{}
		if err := f.lengths.read(&f.in, &raw); err != nil {
			return b, err
		}
		raw.put(0, 7) // fills the last byte
		b.header = raw.out
	default:
		return b, errBadBlock
	}
	if !f.lit.init(f.lengths.lit[:]) || !f.dist.init(f.lengths.dist[:]) {
		return b, errBadBlock
	}
	return b, f.readCoded()
}

func (f *inflater) readStored() error {
	f.in.refill()
	pad := f.in.n & 7
	if f.in.take(pad) != 0 {
		return errBadBlock
	}
	f.in.refill()
	n, not := f.in.take(16), f.in.take(16)
	if f.in.n < 0 || n != not^0xffff {
		return errBadBlock
	}
	start := len(f.content)
	f.content = append(f.content, make([]byte, n)...)
	return f.in.bytes(f.content[start:])
}

// readCoded reads tokens up to the end of the block.
func (f *inflater) readCoded() error {
	in, out, tokens := &f.in, f.content, f.tokens
	lastToken, lastByte := len(tokens)+maxBlockTokens, len(out)+maxBlockContent
	defer func() { f.content, f.tokens = out, tokens }()
	for {
		if in.n < 48 {
			in.refill()
		}
		sym := f.lit.decode(in)
		if sym < 256 {
			out, tokens = append(out, byte(sym)), append(tokens, literal)
			if len(tokens) > lastToken {
				return errTooLarge
			}
			continue
		}
		if sym == endOfBlock {
			return nil
		}
		if sym -= 257; sym >= len(symbols.lengths) {
			return errBadBlock
		}
		l := symbols.lengths[sym]
		length := int(l.base) + int(in.take(int(l.extra)))
		if length == maxMatch && l.extra > 0 {
			return errBadBlock // may be written in two ways, and this is the other one
		}
		if sym = f.dist.decode(in); sym >= distSymbols {
			return errBadBlock
		}
		d := symbols.distances[sym]
		distance := int(d.base) + int(in.take(int(d.extra)))
		if distance > len(out) || in.n < 0 {
			return errBadBlock
		}
		if tokens = append(tokens, match(length, distance)); len(tokens) > lastToken || len(out) > lastByte {
			return errTooLarge
		}
		out = appendMatch(out, length, distance)
	}
}

// appendMatch repeats what stands a distance back.
func appendMatch(out []byte, length, distance int) []byte {
	from := len(out) - distance
	if distance >= length {
		return append(out, out[from:from+length]...)
	}
	for ; length > 0; length-- {
		out = append(out, out[from])
		from++
	}
	return out
}

// slide keeps the last 32 KiB of content as history, and starts a segment.
func (f *inflater) slide() {
	n := min(len(f.content), window)
	copy(f.content, f.content[len(f.content)-n:])
	f.content, f.tokens, f.history = f.content[:n], f.tokens[:0], n
}

// noSymbol is what decode returns for bits that are no code.
const noSymbol = 1 << 10

// fastBits is the length of the longest code that one look finds.
const fastBits = 10

// decoder finds symbols by their codes. Codes of at most fastBits bits are
// looked up, longer ones compared length by length.
type decoder struct {
	fast   [1 << fastBits]uint16 // symbol<<4 | length, or zero
	sorted [288]uint16           // symbols by length, then value
	count  [16]uint16
}

// init reports whether the lengths make a code; one with unused bits is fine.
func (d *decoder) init(lengths []uint8) bool {
	clear(d.fast[:])
	clear(d.count[:])
	for _, n := range lengths {
		d.count[n]++
	}
	d.count[0] = 0
	var next, at [17]int // next code and next place of each length
	code := 0
	for n := 1; n < 16; n++ {
		code = (code + int(d.count[n-1])) << 1
		next[n] = code
		at[n+1] = at[n] + int(d.count[n])
		if code+int(d.count[n]) > 1<<n {
			return false
		}
	}
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		d.sorted[at[n]] = uint16(sym)
		at[n]++
		if n <= fastBits {
			reversed := bits.Reverse16(uint16(next[n])) >> (16 - n)
			for i := int(reversed); i < len(d.fast); i += 1 << n {
				d.fast[i] = uint16(sym)<<4 | uint16(n)
			}
		}
		next[n]++
	}
	return true
}

// decode returns the next symbol, or noSymbol.
func (d *decoder) decode(in *bitReader) int {
	if e := d.fast[in.acc&(1<<fastBits-1)]; e != 0 {
		in.drop(int(e & 15))
		return int(e >> 4)
	}
	return d.decodeLong(in)
}

func (d *decoder) decodeLong(in *bitReader) int {
	code, first, at := 0, 0, 0
	for n := 1; n < 16; n++ {
		code |= int(in.acc>>(n-1)) & 1
		c := int(d.count[n])
		if code-first < c {
			in.drop(n)
			return int(d.sorted[at+code-first])
		}
		at += c
		first = (first + c) << 1
		code <<= 1
	}
	return noSymbol
}
