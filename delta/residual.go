package delta

import "math/bits"

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

	// Distances at which changes repeat: inside a word, and in tables of
	// words of four or eight bytes. Bit i stands for i+1 bytes back.
	nearby = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<7 | 1<<11 | 1<<15 | 1<<23

	likelyAfterOne = 1 << 11 // in 1/65536
	likelyAfterTwo = 1 << 11
)

type residualModel struct {
	window, block, line, flag, value *mixModel

	windows       uint32 // history of flags
	blocks, lines uint32 // likewise
	changed       uint32 // history of bytes: bit i, whether i+1 bytes back has a residual
	past          uint64 // the last eight residuals
	word, before  uint32 // the last two runs of residuals, up to four bytes of each
	gap           uint32 // bytes since the last residual that is not zero

	afterOne [1 << 8]uint16  // how likely changes are after an old byte,
	afterTwo [1 << 16]uint16 // and after two
}

// newResidualModel returns a model with tables of at most 2^size slots: 30 MiB
// in all for the largest size.
func newResidualModel(size uint) *residualModel {
	wide, middle, narrow := size, min(size, 19), min(size, 18)
	return &residualModel{
		window: newMixModel(1, 60, 12, 12),
		block:  newMixModel(1, 120, 12, 12, 12),
		line:   newMixModel(1, 120, 12, 14, 14, 14),
		flag:   newMixModel(32, 120, 14, narrow, middle, middle, narrow, middle, narrow),
		value:  newMixModel(128, 30, wide, narrow, wide, narrow, wide, wide, narrow),
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
	class     []byte // of predicted references: kind<<3 | byte; else 0
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
	c := [maxInputs]uint32{
		hash2(m.blocks&0xff, 0),
		hash2(m.blocks&0xfff, gapClass(m.gap)),
		hash2(m.blocks&1, w.at(from)),
	}
	bit := 0
	if !a.decoding && matchLen(pred, new) < len(new) {
		bit = 1
	}
	bit = m.block.code(a, bit, &c, 0)
	m.blocks = m.blocks<<1 | uint32(bit)
	if bit == 0 {
		copy(new, pred)
		m.skip(len(new))
		return
	}
	for i := from; i < end; i += lineSize {
		m.codeLine(a, w, i, min(i+lineSize, end))
	}
}

// codeLine codes a line. What it learns about likely places counts from the
// next line on, so that an encoder can tell beforehand what will surprise.
func (m *residualModel) codeLine(a *arith, w *window, from, to int) {
	var likely [lineSize]bool
	for i := from; i < to; i++ {
		o1, o2 := w.at(i-1), w.at(i-2)
		likely[i-from] = m.afterTwo[o2<<8|o1] >= likelyAfterTwo || m.afterOne[o1] >= likelyAfterOne
	}
	surprise := 0
	if !a.decoding && m.surprises(w.pred[from:to], w.new[from:to], &likely) {
		surprise = 1
	}
	c := [maxInputs]uint32{
		hash2(m.lines&0xff, 0),
		hash2(m.lines&0xfff, 1),
		hash2(m.lines&0xf, gapClass(m.gap)),
		hash2(w.at(from)|w.at(from+4)<<8|w.at(from+8)<<16, m.lines&1),
	}
	surprise = m.line.code(a, surprise, &c, 0)
	m.lines = m.lines<<1 | uint32(surprise)
	var coded uint32 // bit i: byte i was coded
	for i := from; i < to; i++ {
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

// codeByte codes one residual: whether it is zero, then its bits.
func (m *residualModel) codeByte(a *arith, w *window, i int) {
	o0, o1, o2 := w.at(i), w.at(i-1), w.at(i-2)
	next := w.at(i + 1)
	oldWord := o0 | next<<8 | w.at(i+2)<<16 | w.at(i+3)<<24
	moved := uint32(w.pred[i] - byte(o0))
	near, gap := m.changed&15, gapClass(m.gap)
	c := [maxInputs]uint32{
		hash2(m.changed&255|gap<<8, 0),
		hash2(o1|o2<<8|near<<16, 1),
		hash2(oldWord, near|moved<<24|2<<8),
		hash2(o1|o0<<8|next<<16|near<<24, moved<<24|3),
		hash2(uint32(m.past&0xffff)|near<<16, 4),
		hash2(m.word, o0|o1<<8|near<<16|5<<20),
		hash2(o1|m.changed&0xfff<<8, 6),
	}
	set := near
	if gap > 15 {
		set |= 16
	}
	residual, bit := w.new[i]-w.pred[i], 0
	if residual != 0 {
		bit = 1
	}
	if m.flag.code(a, bit, &c, int(set)) == 0 {
		w.new[i] = w.pred[i]
		m.push(0)
		return
	}
	r := m.codeValue(a, residual, &[7]uint32{
		hash2(oldWord, near),
		hash2(uint32(m.past>>24&0xff|m.past>>48&0xff00), near|1<<8),
		hash2(o1|o2<<8|near<<16, 2),
		hash2(o0|near<<8, 3),
		hash2(m.word, near|4<<8),
		hash2(m.before, uint32(m.past&0xffff)|near<<16|5<<24),
		hash2(next|moved<<8|near<<16, 6),
	}, int(near))
	w.new[i] = w.pred[i] + r
	m.push(r)
}

// codeValue codes the bits of a residual, the highest first.
func (m *residualModel) codeValue(a *arith, r byte, contexts *[7]uint32, near int) byte {
	seen := uint32(1)
	for b := 7; b >= 0; b-- {
		var c [maxInputs]uint32
		for k, h := range contexts {
			c[k] = hash2(h, seen)
		}
		seen = seen<<1 | uint32(m.value.code(a, int(r>>b&1), &c, b|near<<3))
	}
	return byte(seen)
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
