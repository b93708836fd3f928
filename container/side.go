package container

import (
	"encoding/binary"
)

// A segment is some whole blocks of a stream, with what came before.
type segment struct {
	content []byte // history, then the blocks
	history int
	tokens  []token
	blocks  []block
}

// writeSide appends what is to be said of a segment's blocks, if a predictor
// that has begun knows the tokens: everything but the content. It stops early
// when there are more than most corrections, and returns how many there were.
func writeSide(side []byte, p *predictor, s *segment, most int) (_ []byte, wrong int) {
	id := byte(p.id)
	if p.fresh && s.history > 0 {
		id |= flagAnew
	}
	side = append(side, id)
	p.segment(s.content, s.history)
	pos, first := s.history, 0
	for i, b := range s.blocks {
		tokens := s.tokens[first : first+b.tokens]
		side = writeBlock(side, b, i == len(s.blocks)-1)
		if b.kind != stored {
			var n int
			side, n = writeCorrections(side, p, pos, tokens, most-wrong)
			if wrong += n; wrong > most {
				return side, wrong
			}
		}
		pos += b.content
		first += b.tokens
	}
	return side, wrong
}

// findMakers finds out whose code lengths the dynamic blocks have.
func (s *segment) findMakers() {
	pos, first := s.history, 0
	for i := range s.blocks {
		b := &s.blocks[i]
		if b.kind == dynamic {
			n := count(s.tokens[first:first+b.tokens], s.content[pos:])
			for _, maker := range []int{headerZlib, headerGo} {
				var made bitWriter
				makeHeader(maker, n, &made)
				if made.put(0, 7); string(made.out) == string(b.header) {
					b.maker = maker
					break
				}
			}
		}
		pos += b.content
		first += b.tokens
	}
}

// writeBlock appends what is to be said of a block, but for its tokens.
func writeBlock(side []byte, b block, last bool) []byte {
	flags := b.kind<<flagKind | b.maker<<flagHeader
	if b.final {
		flags |= flagFinal
	}
	if last {
		flags |= flagRest
	}
	side = append(side, byte(flags))
	switch {
	case b.kind == stored:
		return binary.AppendUvarint(side, uint64(b.content))
	case !last:
		side = binary.AppendUvarint(side, uint64(b.tokens))
	}
	if b.kind == dynamic && b.maker == headerRaw {
		side = append(side, b.header...)
	}
	return side
}

// writeCorrections appends the tokens that were not predicted: how many, and
// for each how many were predicted in between, distance, length. It stops
// early when there are more than most.
func writeCorrections(side []byte, p *predictor, pos int, tokens []token, most int) ([]byte, int) {
	var list []byte
	n, skip := 0, 0
	for _, t := range tokens {
		right := p.predict(pos) == t
		p.accept(pos, t, right)
		pos += t.length()
		if right {
			skip++
			continue
		}
		list = binary.AppendUvarint(list, uint64(skip))
		list = binary.LittleEndian.AppendUint16(list, uint16(t.distance()))
		if t != literal {
			list = append(list, byte(t.length()-minMatch))
		}
		skip = 0
		if n++; n > most {
			break
		}
	}
	side = binary.AppendUvarint(side, uint64(n))
	return append(side, list...), n
}

// sideReader reads what writeSide wrote, and makes bits of it.
type sideReader struct {
	side []byte
	err  error
}

func (r *sideReader) byte() byte {
	if len(r.side) == 0 {
		r.fail("segment ends too early")
		return 0
	}
	b := r.side[0]
	r.side = r.side[1:]
	return b
}

// number reads a number of at most most.
func (r *sideReader) number(most int) int {
	v, n := binary.Uvarint(r.side)
	if n <= 0 || v > uint64(most) {
		r.fail("number is too large or cut off")
		return 0
	}
	r.side = r.side[n:]
	return int(v)
}

func (r *sideReader) fail(why string) {
	if r.err == nil {
		r.err = badForm("%s", why)
	}
	r.side = nil
}

// correction reads how many predicted tokens come before the next correction,
// and the correction.
func (r *sideReader) correction() (skip int, t token) {
	skip = r.number(maxBlockTokens)
	if len(r.side) < 2 {
		r.fail("segment ends too early")
		return 0, literal
	}
	distance := int(binary.LittleEndian.Uint16(r.side))
	r.side = r.side[2:]
	if distance == 0 {
		return skip, literal
	}
	if distance > window {
		r.fail("distance is too large")
	}
	return skip, match(int(r.byte())+minMatch, distance)
}

// tokens reads the tokens of a block: n of them, or as many as fill the
// content when n is negative.
func (r *sideReader) tokens(tokens []token, p *predictor, s *segment, pos, n int) []token {
	left := r.number(maxBlockTokens)
	skip, wrong := -1, literal
	if left > 0 {
		skip, wrong = r.correction()
	}
	for len(tokens) != n && (n >= 0 || pos < len(s.content)) && r.err == nil {
		t := wrong
		if skip == 0 {
			if t.length() > len(s.content)-pos || t.distance() > pos {
				r.fail("match reaches out of the content")
				break
			}
			p.accept(pos, t, false)
			if left--; left > 0 {
				skip, wrong = r.correction()
			} else {
				skip = -1
			}
		} else {
			if pos >= len(s.content) {
				r.fail("more tokens than content")
				break
			}
			t = p.predict(pos)
			p.accept(pos, t, true)
			skip--
		}
		if len(tokens) == maxBlockTokens {
			r.fail("too many tokens")
			break
		}
		pos += t.length()
		tokens = append(tokens, t)
	}
	if left > 0 {
		r.fail("corrections behind the last token")
	}
	return tokens
}
