package container

import (
	"encoding/binary"
	"math/bits"
)

// A matcher is how a compressor looks for matches.
type matcher struct {
	hash      int // of hashZlib …
	greedy    bool
	good      int // a match as long as this shortens the search for a better one
	lazy      int // one as long as this ends it; greedy: longer ones are not indexed
	nice      int // one as long as this is taken at once
	chain     int // how many places are looked at
	shortest  int // the shortest match that is taken
	near      int // how far back the shortest may be
	reach     int // how far back any may be
	skipFirst bool
}

// Ways to find the places that may match. It decides which are looked at.
const (
	hashNone     = iota // there are no matches
	hashZlib            // three bytes, shifted and mixed
	hashChromium        // four bytes, multiplied: zlib as Chromium and Node.js have it
	hashGo              // four bytes, multiplied and of more bits
	hashFast            // Go's level 1, which searches otherwise
)

// zlibReach is how far back zlib looks. It never looks at the first byte.
const zlibReach = window - maxMatch - minMatch - 1

// matchers are the known ones. The unpacked form names them by their place, so
// they are never reordered. The likely ones stand first.
var matchers = makeMatchers()

func makeMatchers() []matcher {
	all := []matcher{{}}
	levels := []struct{ good, lazy, nice, chain int }{
		6: {8, 16, 128, 128}, 7: {8, 32, 128, 256}, 8: {32, 128, 258, 1024}, 9: {32, 258, 258, 4096},
		5: {8, 16, 32, 32}, 4: {4, 4, 16, 16}, 3: {4, 6, 32, 32}, 2: {4, 5, 16, 8}, 1: {4, 4, 8, 4},
	}
	for _, hash := range []int{hashZlib, hashChromium} {
		for _, n := range []int{6, 9, 8, 7, 5, 4, 3, 2, 1} {
			l := levels[n]
			m := matcher{hash: hash, greedy: n < 4, good: l.good, lazy: l.lazy, nice: l.nice, chain: l.chain,
				shortest: 3, near: 4096, reach: zlibReach, skipFirst: true}
			if m.greedy {
				m.near = window
			}
			all = append(all, m)
		}
	}
	for _, n := range []int{6, 9, 8, 7, 5, 4, 3, 2} {
		l := levels[n]
		m := matcher{hash: hashGo, greedy: n < 4, good: maxMatch + 1, lazy: l.lazy, nice: l.nice, chain: l.chain,
			shortest: 4, near: 4096, reach: window}
		all = append(all, m)
	}
	for _, n := range []int{6, 9} { // zlib with Z_FILTERED, as libpng uses it
		l := levels[n]
		all = append(all, matcher{hash: hashZlib, good: l.good, lazy: l.lazy, nice: l.nice, chain: l.chain,
			shortest: 6, near: window, reach: zlibReach, skipFirst: true})
	}
	return append(all, matcher{hash: hashFast})
}

// predictor says which token a compressor would make next. Places are indexed
// by their position in the stream, from top on, so that neither a new segment
// nor a new stream has to clear the index.
type predictor struct {
	matcher
	id      int
	deep    bool
	head    []uint32 // latest place of a hash
	prev    []link   // from a place to the one before, found by its lowest bits
	buf     []byte   // history and segment
	origin  uint32   // place of buf[0]
	low     uint32   // first place of the stream that may match
	top     uint32   // place of the end of buf
	indexed int      // buf is indexed up to here
	fresh   bool     // begun, and no segment yet
	history int      // bytes of buf before the segment
	plan    plan
	next    struct {
		pos    int // where the match was found; -1: nowhere
		length int
		dist   int
	}
}

// link leads from a place to the one before it that has the same hash.
type link struct {
	back uint16 // how far, at most farAway
	rank uint16 // how many places there were with this hash, modulo 2¹⁶
}

// farAway stands for all distances that are too large.
const farAway = 1<<16 - 1

// ring is how many places are linked: those of the window, and those that are
// indexed ahead.
const ring = 2 * window

// slideAt is a place high enough to slide the index.
const slideAt = 1 << 30

func newPredictor() *predictor {
	return &predictor{prev: make([]link, ring), head: make([]uint32, 1<<17), top: 1}
}

// begin starts a stream, or starts again in the middle of one, with a matcher.
func (p *predictor) begin(id int) {
	p.id, p.matcher = id, matchers[id]
	p.deep = !p.greedy && p.chain >= 256
	p.top += ring
	if p.top > slideAt {
		clear(p.head)
		p.top = 1
	}
	p.low = p.top
	if p.skipFirst {
		p.low++
	}
	p.fresh, p.buf, p.indexed = true, nil, 0
}

// segment goes on with buf, whose first bytes are history. The predictor has
// seen these, unless it began again.
func (p *predictor) segment(buf []byte, history int) {
	if p.top > slideAt {
		p.slide()
	}
	if p.fresh { // it has seen nothing, and indexes the history too
		p.top += uint32(history)
		p.indexed = 0
	} else {
		p.indexed = max(0, p.indexed+history-len(p.buf))
	}
	p.fresh = false
	p.origin = p.top - uint32(history)
	p.top += uint32(len(buf) - history)
	p.buf, p.history = buf, history
	p.next.pos = -1
	p.plan.to = 0
}

// slide moves all places down.
func (p *predictor) slide() {
	delta := p.top - ring // a multiple of the ring's size: prev is found by the lowest bits
	delta -= delta % ring
	for i, at := range p.head {
		p.head[i] = at - min(at, delta)
	}
	p.top -= delta
	p.low -= min(p.low, delta)
	p.low = max(p.low, 1)
}

// predict returns the token that starts at pos of the segment.
func (p *predictor) predict(pos int) token {
	switch p.hash {
	case hashNone:
		return literal
	case hashFast:
		return p.planned(pos)
	}
	length, dist := 0, 0
	if p.next.pos == pos {
		length, dist = p.next.length, p.next.dist
	} else {
		length, dist = p.search(pos, p.shortest-1, p.chain)
	}
	if length < minMatch {
		return literal
	}
	if !p.greedy && length < p.lazy {
		chain := p.chain
		if length >= p.good {
			chain >>= 2
		}
		if l, d := p.search(pos+1, length, chain); l > 0 {
			p.next.pos, p.next.length, p.next.dist = pos+1, l, d
			return literal
		}
	}
	return match(length, dist)
}

// accept goes on behind a token, which need not be the one that was predicted.
func (p *predictor) accept(pos int, t token, predicted bool) {
	if !predicted {
		p.next.pos = -1
	}
	switch p.hash {
	case hashNone:
		return
	case hashFast:
		p.planAt(pos)
		return
	}
	if t == literal {
		return // search indexes up to where it looks
	}
	if p.greedy && t.length() > p.lazy {
		p.index(pos + 1)
		p.indexed = pos + t.length()
		return
	}
	p.index(pos + t.length())
}

// index indexes all places before pos, as far as there are bytes to hash.
func (p *predictor) index(pos int) {
	switch p.hash {
	case hashGo:
		p.indexGo(min(pos, len(p.buf)-3))
	case hashChromium:
		p.indexChromium(min(pos, len(p.buf)-3))
	default:
		p.indexZlib(min(pos, len(p.buf)-2))
	}
}

func (p *predictor) indexZlib(end int) {
	buf, prev, head := p.buf, p.prev[:ring], p.head[:1<<15]
	for i := p.indexed; i < end; i++ {
		at := p.origin + uint32(i)
		h := (uint32(buf[i])<<10 ^ uint32(buf[i+1])<<5 ^ uint32(buf[i+2])) & (1<<15 - 1)
		prev[at&(ring-1)] = link{uint16(min(at-head[h], farAway)), prev[head[h]&(ring-1)].rank + 1}
		head[h] = at
	}
	p.indexed = max(p.indexed, end)
}

func (p *predictor) indexChromium(end int) {
	buf, prev, head := p.buf, p.prev[:ring], p.head[:1<<15]
	for i := p.indexed; i < end; i++ {
		at := p.origin + uint32(i)
		h := (binary.LittleEndian.Uint32(buf[i:])*66521 + 66521) >> 16 & (1<<15 - 1)
		prev[at&(ring-1)] = link{uint16(min(at-head[h], farAway)), prev[head[h]&(ring-1)].rank + 1}
		head[h] = at
	}
	p.indexed = max(p.indexed, end)
}

func (p *predictor) indexGo(end int) {
	buf, prev, head := p.buf, p.prev[:ring], p.head[:1<<17]
	for i := p.indexed; i < end; i++ {
		at := p.origin + uint32(i)
		h := binary.BigEndian.Uint32(buf[i:]) * 0x1e35a7bd >> 15
		prev[at&(ring-1)] = link{uint16(min(at-head[h], farAway)), prev[head[h]&(ring-1)].rank + 1}
		head[h] = at
	}
	p.indexed = max(p.indexed, end)
}

// search looks for a match at pos that is longer than floor. It returns zeros
// if there is none.
func (p *predictor) search(pos, floor, chain int) (length, dist int) {
	if p.deep && pos+hashed <= len(p.buf) {
		return p.searchDeep(pos, floor, chain)
	}
	if p.indexed <= pos {
		p.index(pos + 1)
		if p.indexed <= pos {
			return 0, 0 // too near the end
		}
	}
	longest := min(maxMatch, len(p.buf)-pos)
	if floor >= longest {
		return 0, 0
	}
	buf, prev := p.buf, p.prev[:ring]
	scan := buf[pos : pos+longest]
	nice := min(p.nice, longest)
	at := p.origin + uint32(pos)
	low := max(p.low, at-min(at, uint32(p.reach)))
	best, found := max(floor, 2), uint32(0)
	// A longer match must agree in the bytes that end where the best one does.
	from, mask := max(0, best-3), uint32(1<<32-1)
	if best == 2 {
		mask = 1<<24 - 1
	}
	var end uint32
	if len(scan) >= 4 {
		end = binary.LittleEndian.Uint32(scan[from:]) & mask
	} else {
		end = uint32(scan[0]) | uint32(scan[1])<<8 | uint32(scan[2])<<16
	}
	place := at
	for {
		step := uint32(prev[place&(ring-1)].back)
		if place -= step; step == farAway || place < low {
			break
		}
		i := int(place - p.origin)
		if binary.LittleEndian.Uint32(buf[i+from:])&mask == end {
			if n := matchLength(scan, buf[i:i+longest]); n > best {
				best, found = n, place
				if n >= nice {
					break
				}
				from, mask = best-3, 1<<32-1
				end = binary.LittleEndian.Uint32(scan[from:])
			}
		}
		if chain--; chain <= 0 || at-place == window {
			break
		}
	}
	dist = int(at - found)
	if found == 0 || best < p.shortest || best == p.shortest && dist > p.near {
		return 0, 0
	}
	return best, dist
}

// searchDeep is search for long chains, with the same result. A match that is
// longer than the best one holds all its hashes, at their offsets. So it can be
// looked for along the chain of that offset whose next place is farthest away,
// and often there is none. Ranks tell whether the plain search, along the chain
// of pos itself, would have come so far.
func (p *predictor) searchDeep(pos, floor, chain int) (length, dist int) {
	if ahead := pos + maxMatch; p.indexed < ahead {
		p.index(ahead)
	}
	longest := min(maxMatch, len(p.buf)-pos)
	if floor >= longest || p.indexed <= pos {
		return 0, 0
	}
	buf, prev := p.buf, p.prev[:ring]
	scan := buf[pos : pos+longest]
	nice := min(p.nice, longest)
	at := p.origin + uint32(pos)
	low := max(p.low, at-min(at, uint32(p.reach)))
	best, found := max(floor, 2), uint32(0)
	from, mask := max(0, best-3), uint32(1<<32-1)
	if best == 2 {
		mask = 1<<24 - 1
	}
	end := binary.LittleEndian.Uint32(scan[from:]) & mask
	rank := prev[at&(ring-1)].rank
	offset := p.rarest(at, min(best+1, p.indexed-pos+hashed-1))
	place := at + offset
	for steps := max(4*chain, 1<<12); steps > 0; steps-- {
		step := uint32(prev[place&(ring-1)].back)
		if place -= step; step == farAway || place < low+offset {
			break
		}
		candidate := place - offset
		i := int(candidate - p.origin)
		if binary.LittleEndian.Uint32(buf[i+from:])&mask == end {
			if n := matchLength(scan, buf[i:i+longest]); n > best {
				if int(rank-prev[candidate&(ring-1)].rank) > chain {
					break
				}
				best, found = n, candidate
				if n >= nice {
					break
				}
				from, mask = best-3, 1<<32-1
				end = binary.LittleEndian.Uint32(scan[from:])
				offset = p.rarest(candidate, best)
				place = candidate + offset
			}
		}
		if at-candidate == window {
			break
		}
	}
	dist = int(at - found)
	if found == 0 || best < p.shortest || best == p.shortest && dist > p.near {
		return 0, 0
	}
	return best, dist
}

// hashed is how many bytes a hash is made of, at most.
const hashed = 4

// rarest returns the offset, of those whose hash is in n bytes from a place,
// whose link leads farthest.
func (p *predictor) rarest(place uint32, n int) (offset uint32) {
	prev, farthest := p.prev[:ring], uint16(0)
	for k := range uint32(max(1, n-hashed+1)) {
		if back := prev[(place+k)&(ring-1)].back; back > farthest {
			farthest, offset = back, k
		}
	}
	return offset
}

// matchLength returns how many bytes are equal. The slices are equally long.
func matchLength(a, b []byte) int {
	n := 0
	for ; n+8 <= len(a); n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}
