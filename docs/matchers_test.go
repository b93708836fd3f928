package docs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/container"
)

// Appendix "unpacked form", matchers.

type token struct{ length, distance int } // a literal has the length 1 and the distance 0

// matcher predicts tokens. Places are those of the content that it has seen.
type matcher struct {
	hash                    string
	good, lazy, nice, chain int
	greedy, deep            bool
	shortest, near, reach   int
	first                   int // place that may match

	content []byte
	end     int // of what can be looked at: that of the segment
	indexed int
	last    map[uint32]int // place of a hash
	links   []int          // to the place before; -1: none
	ahead   token          // match that was found in advance,
	at      int            // at this place

	start, chunk, stop int // of the segment, of the chunk and its end: of level 1 of Go
	matches            map[int]token
}

func newMatcher(id int) *matcher {
	levels := map[int]matcher{1: {good: 4, lazy: 4, nice: 8, chain: 4, greedy: true}, 2: {good: 4, lazy: 5, nice: 16, chain: 8, greedy: true},
		3: {good: 4, lazy: 6, nice: 32, chain: 32, greedy: true}, 4: {good: 4, lazy: 4, nice: 16, chain: 16}, 5: {good: 8, lazy: 16, nice: 32, chain: 32},
		6: {good: 8, lazy: 16, nice: 128, chain: 128}, 7: {good: 8, lazy: 32, nice: 128, chain: 256},
		8: {good: 32, lazy: 128, nice: 258, chain: 1024}, 9: {good: 32, lazy: 258, nice: 258, chain: 4096}}
	order := []int{6, 9, 8, 7, 5, 4, 3, 2, 1}
	var m matcher
	level := 0
	switch {
	case id == 0:
		return &m
	case id <= 18:
		level = order[(id-1)%9]
		m = levels[level]
		m.hash, m.shortest, m.near, m.reach, m.first = "zlib", 3, 4096, 32506, 1
		if m.greedy {
			m.near = 32768
		}
		if id > 9 {
			m.hash = "chromium"
		}
	case id == 29:
		return &matcher{hash: "go 1", last: map[uint32]int{}}
	case id <= 26:
		level = order[id-19]
		m = levels[level]
		m.hash, m.good, m.shortest, m.near, m.reach = "go", 259, 4, 4096, 32768
	default:
		level = []int{6, 9}[id-27]
		m = levels[level]
		m.hash, m.shortest, m.near, m.reach, m.first = "zlib", 6, 32768, 32506, 1
	}
	m.deep, m.last, m.at = level >= 7, map[uint32]int{}, -1
	return &m
}

func (m *matcher) hashOf(p int) (h uint32, ok bool) {
	b := m.content[p:m.end]
	switch {
	case m.hash == "zlib" && len(b) >= 3:
		return (uint32(b[0])<<10 ^ uint32(b[1])<<5 ^ uint32(b[2])) & (1<<15 - 1), true
	case m.hash == "chromium" && len(b) >= 4:
		return (binary.LittleEndian.Uint32(b)*66521 + 66521) >> 16 & (1<<15 - 1), true
	case m.hash == "go" && len(b) >= 4:
		return binary.BigEndian.Uint32(b) * 0x1E35A7BD >> 15, true
	}
	return 0, false
}

// index links all places before to.
func (m *matcher) index(to int) {
	for ; m.indexed < to; m.indexed++ {
		h, ok := m.hashOf(m.indexed)
		if !ok {
			return
		}
		for len(m.links) <= m.indexed {
			m.links = append(m.links, -1)
		}
		if p, ok := m.last[h]; ok && m.indexed-p <= 65534 {
			m.links[m.indexed] = p
		}
		m.last[h] = m.indexed
	}
}

func (m *matcher) equal(p, q int) int {
	n := 0
	for n < 258 && q+n < m.end && m.content[p+n] == m.content[q+n] {
		n++
	}
	return n
}

func (m *matcher) search(at, floor, chain int) token {
	if m.deep && at+4 <= m.end {
		return m.searchDeep(at, floor, chain)
	}
	if m.index(at + 1); m.indexed <= at {
		return token{}
	}
	longest := min(258, m.end-at)
	best, found := max(floor, 2), -1
	for p := m.links[at]; p >= max(m.first, at-m.reach) && chain > 0; p = m.links[p] {
		if n := m.equal(p, at); n > best {
			best, found = n, p
			if n >= min(m.nice, longest) {
				break
			}
		}
		if chain--; at-p == 32768 {
			break
		}
	}
	return m.result(at, best, found)
}

func (m *matcher) result(at, best, found int) token {
	if found < 0 || best < m.shortest || best == m.shortest && at-found > m.near {
		return token{}
	}
	return token{best, at - found}
}

func (m *matcher) back(p int) int {
	if m.links[p] < 0 {
		return 65535
	}
	return p - m.links[p]
}

func (m *matcher) rarest(p, n int) (k int) {
	most := 0
	for i := range max(1, n-3) {
		if b := m.back(p + i); b > most {
			most, k = b, i
		}
	}
	return k
}

// far reports whether the chain of a place has more links up to another than n.
func (m *matcher) far(at, p, n int) bool {
	for ; at != p; n-- {
		if n == 0 {
			return true
		}
		at = m.links[at]
	}
	return false
}

func (m *matcher) searchDeep(at, floor, chain int) token {
	m.index(min(at+258, m.end))
	longest := min(258, m.end-at)
	if m.indexed <= at || floor >= longest {
		return token{}
	}
	best, found := max(floor, 2), -1
	offset := m.rarest(at, min(best+1, m.indexed-at+3))
	x := at + offset
	for range max(4*chain, 4096) {
		if m.back(x) == 65535 {
			break
		}
		x -= m.back(x)
		c := x - offset
		if c < m.first || at-c > m.reach {
			break
		}
		if n := m.equal(c, at); n > best {
			if m.far(at, c, chain) {
				break
			}
			best, found = n, c
			if n >= min(m.nice, longest) {
				break
			}
			offset = m.rarest(c, best)
			x = c + offset
		}
		if at-c == 32768 {
			break
		}
	}
	return m.result(at, best, found)
}

// look notes a place, and returns the one noted before, or -1 if no match of
// four bytes begins there.
func (m *matcher) look(at int) int {
	x := binary.LittleEndian.Uint32(m.content[at:])
	h := x * 0x1E35A7BD >> 18
	p, ok := m.last[h]
	m.last[h] = at
	if !ok || at-p > 32768 || binary.LittleEndian.Uint32(m.content[p:]) != x {
		return -1
	}
	return p
}

// plan finds the matches of a chunk.
func (m *matcher) plan() (tokens int) {
	m.matches = map[int]token{}
	tokens, last, s, p := m.stop-m.chunk, m.stop-15, m.chunk, -1
	for {
		for skip, next := 32, s; ; skip += skip >> 5 {
			if s, next = next, next+skip>>5; next > last {
				return tokens
			}
			if p = m.look(s); p >= 0 {
				break
			}
		}
		for p >= 0 {
			n := 4
			for n < 258 && s+n < m.stop && m.content[p+n] == m.content[s+n] {
				n++
			}
			m.matches[s] = token{n, s - p}
			tokens -= n - 1
			if s += n; s >= last {
				return tokens
			}
			m.look(s - 1)
			p = m.look(s)
		}
		s++
	}
}

func (m *matcher) planned(at int) token {
	if at >= m.stop {
		m.chunk = m.start + (at-m.start)/65535*65535
		m.stop = min(m.chunk+65535, m.end)
		if size := m.stop - m.chunk; size < 128 || m.plan() > size-size/16 {
			m.matches = nil
		}
	}
	if t, ok := m.matches[at]; ok {
		return t
	}
	return token{1, 0}
}

func (m *matcher) predict(at int) token {
	switch m.hash {
	case "":
		return token{1, 0}
	case "go 1":
		return m.planned(at)
	}
	t := m.ahead
	if m.at != at {
		t = m.search(at, m.shortest-1, m.chain)
	}
	if t.length == 0 {
		return token{1, 0}
	}
	if !m.greedy && t.length < m.lazy {
		chain := m.chain
		if t.length >= m.good {
			chain /= 4
		}
		if next := m.search(at+1, t.length, chain); next.length > 0 {
			m.ahead, m.at = next, at+1
			return token{1, 0}
		}
	}
	return t
}

// past goes on behind a token that was predicted.
func (m *matcher) past(at int, t token) {
	switch {
	case m.hash == "" || m.hash == "go 1" || t.distance == 0:
	case m.greedy && t.length > m.lazy:
		m.index(at + 1)
		m.indexed = at + t.length
		for len(m.links) < m.indexed {
			m.links = append(m.links, -1)
		}
	default:
		m.index(at + t.length)
	}
}

// bitsOf reads a deflate stream of blocks with fixed codes, RFC 1951 §3.2.6.
type bitsOf struct {
	b  []byte
	at int
}

func (r *bitsOf) take(n int) (v int) {
	for i := range n {
		v |= int(r.b[r.at/8]>>(r.at%8)&1) << i
		r.at++
	}
	return v
}

func (r *bitsOf) code(n int) int { return int(bits.Reverse16(uint16(r.take(n))) >> (16 - n)) }

// symbol reads a literal, a length or the end of a block.
func (r *bitsOf) symbol() int {
	v := r.code(7)
	if v < 24 {
		return 256 + v
	}
	v = v<<1 | r.take(1)
	switch {
	case v < 192:
		return v - 48
	case v < 200:
		return 280 + v - 192
	}
	return 144 + v<<1 | r.take(1) - 400
}

// tokens reads all blocks.
func (r *bitsOf) tokens(t *testing.T) (list []token) {
	for final := 0; final == 0; {
		if final = r.take(1); r.take(2) != 1 {
			t.Fatal("a block has no fixed codes")
		}
		for s := r.symbol(); s != 256; s = r.symbol() {
			if s < 256 {
				list = append(list, token{1, 0})
				continue
			}
			length, distance := 258, 0
			if s -= 257; s < 8 {
				length = 3 + s
			} else if s < 28 {
				extra := s/4 - 1
				length = 3 + (4+s%4)<<extra + r.take(extra)
			}
			if d := r.code(5); d < 4 {
				distance = 1 + d
			} else {
				extra := d/2 - 1
				distance = 1 + (2+d%2)<<extra + r.take(extra)
			}
			list = append(list, token{length, distance})
		}
	}
	return list
}

// The matchers of FORMAT.md must make the tokens of package container, over
// segments of a stream, and begun anew.
func TestSecondMatchers(t *testing.T) {
	parts := []string{
		strings.Join(words(1, 900), "") + strings.Repeat("abcabd", 700) + string(make([]byte, 1000)),
		strings.Join(words(1, 300), "") + strings.Join(words(2, 300), ""),
		"ab", "",
		strings.Join(words(3, 9000), ""),
		strings.Join(words(2, 500), "") + strings.Repeat("x", 300),
	}
	for id := range 30 {
		t.Run(fmt.Sprint(id), func(t *testing.T) {
			form := []byte("tgunpk1\n\x02")
			var want []token
			m, seen := newMatcher(id), 0
			for i, part := range parts {
				matcher, flags := byte(id), byte(1<<1|1<<5) // fixed codes, to the end of the segment
				if i == len(parts)-1 {
					flags |= 1
					matcher |= 128
					history := m.content[max(0, len(m.content)-32768):]
					m, seen = newMatcher(id), len(history)
					m.content = history
				}
				form = append(form, 3, matcher, flags, 0)
				form = append(binary.AppendUvarint(form, uint64(len(part))), part...)
				m.content = append(bytes.Clone(m.content), part...)
				m.start, m.stop, m.end = seen, 0, len(m.content)
				for seen < m.end {
					p := m.predict(seen)
					m.past(seen, p)
					want = append(want, p)
					seen += p.length
				}
			}
			var stream bytes.Buffer
			if err := container.Repack(t.Context(), &stream, bytes.NewReader(append(form, 0, 0, 0))); err != nil {
				t.Fatal(err)
			}
			got := (&bitsOf{b: stream.Bytes()}).tokens(t)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("token %d is %v, want %v", i, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d tokens, want %d", len(got), len(want))
			}
		})
	}
}
