package delta

import "math/bits"

// An extraModel codes new bytes that no cover explains. Contexts are the bytes
// before them, whether these come from covers or not; what followed the last
// cover in old, since it is often this that was replaced; and a longer match
// in the extra bytes so far.
type extraModel struct {
	model   *mixModel
	seen    []byte // extra bytes so far
	matches []int32
	match   int // place in seen that the next byte is compared with; 0 for none
	length  int // of the match so far
	word    uint32
}

const (
	maxMixedExtra = 1 << 20 // bytes of a section; more go to a column
	matchKey      = 5       // bytes that start a match
	matchBits     = 16
)

// newExtraModel returns a model for n bytes: 9 MiB for the most.
func newExtraModel(n int) *extraModel {
	size := uint(min(max(bits.Len(uint(n))+3, 12), 18))
	small := min(size, 16)
	return &extraModel{
		model:   newMixModel(16*8, 250, small, size, size, size, size, size, size, size, small),
		matches: make([]int32, 1<<matchBits),
		seen:    make([]byte, 0, n),
	}
}

// code codes bytes of new that follow those in tail, the last in the lowest
// byte; was holds what stands in old after the last cover, place by place, as
// far as there is any. It returns the new tail.
func (m *extraModel) code(a *arith, new, was []byte, tail uint64) uint64 {
	for i := range new {
		var w0, w1 uint32
		if i < len(was) {
			w0 = uint32(was[i]) + 1
		}
		if i+1 < len(was) {
			w1 = uint32(was[i+1]) + 1
		}
		new[i] = m.codeByte(a, new[i], tail, w0|w1<<9)
		tail = tail<<8 | uint64(new[i])
		m.push(new[i], tail)
	}
	return tail
}

func (m *extraModel) codeByte(a *arith, b byte, tail uint64, was uint32) byte {
	expected := uint32(0) // the byte that the match expects, plus one
	class := 0
	if m.match > 0 {
		expected = uint32(m.seen[m.match]) + 1
		class = min(bits.Len(uint(m.length)), 7)
	}
	t := uint32(tail)
	base := [9]uint32{
		hash2(t&0xff, 0),
		hash2(t&0xffff, 1),
		hash2(t&0xffffff, 2),
		hash2(t, 3),
		hash2(t, uint32(tail>>32)&0xffff|4<<16),
		hash2(was, t&0xff|5<<16),
		hash2(m.word, t&0xff|6<<16),
		hash2(was&0x1ff, t&0xffff|7<<16),
		hash2(expected, uint32(min(m.length, 31))|8<<16),
	}
	seen := uint32(1)
	for k := 7; k >= 0; k-- {
		var c [maxInputs]uint32
		for i, h := range base {
			c[i] = hash2(h, seen)
		}
		if expected != 0 && (expected-1|0x100)>>(k+1) != seen {
			expected, class = 0, 0 // the match was wrong
		}
		set := class
		if expected != 0 {
			set = class | 8
		}
		seen = seen<<1 | uint32(m.model.code(a, int(b>>k&1), &c, set<<3|k))
	}
	return byte(seen)
}

// push notes a byte, after which tail holds the last eight.
func (m *extraModel) push(b byte, tail uint64) {
	if m.match > 0 && m.seen[m.match] == b {
		m.match++
		m.length++
	} else {
		m.match, m.length = 0, 0
	}
	m.seen = append(m.seen, b)
	if c := b | 0x20; c >= 'a' && c <= 'z' || b == '_' || b == '$' || b >= 0x80 {
		m.word = (m.word + uint32(b) + 1) * 0x2F0B4C47
	} else {
		m.word = 0
	}
	if len(m.seen) < matchKey {
		return
	}
	key := (tail & (1<<(8*matchKey) - 1)) * mul1 >> (64 - matchBits)
	if m.match == 0 {
		m.match = int(m.matches[key])
	}
	m.matches[key] = int32(len(m.seen))
	if m.match >= len(m.seen) {
		m.match = 0
	}
}
