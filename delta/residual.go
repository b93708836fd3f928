package delta

import (
	"bytes"
	"math/bits"
)

// A residual is a new byte minus the byte that was predicted for it. Nearly
// all are zero, and where they are not, the old bytes tell: the same old word
// tends to change in the same way. To pay only where something may change,
// zeros are told in three steps:
//
//   - a block of 1,024 bytes is all zeros, or not;
//   - a line of 32 bytes in it has a surprise, or not: a residual that is not
//     zero where none was likely;
//   - a byte that is likely to change, or is in a line with a surprise, has a
//     residual, or not; and then its eight bits.
//
// Likely are bytes that follow two old bytes, or one, after which changes were
// seen, and bytes a few places behind a change.
const (
	blockSize = 1024
	lineSize  = 32

	// Distances at which changes repeat inside a word. Bit i stands for i+1
	// bytes back.
	nearby = 1<<0 | 1<<1 | 1<<2 | 1<<3

	// In 1/65536. The lower, the more zeros are told one by one: an eighth of
	// this takes three times as long on a program of 150 MB, and the same bytes.
	likelyAfterOne = 1 << 15
	likelyAfterTwo = 1 << 15
)

type residualModel struct {
	window, block, line, flag, field *bitModel
	value                            *valueModel

	windows       uint32 // history of flags
	blocks, lines uint32 // likewise
	changed       uint32 // history of bytes: bit i, whether i+1 bytes back has a residual
	past          uint64 // the last eight residuals
	word, before  uint32 // the ends of the last two runs of residuals, up to three bytes of each
	gap           uint32 // bytes since the last residual that is not zero

	fields [32]uint32 // by kind: history of whether fields were right
	state  int        // of the field at hand
	end    int        // where it ends; bytes of a class may be left of an overlapping one

	afterOne [1 << 8]uint16  // how likely changes are after an old byte,
	afterTwo [1 << 16]uint16 // and after two
}

// newResidualModel returns a model with tables of at most 2^size slots: 12 MiB
// in all for the largest size.
func newResidualModel(size uint) *residualModel {
	return &residualModel{
		window: newBitModel(1, 60, 12),
		block:  newBitModel(1, 120, 12),
		line:   newBitModel(1, 120, 14),
		flag:   newBitModel(64, 120, min(size, 17)),
		field:  newBitModel(32, 250, min(size, 14)),
		value:  newValueModel(min(size-4, 15)),
	}
}

// hash2 mixes a context into the upper bits.
func hash2(a, b uint32) uint32 {
	x := a*0x9E3779B1 ^ b*0x85EBCA6B
	x ^= x >> 15
	return x * 0x2C1B3C6D
}

// gapClass puts distances into 23 classes.
func gapClass(g uint32) uint32 {
	switch {
	case g < 16:
		return g
	case g < 512:
		return 11 + uint32(bits.Len32(g)) // 16 to 20
	case g < 8192:
		return 21
	}
	return 22
}

// A window is a part of a cover: old bytes, what is predicted from them, and
// the new bytes, which an encoder reads and a decoder writes. For context, old
// reaches further than the window where the cover does: byte 0 of the window
// is byte base of old. All windows of a cover but the last are whole blocks.
type window struct {
	old       []byte
	base      int
	pred, new []byte

	// What is predicted at each byte of the window: 0 for nothing, else the
	// kind of reference times 8 plus the place of the byte in it. No classes
	// at all are like zeros.
	class []byte
}

// kind returns the class of a byte.
func (w *window) kind(i int) uint32 {
	if i < len(w.class) {
		return uint32(w.class[i])
	}
	return 0
}

// field returns where the reference that starts at byte i ends.
func (w *window) field(i, end int) int {
	k := w.class[i]
	j := i + 1
	for j < end && int(w.class[j]) == int(k)+j-i {
		j++
	}
	return j
}

// at returns the old byte at a place of the window, and zero outside the cover.
func (w *window) at(i int) uint32 {
	if i += w.base; uint(i) < uint(len(w.old)) {
		return uint32(w.old[i])
	}
	return 0
}

// codeBlock codes the residuals of a block of a window.
func (m *residualModel) codeBlock(a *arith, w *window, from, end int) {
	pred, new := w.pred[from:end], w.new[from:end]
	c := [bitInputs]uint32{
		hash2(m.blocks&0xff, 0),
		hash2(m.blocks&0xfff, gapClass(m.gap)),
		hash2(m.blocks&1, w.at(from)),
		hash2(m.blocks&15, m.windows&3|3<<8),
	}
	bit := 0
	if !a.decoding && matchLen(pred, new) < len(new) {
		bit = 1
	}
	bit = m.block.code(a, bit, &c, 0)
	m.blocks = m.blocks<<1 | uint32(bit)
	m.state = fieldNone
	if bit == 0 {
		copy(new, pred)
		m.skip(len(new))
		return
	}
	for i := from; i < end; i += lineSize {
		m.codeLine(a, w, i, min(i+lineSize, end), end)
	}
}

// codeLine codes a line. What it learns about likely places counts from the
// next line on, so that an encoder can tell beforehand what will surprise.
func (m *residualModel) codeLine(a *arith, w *window, from, to, end int) {
	var likely [lineSize]bool
	for i := from; i < to; i++ {
		o1, o2 := w.at(i-1), w.at(i-2)
		likely[i-from] = w.kind(i) != 0 || m.afterTwo[o2<<8|o1] >= likelyAfterTwo || m.afterOne[o1] >= likelyAfterOne
	}
	surprise := 0
	if !a.decoding && m.surprises(w.pred[from:to], w.new[from:to], &likely) {
		surprise = 1
	}
	c := [bitInputs]uint32{
		hash2(m.lines&0xff, 0),
		hash2(m.lines&0xfff, 1),
		hash2(m.lines&0xf, gapClass(m.gap)),
		hash2(w.at(from)|w.at(from+4)<<8|w.at(from+8)<<16, m.lines&1),
		hash2(w.at(from)|w.at(from+1)<<8|w.at(from+2)<<16|w.at(from+3)<<24, 4),
		hash2(m.lines&0xff, m.word|5<<24),
		hash2(w.at(from+16)|w.at(from+24)<<8|w.at(from+28)<<16, m.lines&1|6<<8),
	}
	surprise = m.line.code(a, surprise, &c, 0)
	m.lines = m.lines<<1 | uint32(surprise)
	var coded uint32 // bit i: byte i was coded
	for i := from; i < to; i++ {
		if k := w.kind(i); k != 0 && k&7 == 0 {
			m.codeField(a, w, i, end)
		} else if k == 0 || i >= m.end {
			m.state = fieldNone
		}
		if m.state == fieldRight {
			w.new[i] = w.pred[i]
			m.push(0)
			continue
		}
		if surprise == 0 && !likely[i-from] && m.changed&nearby == 0 {
			w.new[i] = w.pred[i]
			m.push(0)
			continue
		}
		coded |= 1 << (i - from)
		m.codeByte(a, w, i)
	}
	m.learn(w, from, to, coded)
}

// surprises reports whether a byte that is not likely to change does.
func (m *residualModel) surprises(pred, new []byte, likely *[lineSize]bool) bool {
	changed := m.changed
	for i := range new {
		differs := uint32(0)
		if new[i] != pred[i] {
			differs = 1
			if !likely[i] && changed&nearby == 0 {
				return true
			}
		}
		changed = changed<<1 | differs
	}
	return false
}

// learn notes after which old bytes the coded bytes of a line changed.
func (m *residualModel) learn(w *window, from, to int, coded uint32) {
	for i := from; i < to; i++ {
		if coded>>(i-from)&1 == 0 {
			continue
		}
		o1, o2 := w.at(i-1), w.at(i-2)
		one, two := &m.afterOne[o1], &m.afterTwo[o2<<8|o1]
		if m.changed>>(to-1-i)&1 == 1 {
			*one += (65535 - *one) >> 6
			*two += (65535 - *two) >> 1
		} else {
			*one -= *one >> 6
			*two -= *two >> 5
		}
	}
}

// States of the field at hand.
const (
	fieldNone = iota
	fieldRight
	fieldWrong
)

// codeField codes whether the field that starts at byte i is as predicted.
func (m *residualModel) codeField(a *arith, w *window, i, end int) {
	j, k := w.field(i, end), w.kind(i)>>3
	wrong := 0
	if !a.decoding && !bytes.Equal(w.pred[i:j], w.new[i:j]) {
		wrong = 1
	}
	past := m.fields[k]
	o1, o2 := w.at(i-1), w.at(i-2)
	oldWord := w.at(i) | w.at(i+1)<<8 | w.at(i+2)<<16 | w.at(i+3)<<24
	newWord := uint32(w.pred[i]) | uint32(w.pred[min(i+1, j-1)])<<8 | uint32(w.pred[min(i+2, j-1)])<<16
	wrong = m.field.code(a, wrong, &[bitInputs]uint32{
		hash2(past&0xff, k),
		hash2(past&0xfff|gapClass(m.gap)<<12, k|1<<8),
		hash2(oldWord, k|2<<8),
		hash2(newWord, k|3<<8),
		hash2(o1|o2<<8|past&7<<16, k|4<<8),
		hash2(oldWord-newWord&0xffffff, k|past&3<<8|5<<16),
	}, int(k))
	m.fields[k] = past<<1 | uint32(wrong)
	m.state, m.end = fieldRight+wrong, j
}

// codeByte codes one residual: whether it is zero, then which.
func (m *residualModel) codeByte(a *arith, w *window, i int) {
	o0, o1, o2 := w.at(i), w.at(i-1), w.at(i-2)
	next := w.at(i + 1)
	oldWord := o0 | next<<8 | w.at(i+2)<<16 | w.at(i+3)<<24
	moved := uint32(w.pred[i]-byte(o0)) | w.kind(i)<<8
	near, gap := m.changed&15, gapClass(m.gap)
	set := near
	if gap > 15 {
		set |= 16
	}
	if m.state == fieldWrong {
		set |= 32
	}
	residual, bit := w.new[i]-w.pred[i], 0
	if residual != 0 {
		bit = 1
	}
	bit = m.flag.code(a, bit, &[bitInputs]uint32{
		hash2(m.changed&255|gap<<8, moved>>8),
		hash2(o1|o2<<8|near<<16, 1),
		hash2(oldWord, near^moved<<8),
		hash2(o1|o0<<8|next<<16|near<<24, moved<<8|3),
		hash2(m.word, o0|o1<<8|near<<16|5<<20),
		hash2(o1|m.changed&0xfff<<8, 6),
		hash2(uint32(m.past&0xffff)|near<<16, 4),
	}, int(set))
	if bit == 0 {
		w.new[i] = w.pred[i]
		m.push(0)
		return
	}
	p2 := uint32(m.past & 0xffff)
	r := m.value.code(a, residual, &[valueInputs]uint32{
		hash2(oldWord, near),
		hash2(o1|o2<<8|near<<16, 2),
		hash2(o0|near<<8, 3),
		hash2(m.word, near|4<<8),
		hash2(m.before, p2|near<<16|5<<24),
		hash2(next|moved<<8|near<<16, 6),
		hash2(uint32(m.past>>24&0xff|m.past>>48&0xff00), near|7<<8),
	}, int(near))
	w.new[i] = w.pred[i] + r
	m.push(r)
}

const valueInputs = 7

// A valueModel predicts bytes from seven contexts.
type valueModel struct {
	tables  [valueInputs]lineTable
	weights [16 * 8][valueInputs]int32
	touched cell
}

func newValueModel(size uint) *valueModel {
	m := &valueModel{}
	for i := range m.tables {
		m.tables[i] = newLineTable(size)
	}
	for i := range m.weights {
		for k := range m.weights[i] {
			m.weights[i][k] = firstWeight
		}
	}
	return m
}

// code codes a byte, the higher nibble first, with the weights of a set.
func (m *valueModel) code(a *arith, b byte, contexts *[valueInputs]uint32, set int) byte {
	high := m.nibble(a, int(b>>4), contexts, set<<3)
	for i := range contexts {
		contexts[i] = within(contexts[i], high)
	}
	return byte(high<<4 | m.nibble(a, int(b&15), contexts, set<<3|4)&15)
}

// nibble returns the nibble it has coded, with a leading one.
func (m *valueModel) nibble(a *arith, b int, contexts *[valueInputs]uint32, set int) uint32 {
	var places [valueInputs]uint32
	var checks [valueInputs]cell
	for i := range places {
		places[i], checks[i] = m.tables[i].place(contexts[i])
		m.touched |= m.tables[i].lines[places[i]][0]
	}
	var l [valueInputs]*line
	for i := range l {
		l[i] = m.tables[i].find(places[i], checks[i])
	}
	node, t := 1, a.t
	for k := 3; k >= 0; k-- {
		w := &m.weights[set|k]
		var in [valueInputs]int32
		sum := int64(0)
		for i := range l {
			in[i] = l[i][node&15].stretched(t)
			sum += int64(w[i]) * int64(in[i])
		}
		p := t.probability(sum)
		bit := a.bit(b>>k&1, p)
		miss := int32(bit<<16-bit) - int32(p)
		for i := range l {
			w[i] += (in[i]*miss + 1<<13) >> 14
			l[i][node&15].adapt(bit)
		}
		node = node<<1 | bit
	}
	return uint32(node)
}

// skip passes over n residuals that are zero.
func (m *residualModel) skip(n int) {
	m.gap = min(m.gap+uint32(n), 1<<20)
	m.changed, m.past = 0, 0
}

// push makes r the last residual.
func (m *residualModel) push(r byte) {
	m.past = m.past<<8 | uint64(r)
	m.changed <<= 1
	if r != 0 {
		m.changed |= 1
		m.gap = 0
		return
	}
	m.gap++
	if m.changed&2 == 0 {
		return
	}
	// A run of residuals ended: keep up to three of its last bytes as a word.
	n := min(bits.TrailingZeros32(^(m.changed >> 1)), 3)
	m.before, m.word = m.word, uint32(m.past>>8)&(1<<(8*n)-1)
}
