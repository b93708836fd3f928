package container

import (
	"encoding/binary"
	"slices"
)

// Go's compress/flate has a search of its own for level 1, BestSpeed, which its
// linker uses for debug sections: it takes content in chunks of one size, each
// of which becomes a block, looks at one earlier place only, and passes over
// places where it has found nothing for long. What it makes of a chunk depends
// on the content alone. So the tokens of a chunk are planned all at once, when
// the first of them is asked for, and corrections change nothing.

const (
	fastChunk = 65535 // bytes of content
	fastLeast = 128   // a shorter chunk gets no matches
	fastEnd   = 15    // bytes at the end of a chunk where none begin
	fastHash  = 14    // of hashes
)

// plan is what becomes of the chunk that holds the last token.
type plan struct {
	from, to int     // in the segment; to is 0 when there is none
	tokens   []token // that begin at its places; 0 is none, or a literal
}

// planned returns the token that starts at pos.
func (p *predictor) planned(pos int) token {
	p.planAt(pos)
	if t := p.plan.tokens[pos-p.plan.from]; t != 0 {
		return t
	}
	return literal
}

// planAt plans the chunk that pos is in. Chunks of which no token is told,
// such as those in stored blocks, are not seen.
func (p *predictor) planAt(pos int) {
	if pos < p.plan.to || pos >= len(p.buf) {
		return
	}
	from := pos - (pos-p.history)%fastChunk
	p.plan.from, p.plan.to = from, min(from+fastChunk, len(p.buf))
	size := p.plan.to - from
	p.plan.tokens = slices.Grow(p.plan.tokens[:0], size)[:size]
	clear(p.plan.tokens)
	if size >= fastLeast && p.planChunk() > size-size>>4 {
		clear(p.plan.tokens)
	}
}

// planChunk finds the matches of a chunk, and returns how many tokens it has.
func (p *predictor) planChunk() (n int) {
	from, buf := p.plan.from, p.buf[:p.plan.to]
	last := len(buf) - fastEnd
	n = len(buf) - from
	for s := from; ; {
		i := 0
		for next, skip := s, 32; ; {
			s = next
			next += skip >> 5
			skip += skip >> 5
			if next > last {
				return n
			}
			var ok bool
			if i, ok = p.fast(s, buf); ok {
				break
			}
		}
		for ok := true; ok; i, ok = p.fast(s, buf) {
			longest := min(maxMatch, len(buf)-s)
			length := matchLength(buf[s:s+longest], buf[i:i+longest])
			p.plan.tokens[s-from] = match(length, s-i)
			n -= length - 1
			if s += length; s >= last {
				return n
			}
			p.fast(s-1, buf)
		}
		s++
	}
}

// fast puts a place in the place of the last one with its hash, and reports
// whether a match of four bytes begins there.
func (p *predictor) fast(s int, buf []byte) (i int, ok bool) {
	v := binary.LittleEndian.Uint32(buf[s:])
	h := v * 0x1e35a7bd >> (32 - fastHash)
	at := p.origin + uint32(s)
	place := p.head[h]
	p.head[h] = at
	if place < p.low || at-place > window {
		return 0, false
	}
	i = int(place - p.origin)
	return i, binary.LittleEndian.Uint32(buf[i:]) == v
}
