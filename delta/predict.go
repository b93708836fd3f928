package delta

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// When code moves, what differs inside a cover is mostly addresses. A relative
// reference in old points at some old byte; the cover that holds that byte
// says where it is in new, and so what the reference should be there. Both
// sides know all covers before the first byte, so both can compute it. A wrong
// guess costs bytes, never correctness.
//
// References are found in old bytes alone. For x86-64 these are the operands
// of call, jmp and jcc with 32 bits, and of common instructions with an
// address relative to the instruction pointer. Distances in the file are taken
// for distances in memory, which holds inside a section of an executable, and
// between sections when they are mapped alike.
type predictor struct {
	regions []region // by old position
	last    int      // region of the last look-up
}

// region says that old bytes from a position on are shifted in new. It reaches
// to the next region, or, beyond end, as far as the same old blob goes.
type region struct {
	start, end int
	shift      int // new position minus old position
}

// newPredictor prepares a list of covers. Where several covers read the same
// old bytes, the longest counts: short ones are often there by chance.
func newPredictor(covers []cover) *predictor {
	byOld := slices.Clone(covers)
	slices.SortFunc(byOld, func(a, b cover) int {
		return cmp.Or(cmp.Compare(a.old, b.old), cmp.Compare(b.n, a.n), cmp.Compare(a.new, b.new))
	})
	// A cover starts at most one region, and ends at most one.
	p := &predictor{regions: make([]region, 0, 2*len(covers))}
	var open longestFirst
	for at, next := 0, 0; next < len(byOld) || len(open) > 0; {
		if len(open) == 0 {
			at = byOld[next].old
		}
		for next < len(byOld) && byOld[next].old <= at {
			open.push(byOld[next])
			next++
		}
		top := open[0]
		end := top.old + top.n
		if end <= at {
			open.pop()
			continue
		}
		// A longer cover may start before this one ends.
		if next < len(byOld) {
			end = min(end, byOld[next].old)
		}
		p.add(region{at, end, top.new - top.old})
		at = end
	}
	return p
}

func (p *predictor) add(r region) {
	if r.start == r.end {
		return
	}
	if k := len(p.regions) - 1; k >= 0 && p.regions[k].shift == r.shift && p.regions[k].end == r.start {
		p.regions[k].end = r.end
		return
	}
	p.regions = append(p.regions, r)
}

// longestFirst is a heap of covers: container/heap would allocate each of them.
type longestFirst []cover

func (h longestFirst) before(i, j int) bool {
	return h[i].n > h[j].n || h[i].n == h[j].n && h[i].new < h[j].new
}

func (h *longestFirst) push(c cover) {
	*h = append(*h, c)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(i, up) {
			return
		}
		(*h)[i], (*h)[up] = (*h)[up], (*h)[i]
		i = up
	}
}

func (h *longestFirst) pop() {
	last := len(*h) - 1
	(*h)[0] = (*h)[last]
	*h = (*h)[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && h.before(down+1, down) {
			down++
		}
		if down >= last || !h.before(down, i) {
			return
		}
		(*h)[i], (*h)[down] = (*h)[down], (*h)[i]
		i = down
	}
}

// shift returns how far an old byte of a blob that starts at a position is
// moved. Only distances inside a blob matter here, so it is all the same
// which other blobs stand before it.
func (p *predictor) shift(pos, blob int) (int, bool) {
	if r := p.regions; p.last < len(r) && r[p.last].start <= pos && pos < r[p.last].end {
		return r[p.last].shift, true
	}
	i := sort.Search(len(p.regions), func(i int) bool { return p.regions[i].start > pos }) - 1
	if i < 0 || p.regions[i].end <= blob {
		return 0, false
	}
	p.last = i
	return p.regions[i].shift, true
}

// predict changes pred, a copy of the old bytes from position pos on, to what
// is likely in new. The bytes are shifted by shift, and belong to the old blob
// that fills the positions from blob to end.
func (p *predictor) predict(pred, old []byte, pos, shift, blob, end int) {
	for i := 3; i+4 <= len(old); i++ {
		if !isReference(old[i-3 : i]) {
			continue
		}
		w := int32(binary.LittleEndian.Uint32(old[i:]))
		to := pos + i + 4 + int(w)
		if to < blob || to >= end {
			continue
		}
		s, ok := p.shift(to, blob)
		if !ok {
			continue
		}
		if s != shift {
			binary.LittleEndian.PutUint32(pred[i:], uint32(w+int32(s-shift)))
		}
		i += 3
	}
}

// isReference reports whether the three bytes before a place make it likely
// that a reference stands there.
func isReference(b []byte) bool {
	op2, op1, op := b[0], b[1], b[2]
	switch {
	case op == 0xE8 || op == 0xE9: // call, jmp
		return true
	case op&0xF0 == 0x80 && op1 == 0x0F: // jcc
		return true
	case op&0xC7 == 0x05: // ModRM: a register and [rip+disp32]
		return usesModRM(op1, op2)
	}
	return false
}

// usesModRM reports whether op, after a byte before it, is an instruction that
// compilers often use with an operand in memory.
func usesModRM(op, before byte) bool {
	switch op {
	case 0x01, 0x03, 0x0B, 0x23, 0x2B, 0x33, 0x38, 0x39, 0x3A, 0x3B, 0x63,
		0x84, 0x85, 0x88, 0x89, 0x8A, 0x8B, 0x8D, 0xFF:
		return true
	case 0x10, 0x11, 0x12, 0x16, 0x28, 0x2A, 0x2E, 0x2F, 0x54, 0x57, 0x58, 0x59, 0x5A, 0x5C, 0x5E,
		0x6E, 0x6F, 0x7E, 0x7F, 0xB6, 0xB7, 0xBE, 0xBF, 0xD6, 0xDB, 0xEF:
		// After the two-byte escape, or the end of a VEX prefix.
		return before == 0x0F || before&0xF8 == 0x78 || before&0x80 != 0
	}
	return false
}
