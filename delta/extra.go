package delta

import "math/bits"

const (
	// A section with more extra bytes has a column of them instead.
	maxMixedExtra = 64 << 20

	extraHashed  = 6               // contexts that have a table
	extraInputs  = extraHashed + 1 // and the match
	extraClasses = 8               // of matches, by length
	extraHistory = 2 << 20         // extra bytes that a match can reach back

	matchKey   = 5 // bytes that start a match
	matchBits  = 18
	matchCheck = 8 // bits of a hash that tell false matches
)

// An extraModel codes new bytes that no cover explains. Contexts are one, two
// and three bytes before them, whether these come from covers or not;
// what followed the last cover in old, since it is often this
// that was replaced; the word so far, or in other data than text the second
// and the fourth byte back; and the fourth and the eighth byte back, for
// tables. Beside these, a longer match in the extra bytes so far says what may
// follow. Memory does not grow with the number of bytes.
type extraModel struct {
	t       *mixTables
	tables  [extraHashed]lineTable
	weights [extraClasses * 32][extraInputs]int32
	rights  [16 * 32]slot // by length of a match and place in the byte: whether its bit is right
	touched cell

	seen    []byte  // the last extra bytes, as a ring
	at      int     // how many there were, plus one
	matches []int32 // by hash of bytes: the place in seen behind them, and a check
	match   int     // place in seen that the next byte is compared with
	length  int     // of the match so far; 0 for none
	word    uint32
}

// extraSizes is log2 of the most lines of a context. 256 bytes, with 1 and then
// 16 lines each, need not more than the first.
var extraSizes = [extraHashed]int{12, 15, 15, 13, 14, 15}

// newExtraModel returns a model for n bytes: 7 MiB for the most.
func newExtraModel(n int) *extraModel {
	width := bits.Len(uint(n))
	m := &extraModel{
		t:       tables(),
		at:      1,
		seen:    make([]byte, 1<<min(width+1, bits.Len(extraHistory-1))),
		matches: make([]int32, 1<<matchBits),
	}
	for i := range m.tables {
		m.tables[i] = newLineTable(uint(min(max(width+1, 10), extraSizes[i])))
	}
	for i := range m.weights {
		for k := range m.weights[i] {
			m.weights[i][k] = 65536 * 35 / 100
		}
	}
	return m
}

// code codes bytes of new that follow those in tail, the last in the lowest
// byte; was holds what stands in old after the last cover, place by place, as
// far as there is any. It returns the new tail.
func (m *extraModel) code(a *arith, new, was []byte, tail uint64) uint64 {
	for i := range new {
		if !a.decoding && i+1 < len(new) {
			m.touch(new[i], new[i+1], tail, replaced(was, i+1))
		}
		new[i] = m.codeByte(a, new[i], tail, replaced(was, i))
		tail = tail<<8 | uint64(new[i])
		m.push(new[i], tail)
	}
	return tail
}

// replaced returns a context of what stood at a place and the next one, which
// may be behind the end.
func replaced(was []byte, i int) (r uint32) {
	if i < len(was) {
		r = uint32(was[i]) + 1
	}
	if i+1 < len(was) {
		r |= (uint32(was[i+1]) + 1) << 9
	}
	return r
}

// touch has the processor fetch what will be needed for a byte that is known,
// while it works on the one before it: half of the time goes by waiting.
func (m *extraModel) touch(b, next byte, tail uint64, was uint32) {
	tail = tail<<8 | uint64(b)
	hashes := extraContexts(tail, wordWith(m.word, b), was)
	for i, h := range hashes {
		t := &m.tables[i]
		high, _ := t.place(h)
		low, _ := t.place(within(h, uint32(next>>4|16)))
		m.touched |= t.lines[high][0] | t.lines[low][0]
	}
	key, _ := matchPlace(tail)
	m.touched |= cell(m.matches[key])
}

// learn adapts to bytes as if it had coded them.
func (m *extraModel) learn(b []byte) {
	nowhere := newEncoder()
	tail := uint64(0)
	for i, c := range b {
		if i+1 < len(b) {
			m.touch(c, b[i+1], tail, 0)
		}
		m.codeByte(nowhere, c, tail, 0)
		tail = tail<<8 | uint64(c)
		m.push(c, tail)
		nowhere.dst = nowhere.dst[:0]
	}
	m.length, m.word = 0, 0
}

// extraContexts returns hashes of the contexts of a byte.
func extraContexts(tail uint64, word, was uint32) [extraHashed]uint32 {
	t := uint32(tail)
	if word == 0 {
		word = t & 0xff00ff00
	}
	return [extraHashed]uint32{
		hash2(t&0xff, 0),
		hash2(t&0xffff, 1),
		hash2(t&0xffffff, 2),
		hash2(was, 5<<16),
		hash2(word, t&0xff|6<<16),
		hash2(t&0xff000000, uint32(tail>>56)|8<<8),
	}
}

// wordWith returns the hash of a word that a byte goes on with, or 0.
func wordWith(word uint32, b byte) uint32 {
	if c := b | 0x20; c >= 'a' && c <= 'z' || b == '_' || b == '$' || b >= 0x80 {
		return (word + uint32(b) + 1) * 0x2F0B4C47
	}
	return 0
}

// matchPlace returns where matches tells of the last bytes, and their check.
func matchPlace(tail uint64) (key uint64, check int32) {
	h := (tail & (1<<(8*matchKey) - 1)) * mul1
	return h >> (64 - matchBits), int32(h>>(64-matchBits-matchCheck)) & (1<<matchCheck - 1)
}

// codeByte codes a byte, the higher nibble first.
func (m *extraModel) codeByte(a *arith, b byte, tail uint64, was uint32) byte {
	hashes := extraContexts(tail, m.word, was)
	expected := uint32(0) // the byte that the match expects, with a leading one
	if m.length > 0 {
		expected = uint32(m.seen[m.match&(len(m.seen)-1)]) | 0x100
	}
	high := m.nibble(a, int(b>>4), &hashes, expected>>4, 0)
	if expected>>4 == high {
		expected = expected&15 | 16
	} else {
		expected = 0
	}
	for i := range hashes {
		hashes[i] = within(hashes[i], high)
	}
	return byte(high<<4 | m.nibble(a, int(b&15), &hashes, expected, 16)&15)
}

// find finds the lines of all contexts. It touches all of them first, so that
// the processor waits for memory once.
func (m *extraModel) find(hashes *[extraHashed]uint32, l *[extraHashed]*line) {
	var places [extraHashed]uint32
	var checks [extraHashed]cell
	for i := range places {
		places[i], checks[i] = m.tables[i].place(hashes[i])
		m.touched |= m.tables[i].lines[places[i]][0]
	}
	for i := range l {
		l[i] = m.tables[i].find(places[i], checks[i])
	}
}

// nibble returns the nibble it has coded, with a leading one. It is expected
// to be another one, or nothing if that is 0; half is 0 for the higher nibble
// of a byte, and 16 for the lower.
func (m *extraModel) nibble(a *arith, b int, hashes *[extraHashed]uint32, expected uint32, half int) uint32 {
	var l [extraHashed]*line
	m.find(hashes, &l)
	length := m.length
	if length > 7 {
		length = min(length/4, 7) + 8
	}
	node, t := 1, m.t
	for k := 3; k >= 0; k-- {
		var in [extraInputs]int32
		var right *slot
		class, guess := 0, int(expected>>k&1)
		if int(expected>>(k+1)) == node {
			class = min(bits.Len(uint(m.length)), extraClasses-1)
			right = &m.rights[length<<5|half|node]
			if in[extraHashed] = right.stretched(t); guess == 0 {
				in[extraHashed] = -in[extraHashed]
			}
		}
		w := &m.weights[class<<5|half|node]
		sum := int64(w[extraHashed]) * int64(in[extraHashed])
		for i := range l {
			in[i] = l[i][node&15].stretched(t)
			sum += int64(w[i]) * int64(in[i])
		}
		p := t.probability(sum)
		bit := a.bit(b>>k&1, p)
		miss := int32(bit<<16-bit) - int32(p)
		for i := range in {
			w[i] += (in[i]*miss + 1<<13) >> 14
		}
		for i := range l {
			l[i][node&15].adapt(bit)
		}
		if right != nil {
			right.adapt(1^bit^guess, 250, t)
		}
		node = node<<1 | bit
	}
	return uint32(node)
}

// push notes a byte, after which tail holds the last eight.
func (m *extraModel) push(b byte, tail uint64) {
	ring := len(m.seen) - 1
	if m.length > 0 && m.seen[m.match&ring] == b {
		m.match++
		m.length++
	} else {
		m.length = 0
	}
	m.seen[m.at&ring] = b
	m.at++
	m.word = wordWith(m.word, b)
	key, check := matchPlace(tail)
	if v := m.matches[key]; m.length == 0 && v != 0 && v&(1<<matchCheck-1) == check {
		m.match, m.length = int(v>>matchCheck), 1
	}
	m.matches[key] = int32(m.at&ring)<<matchCheck | check
}
