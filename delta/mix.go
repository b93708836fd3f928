package delta

import (
	"io"
	"sync"
)

// The entropy stage of level Small predicts every bit from several contexts at
// once and mixes the predictions, in the way of Matt Mahoney's PAQ programs
// (see "Adaptive weighing of context models for lossless data compression",
// 2005). A context selects an adaptive probability; a small neural network,
// trained on the way, weighs these in the logistic domain; an arithmetic coder
// spends −log2(p) bits. Everything is integers, so that both sides compute the
// same on every machine.

// arith codes bits under probabilities. Encoding and decoding are one method,
// so that one model serves both sides and cannot drift apart.
type arith struct {
	t         *mixTables
	low, high uint32
	decoding  bool
	code      uint32        // decoding: the next 32 bits
	src       io.ByteReader // decoding
	past      int           // bytes read beyond the end of src, which count as zeros
	err       error         // of src
	dst       []byte        // encoding
}

func newEncoder() *arith { return &arith{t: tables(), high: 1<<32 - 1} }

func newDecoder(src io.ByteReader) *arith {
	a := &arith{t: tables(), high: 1<<32 - 1, decoding: true, src: src}
	for range 4 {
		a.code = a.code<<8 | uint32(a.next())
	}
	return a
}

func (a *arith) next() byte {
	b, err := a.src.ReadByte()
	if err != nil {
		a.past++
		if err != io.EOF && a.err == nil {
			a.err = err
		}
	}
	return b
}

// bit codes one bit, of which p/65536 is the probability to be one, and
// returns it.
func (a *arith) bit(bit int, p uint32) int {
	mid := a.low + uint32(uint64(a.high-a.low)*uint64(p)>>16)
	if a.decoding {
		bit = 0
		if a.code <= mid {
			bit = 1
		}
	}
	if bit == 1 {
		a.high = mid
	} else {
		a.low = mid + 1
	}
	for (a.low^a.high)>>24 == 0 {
		if a.decoding {
			a.code = a.code<<8 | uint32(a.next())
		} else {
			a.dst = append(a.dst, byte(a.high>>24))
		}
		a.low, a.high = a.low<<8, a.high<<8|255
	}
	return bit
}

// finish returns the code, with as many bytes as its last bits need.
func (a *arith) finish() []byte {
	if a.low > 0 {
		// A number with one byte that is above low and below high: the
		// leading bytes of the two differ.
		a.dst = append(a.dst, byte(a.low>>24)+1)
	}
	return a.dst
}

// overrun reports a decoder that has read more than there is. It holds four
// bytes ahead of what decides, and an encoder leaves out zeros at the end.
func (a *arith) overrun() error {
	switch {
	case a.err != nil:
		return badFormat("mixed column", "%v", a.err)
	case a.past > 4:
		return badFormat("mixed column", "want at least %d more bytes: %v", a.past-4, io.ErrUnexpectedEOF)
	}
	return nil
}

// end checks that a decoder has used up the code.
func (a *arith) end() error {
	if err := a.overrun(); err != nil {
		return err
	}
	if _, err := a.src.ReadByte(); err != io.EOF {
		return badFormat("mixed column", "want its end, got more")
	}
	return nil
}

// A slot is an adaptive probability: 22 bits of it, less one half, above 10 bits
// of how often it was adapted. The zero slot is one half, so that new tables
// need no filling.
type slot int32

const (
	slotCount = 1<<10 - 1
	slotHalf  = 1 << 21
)

// Stretched probabilities, ln(p/(1-p)), are in 1/256.
const maxStretch = 3071 // p between 1/160,000 and its opposite

// mixTables holds the functions of the mixer as tables, which never change.
type mixTables struct {
	stretch [4096]int16          // of p in 1/4096
	squash  [2 * 4096]uint16     // the inverse, in 1/65536, from −4096; at least 1
	rate    [slotCount + 1]int32 // 65536/(n+1.5)
}

// squashPoints is 65536/(1+exp(-x/256)) for x from −3072 in steps of 128. They
// stand here because floating point may differ between machines.
var squashPoints = [...]int32{
	1, 1, 1, 2, 3, 5, 8, 13, 22, 36,
	60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971,
	7812, 11955, 17625, 24743, 32768, 40793, 47911, 53581, 57724, 60565,
	62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500,
	65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65535,
}

var tables = sync.OnceValue(func() *mixTables {
	t := &mixTables{}
	for i := range t.squash {
		x := min(max(i-4096, -maxStretch), maxStretch) + 3072
		a, b := squashPoints[x/128], squashPoints[min(x/128+1, len(squashPoints)-1)]
		t.squash[i] = uint16(a + (b-a)*int32(x%128)/128)
	}
	x := 4096 - maxStretch
	for p := range t.stretch {
		for x < 4096+maxStretch && int(t.squash[x]) < p*16+8 {
			x++
		}
		t.stretch[p] = int16(x - 4096)
	}
	for n := range t.rate {
		t.rate[n] = int32(65536 * 2 / (2*n + 3))
	}
	return t
})

// stretched returns the stretched probability of a slot.
func (s slot) stretched(t *mixTables) int32 {
	return int32(t.stretch[uint32(s>>20+2048)&4095])
}

// adapt moves the probability towards a bit: the less it has seen, the more.
func (s *slot) adapt(bit int, limit slot, t *mixTables) {
	n, v := *s&slotCount, *s>>10
	to := slot(bit<<22-bit) - slotHalf
	v += slot(int64(to-v) * int64(t.rate[n&slotCount]) >> 16)
	if n < limit {
		n++
	}
	*s = v<<10 | n
}

// probability returns the mixed probability of a one.
func (t *mixTables) probability(sum int64) uint32 {
	return uint32(t.squash[min(max(sum>>16, -4096), 4095)+4096])
}

// A cell is a slot in half the memory, for the many that see few bytes: 13 bits
// of probability above 3 bits of how often it was adapted. It never settles:
// the last ten bits weigh as much as all before, which suits files better
// that change from part to part.
type cell int16

const (
	cellCount = 1<<3 - 1
	cellHalf  = 1 << 12
)

// cellRates are 65536/(n+1.5), but for the last ones.
var cellRates = [cellCount + 1]int32{43690, 26214, 18724, 14563, 11915, 10082, 8192, 6554}

// stretched returns the stretched probability of a cell.
func (c cell) stretched(t *mixTables) int32 {
	return int32(t.stretch[uint32(c>>4+2048)&4095])
}

// adapt moves the probability towards a bit: the less it has seen, the more.
func (c *cell) adapt(bit int) {
	n, v := *c&cellCount, int32(*c>>3)
	to := int32(bit<<13-bit) - cellHalf
	v += (to - v) * cellRates[n] >> 16
	if n < cellCount {
		n++
	}
	*c = cell(v)<<3 | n
}

// A line holds the cells of one nibble in one context: 1 to 15 by the bits of
// the nibble so far, after a leading one. Cell 0 says which context it is.
type line [16]cell

// A lineTable finds lines by the hash of a context.
type lineTable struct {
	lines []line
	shift uint
}

func newLineTable(size uint) lineTable {
	return lineTable{make([]line, 1<<size), 32 - size}
}

// place returns where the line of a context is looked for first, and what that
// line is marked with.
func (t *lineTable) place(h uint32) (place uint32, check cell) {
	return h >> t.shift, cell(h*0x9E3779B1>>16 | 1)
}

// within returns the hash of a context together with the nibble seen in it,
// which is near the first: so that the processor may have its page at hand.
func within(h, nibble uint32) uint32 {
	return (h ^ nibble*0x2F0B4C47>>8) + nibble
}

// find returns the line of a context. If another context has it, the one of
// two places is taken over that has seen less.
func (t *lineTable) find(place uint32, check cell) *line {
	l := &t.lines[place]
	if l[0] == check {
		return l
	}
	k := &t.lines[place^1]
	if k[0] == check {
		return k
	}
	if k[1]&cellCount < l[1]&cellCount {
		l = k
	}
	*l = line{check}
	return l
}

const bitInputs = 7

// A bitModel predicts single bits, each from seven contexts.
type bitModel struct {
	tables  [bitInputs][]slot
	shift   uint
	limit   slot // most adaptations that count: the higher, the steadier
	weights [][bitInputs]int32
}

// newBitModel returns a model with so many sets of weights, and tables of
// 2^size slots.
func newBitModel(sets int, limit slot, size uint) *bitModel {
	m := &bitModel{shift: 32 - size, limit: limit, weights: make([][bitInputs]int32, sets)}
	for i := range m.tables {
		m.tables[i] = make([]slot, 1<<size)
	}
	for i := range m.weights {
		m.weights[i] = [bitInputs]int32{firstWeight, firstWeight, firstWeight, firstWeight, firstWeight, firstWeight, firstWeight}
	}
	return m
}

const firstWeight = 65536 * 42 / 100

// code codes one bit in the given contexts, hashes with good upper bits, with
// the weights of a set.
func (m *bitModel) code(a *arith, bit int, contexts *[bitInputs]uint32, set int) int {
	var slots [bitInputs]*slot
	var in [bitInputs]int32
	t := a.t
	w := &m.weights[set]
	sum := int64(0)
	for i := range slots {
		slots[i] = &m.tables[i][contexts[i]>>m.shift]
	}
	for i := range slots {
		in[i] = slots[i].stretched(t)
		sum += int64(w[i]) * int64(in[i])
	}
	p := t.probability(sum)
	bit = a.bit(bit, p)
	miss := int32(bit<<16-bit) - int32(p)
	for i := range slots {
		w[i] += (in[i]*miss + 1<<13) >> 14
		slots[i].adapt(bit, m.limit, t)
	}
	return bit
}
