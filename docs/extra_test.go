package docs

import "math/bits"

// Appendix "mixing", extra model.

type extraModel struct {
	*coder
	s       *section
	tables  [6]lines
	matches [512]slot
	sets    [][]int32
	lesson  int
	learned int
	history []byte
	at      int
	entries []uint32
	match   int
	length  int
	word    uint32
}

func newExtraModel(c *coder, s *section, n int, covers []cover) *extraModel {
	d := bits.Len(uint(n))
	m := &extraModel{coder: c, s: s, sets: weights(256, 7, 22937), history: make([]byte, 1<<min(d+1, 21)), at: 1, entries: make([]uint32, 1<<18)}
	for i, most := range []int{12, 15, 15, 13, 14, 15} {
		m.tables[i] = newLines(min(max(d+1, 10), most))
	}
	gaps, end := 1, 0
	for _, c := range covers {
		if c.new > end {
			gaps++
		}
		end = c.new + c.n
	}
	if m.lesson = min(1<<18/gaps, 1024); m.lesson < 64 {
		m.lesson = 0
	}
	return m
}

// blob returns where the blob starts and ends that a byte of old is in.
func (s *section) blob(pos int) (start, end int) {
	for k := 0; ; k++ {
		if pos < s.starts[k+1] {
			return s.starts[k], s.starts[k+1]
		}
	}
}

func tailOf(b []byte) (tail uint64) {
	for _, c := range b[max(0, len(b)-8):] {
		tail = tail<<8 | uint64(c)
	}
	return tail
}

func (m *extraModel) gap(n, e int) {
	if n == 0 {
		return
	}
	end := 0
	if e > 0 {
		start, stop := m.s.blob(e - 1)
		end = stop
		if m.lesson > 0 {
			from := max(e-m.lesson/3, start)
			to := min(from+m.lesson, end)
			if m.learned > from && m.learned < to {
				from = m.learned
			}
			m.learned = to
			for i := from; i < to; i++ {
				m.byte(tailOf(m.s.old[from:i]), 0, int(m.s.old[i]))
				m.push(m.s.old[i], tailOf(m.s.old[from:i+1]))
			}
			m.length, m.word = 0, 0
		}
	}
	for i := range n {
		was := uint32(0)
		if e+i < end {
			was = uint32(m.s.old[e+i]) + 1
		}
		if e+i+1 < end {
			was |= (uint32(m.s.old[e+i+1]) + 1) << 9
		}
		b := m.byte(tailOf(m.s.out), was, -1)
		m.s.out = append(m.s.out, b)
		m.push(b, tailOf(m.s.out))
	}
}

func (m *extraModel) byte(tail uint64, was uint32, known int) byte {
	t := uint32(tail)
	word := m.word
	if word == 0 {
		word = t & 0xFF00FF00
	}
	hashes := []uint32{hash(t&0xFF, 0), hash(t&0xFFFF, 1), hash(t&0xFFFFFF, 2), hash(was, 5<<16), hash(word, t&255|6<<16),
		hash(t&0xFF000000, uint32(tail>>56)|8<<8)}
	expected := -1
	if m.length > 0 {
		expected = int(m.history[m.match%len(m.history)])
	}
	out := 0
	for half := range 2 {
		var l [6]*line
		for i := range l {
			l[i] = m.tables[i].find(hashes[i])
		}
		node := 1
		for b := 3; b >= 0; b-- {
			shift := b + 4*(1-half)
			x, k, slot, guess := make([]int, 7), 0, (*slot)(nil), 0
			for i := range l {
				x[i] = m.stretchedCell(&l[i].cells[node])
			}
			if expected >= 0 && expected>>(shift+1) == out {
				k = min(bits.Len(uint(m.length)), 7)
				c := m.length
				if c >= 8 {
					c = 8 + min(m.length/4, 7)
				}
				slot, guess = &m.matches[c*32+16*half+node], expected>>shift&1
				if x[6] = m.stretched(slot); guess == 0 {
					x[6] = -x[6]
				}
			}
			bit := -1
			if known >= 0 {
				bit = known >> shift & 1
			}
			bit = m.mix(x, m.sets[k*32+16*half+node], bit)
			for i := range l {
				l[i].cells[node].adapt(bit)
			}
			if slot != nil {
				slot.adapt(1^bit^guess, 250)
			}
			node, out = node<<1|bit, out<<1|bit
		}
		for i := range hashes {
			hashes[i] = lower(hashes[i], uint32(out))
		}
	}
	return byte(out)
}

func (m *extraModel) push(b byte, tail uint64) {
	if m.length > 0 && m.history[m.match%len(m.history)] == b {
		m.match++
		m.length++
	} else {
		m.length = 0
	}
	m.history[m.at%len(m.history)] = b
	m.at++
	if b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '_' || b == '$' || b >= 128 {
		m.word = (m.word + uint32(b) + 1) * 0x2F0B4C47
	} else {
		m.word = 0
	}
	h := (tail & (1<<40 - 1)) * 0x9E3779B97F4A7C15
	entry, check := &m.entries[h>>46], uint32(h>>38&255)
	if m.length == 0 && *entry != 0 && *entry&255 == check {
		m.match, m.length = int(*entry>>8), 1
	}
	*entry = uint32(m.at%len(m.history))<<8 | check
}
