package docs

import "math/bits"

// Appendix "mixing".

func limit(v, low, high int) int { return max(low, min(high, v)) }

// points are those of squash.
var points = []int{1, 1, 1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625,
	24743, 32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476,
	65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65535}

func squash(x int) int {
	y := limit(x, -3071, 3071) + 3072
	return points[y/128] + (points[y/128+1]-points[y/128])*(y%128)/128
}

func makeStretch() (table [4096]int) {
	for p := range table {
		for table[p] = -3071; table[p] < 3071 && squash(table[p]) < 16*p+8; {
			table[p]++
		}
	}
	return table
}

type coder struct {
	low, high, code uint32
	src             []byte
	stretch         [4096]int
}

func newCoder(b []byte) *coder {
	c := &coder{high: 1<<32 - 1, src: b, stretch: makeStretch()}
	for range 4 {
		c.code = c.code<<8 | c.next()
	}
	return c
}

func (c *coder) next() uint32 {
	if len(c.src) == 0 {
		return 0
	}
	b := c.src[0]
	c.src = c.src[1:]
	return uint32(b)
}

func (c *coder) bit(p int) int {
	mid := c.low + uint32(uint64(c.high-c.low)*uint64(p)>>16)
	bit := 0
	if c.code <= mid {
		bit, c.high = 1, mid
	} else {
		c.low = mid + 1
	}
	for c.low>>24 == c.high>>24 {
		c.low, c.high, c.code = c.low<<8, c.high<<8|255, c.code<<8|c.next()
	}
	return bit
}

type slot struct{ v, n int }

func (s *slot) adapt(bit, most int) {
	to := -1 << 21
	if bit == 1 {
		to = 1<<21 - 1
	}
	s.v += (to - s.v) * (131072 / (2*s.n + 3)) >> 16
	if s.n < most {
		s.n++
	}
}

func (c *coder) stretched(s *slot) int { return c.stretch[s.v>>10+2048] }

type cell struct{ v, n int }

func (s *cell) adapt(bit int) {
	to := -1 << 12
	if bit == 1 {
		to = 1<<12 - 1
	}
	s.v += (to - s.v) * []int{43690, 26214, 18724, 14563, 11915, 10082, 8192, 6554}[s.n] >> 16
	if s.n < 7 {
		s.n++
	}
}

func (c *coder) stretchedCell(s *cell) int { return c.stretch[s.v>>1+2048] }

// mix codes a bit; known gives one that is coded nowhere.
func (c *coder) mix(x []int, w []int32, known int) int {
	sum := 0
	for i := range x {
		sum += x[i] * int(w[i])
	}
	p := squash(limit(sum>>16, -4096, 4095))
	bit := known
	if known < 0 {
		bit = c.bit(p)
	}
	miss := 65535*bit - p
	for i := range x {
		w[i] += int32((x[i]*miss + 8192) >> 14)
	}
	return bit
}

func hash(a, b uint32) uint32 {
	x := a*0x9E3779B1 ^ b*0x85EBCA6B
	x ^= x >> 15
	return x * 0x2C1B3C6D
}

func weights(sets, inputs int, first int32) [][]int32 {
	list := make([][]int32, sets)
	for i := range list {
		list[i] = make([]int32, inputs)
		for k := range list[i] {
			list[i][k] = first
		}
	}
	return list
}

type bitModel struct {
	*coder
	most   int
	s      int
	tables [7][]slot
	sets   [][]int32
}

func newBitModel(c *coder, sets, most, s int) *bitModel {
	m := &bitModel{coder: c, most: most, s: s, sets: weights(sets, 7, 27525)}
	for i := range m.tables {
		m.tables[i] = make([]slot, 1<<s)
	}
	return m
}

func (m *bitModel) code(set int, hashes ...uint32) int {
	x, slots := make([]int, 7), make([]*slot, 7)
	for i := range slots {
		h := uint32(0)
		if i < len(hashes) {
			h = hashes[i]
		}
		slots[i] = &m.tables[i][h>>(32-m.s)]
		x[i] = m.stretched(slots[i])
	}
	bit := m.mix(x, m.sets[set], -1)
	for _, s := range slots {
		s.adapt(bit, m.most)
	}
	return bit
}

type line struct {
	mark  uint32
	cells [16]cell
}

type lines struct {
	s    int
	list []line
}

func newLines(s int) lines { return lines{s, make([]line, 1<<s)} }

func (t lines) find(h uint32) *line {
	place, mark := h>>(32-t.s), (h*0x9E3779B1)>>16|1
	a, b := &t.list[place], &t.list[place^1]
	switch {
	case a.mark == mark:
		return a
	case b.mark == mark:
		return b
	case b.cells[1].n < a.cells[1].n:
		a = b
	}
	*a = line{mark: mark}
	return a
}

func lower(h, high uint32) uint32 { return (h ^ (high+16)*0x2F0B4C47>>8) + high + 16 }

type residualModel struct {
	*coder
	window, block1, line, field, flag *bitModel
	values                            [7]lines
	valueSets                         [][]int32

	windows, blocks, lines uint32
	fields                 [32]uint32
	past                   uint64
	changed                uint32
	gap, word, before      uint32
	one                    [256]int
	two                    [65536]int
}

func newResidualModel(c *coder, tables int) *residualModel {
	m := &residualModel{coder: c, window: newBitModel(c, 1, 60, 12), block1: newBitModel(c, 1, 120, 12),
		line: newBitModel(c, 1, 120, 14), field: newBitModel(c, 32, 250, min(tables, 14)),
		flag: newBitModel(c, 64, 120, min(tables, 17)), valueSets: weights(128, 7, 27525)}
	for i := range m.values {
		m.values[i] = newLines(min(tables-4, 15))
	}
	return m
}

func (m *residualModel) gapclass() uint32 {
	switch {
	case m.gap < 16:
		return m.gap
	case m.gap < 512:
		return 11 + uint32(bits.Len32(m.gap))
	case m.gap < 8192:
		return 21
	}
	return 22
}

func (m *residualModel) push(r byte) {
	m.past = m.past<<8 | uint64(r)
	m.changed <<= 1
	if r != 0 {
		m.changed |= 1
		m.gap = 0
		return
	}
	m.gap++
	if m.changed>>1&1 == 1 {
		n := 0
		for n < 3 && m.changed>>(1+n)&1 == 1 {
			n++
		}
		m.before, m.word = m.word, uint32(m.past>>8)&(1<<(8*n)-1)
	}
}

func (m *residualModel) skip(n int) {
	m.gap = min(m.gap+uint32(n), 1<<20)
	m.changed, m.past = 0, 0
}

func (m *residualModel) unchanged() bool {
	bit := m.window.code(0, hash(m.windows&1, 0), hash(m.windows&255, 1))
	m.windows = m.windows<<1 | uint32(bit)
	return bit == 1
}

func (m *residualModel) block(v *view, from, to int) []byte {
	bit := m.block1.code(0, hash(m.blocks&255, 0), hash(m.blocks&4095, m.gapclass()), hash(m.blocks&1, v.o(from)),
		hash(m.blocks&15, m.windows&3|3<<8))
	m.blocks = m.blocks<<1 | uint32(bit)
	if bit == 0 {
		m.skip(to - from)
		return v.pred[from:to]
	}
	var out []byte
	right, wrong, last := false, false, 0
	for i := from; i < to; i += 32 {
		end := min(i+32, to)
		likely := map[int]bool{}
		for j := i; j < end; j++ {
			likely[j] = v.class[j] != 0 || m.two[v.o(j-2)<<8|v.o(j-1)] >= 1<<15 || m.one[v.o(j-1)] >= 1<<15
		}
		g := m.gapclass()
		surprise := m.line.code(0, hash(m.lines&255, 0), hash(m.lines&4095, 1), hash(m.lines&15, g),
			hash(v.o(i)|v.o(i+4)<<8|v.o(i+8)<<16, m.lines&1),
			hash(v.o(i)|v.o(i+1)<<8|v.o(i+2)<<16|v.o(i+3)<<24, 4),
			hash(m.lines&255, m.word|5<<24),
			hash(v.o(i+16)|v.o(i+24)<<8|v.o(i+28)<<16, m.lines&1|6<<8))
		m.lines = m.lines<<1 | uint32(surprise)
		coded := map[int]byte{}
		for j := i; j < end; j++ {
			if k := v.class[j]; k != 0 && k%8 == 0 {
				for last = j; last+1 < to && v.class[last+1] == v.class[last]+1; {
					last++
				}
				wrong = m.fieldWrong(v, j, last)
				right = !wrong
			} else if k == 0 || j > last {
				right, wrong = false, false
			}
			r := byte(0)
			if !right && (surprise == 1 || likely[j] || m.changed&15 != 0) {
				r = m.byte(v, j, wrong)
				coded[j] = r
			}
			m.push(r)
			out = append(out, v.pred[j]+r)
		}
		for j := i; j < end; j++ {
			r, ok := coded[j]
			if !ok {
				continue
			}
			a, b := &m.one[v.o(j-1)], &m.two[v.o(j-2)<<8|v.o(j-1)]
			if r != 0 {
				*a += (65535 - *a) >> 6
				*b += (65535 - *b) >> 1
			} else {
				*a -= *a >> 6
				*b -= *b >> 5
			}
		}
	}
	return out
}

// fieldWrong codes whether the field of bytes i to last is wrong.
func (m *residualModel) fieldWrong(v *view, i, last int) bool {
	c := uint32(v.class[i]) / 8
	f := m.fields[c]
	w := v.o(i) | v.o(i+1)<<8 | v.o(i+2)<<16 | v.o(i+3)<<24
	q := v.p(i, last) | v.p(i+1, last)<<8 | v.p(i+2, last)<<16
	bit := m.field.code(int(c), hash(f&255, c), hash(f&4095|m.gapclass()<<12, c|1<<8), hash(w, c|2<<8), hash(q, c|3<<8),
		hash(v.o(i-1)|v.o(i-2)<<8|(f&7)<<16, c|4<<8), hash(w-q, c|(f&3)<<8|5<<16))
	m.fields[c] = f<<1 | uint32(bit)
	return bit == 1
}

func (m *residualModel) byte(v *view, i int, wrong bool) byte {
	near, g := m.changed&15, m.gapclass()
	w := v.o(i) | v.o(i+1)<<8 | v.o(i+2)<<16 | v.o(i+3)<<24
	mo := (v.p(i, i)-v.o(i))&255 | uint32(v.class[i])<<8
	set := near
	if g > 15 {
		set += 16
	}
	if wrong {
		set += 32
	}
	if m.flag.code(int(set), hash(m.changed&255|g<<8, uint32(v.class[i])), hash(v.o(i-1)|v.o(i-2)<<8|near<<16, 1),
		hash(w, near^mo<<8), hash(v.o(i-1)|v.o(i)<<8|v.o(i+1)<<16|near<<24, mo<<8|3),
		hash(m.word, v.o(i)|v.o(i-1)<<8|near<<16|5<<20), hash(v.o(i-1)|(m.changed&4095)<<8, 6),
		hash(uint32(m.past&65535)|near<<16, 4)) == 0 {
		return 0
	}
	hashes := []uint32{hash(w, near), hash(v.o(i-1)|v.o(i-2)<<8|near<<16, 2), hash(v.o(i)|near<<8, 3), hash(m.word, near|4<<8),
		hash(m.before, uint32(m.past&65535)|near<<16|5<<24), hash(v.o(i+1)|mo<<8|near<<16, 6),
		hash(uint32(m.past>>24&255|m.past>>48&0xFF00), near|7<<8)}
	high := m.nibble(hashes, int(8*near))
	for k := range hashes {
		hashes[k] = lower(hashes[k], uint32(high))
	}
	return byte(high<<4 | m.nibble(hashes, int(8*near)+4))
}

func (m *residualModel) nibble(hashes []uint32, set int) int {
	var l [7]*line
	for i := range l {
		l[i] = m.values[i].find(hashes[i])
	}
	node := 1
	for b := 3; b >= 0; b-- {
		x := make([]int, 7)
		for i := range l {
			x[i] = m.stretchedCell(&l[i].cells[node])
		}
		bit := m.mix(x, m.valueSets[set+b], -1)
		for i := range l {
			l[i].cells[node].adapt(bit)
		}
		node = node<<1 | bit
	}
	return node & 15
}
