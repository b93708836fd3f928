package delta

import (
	"bufio"
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
	low, high uint32
	decoding  bool
	code      uint32        // decoding: the next 32 bits
	src       *bufio.Reader // decoding
	past      int           // bytes read beyond the end of src, which count as zeros
	err       error         // of src
	dst       []byte        // encoding
}

func newEncoder() *arith { return &arith{high: 1<<32 - 1} }

func newDecoder(src *bufio.Reader) *arith {
	a := &arith{high: 1<<32 - 1, decoding: true, src: src}
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

// A slot is an adaptive probability: 22 bits of it above 10 bits of how often
// it was adapted.
type slot uint32

const (
	slotCount = 1<<10 - 1
	slotHalf  = slot(1 << 31)
)

// Stretched probabilities, ln(p/(1-p)), are in 1/256.
const maxStretch = 3071 // p between 1/160,000 and its opposite

// mixTables holds the functions of the mixer as tables, which never change.
type mixTables struct {
	stretch [4096]int32              // of p in 1/4096
	squash  [2*maxStretch + 2]uint16 // the inverse, in 1/65536, from −maxStretch
	rate    [slotCount + 1]uint32    // 65536/(n+1.5)
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
		x := i + 3072 - maxStretch
		a, b := squashPoints[x/128], squashPoints[min(x/128+1, len(squashPoints)-1)]
		t.squash[i] = uint16(a + (b-a)*int32(x%128)/128)
	}
	x := 0
	for p := range t.stretch {
		for x < 2*maxStretch && int(t.squash[x]) < p*16+8 {
			x++
		}
		t.stretch[p] = int32(x - maxStretch)
	}
	for n := range t.rate {
		t.rate[n] = uint32(65536 * 2 / (2*n + 3))
	}
	return t
})

const maxInputs = 10

// A mixModel predicts bits of one kind.
type mixModel struct {
	t       *mixTables
	slots   [][]slot // a table for each context
	shifts  []uint   // 32 minus log2 of the table's length
	limit   uint32   // most adaptations that count: the higher, the steadier
	weights []int32  // for each set and context, in 1/65536
}

// newMixModel returns a model with so many sets of weights, and one context for
// each size, which is log2 of the length of its table.
func newMixModel(sets int, limit uint32, sizes ...uint) *mixModel {
	m := &mixModel{t: tables(), limit: limit, weights: make([]int32, sets*len(sizes))}
	for _, size := range sizes {
		table := make([]slot, 1<<size)
		for i := range table {
			table[i] = slotHalf
		}
		m.slots = append(m.slots, table)
		m.shifts = append(m.shifts, 32-size)
	}
	for i := range m.weights {
		m.weights[i] = 65536 * 35 / 100
	}
	return m
}

// code codes one bit in the given contexts, hashes with good upper bits, with
// the weights of a set.
func (m *mixModel) code(a *arith, bit int, contexts *[maxInputs]uint32, set int) int {
	var slots [maxInputs]*slot
	var in [maxInputs]int32
	n := len(m.slots)
	w := m.weights[set*n : set*n+n]
	sum := int64(0)
	for i := range w {
		s := &m.slots[i][contexts[i]>>m.shifts[i]]
		slots[i] = s
		in[i] = m.t.stretch[*s>>20]
		sum += int64(w[i]) * int64(in[i])
	}
	x := min(max(sum>>16, -maxStretch), maxStretch)
	p := max(uint32(m.t.squash[x+maxStretch]), 1)
	bit = a.bit(bit, p)
	miss := int32(bit<<16-bit) - int32(p)
	for i := range w {
		w[i] += (in[i]*miss + 1<<13) >> 14
		slots[i].adapt(bit, m.limit, m.t)
	}
	return bit
}

// adapt moves the probability towards a bit: the less it has seen, the more.
func (s *slot) adapt(bit int, limit uint32, t *mixTables) {
	n, v := uint32(*s)&slotCount, uint32(*s)>>10
	step := t.rate[n]
	if bit == 1 {
		v += uint32(uint64(1<<22-1-v) * uint64(step) >> 16)
	} else {
		v -= uint32(uint64(v) * uint64(step) >> 16)
	}
	if n < limit {
		n++
	}
	*s = slot(v<<10 | n)
}
