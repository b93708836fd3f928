package docs

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sort"
)

// Appendix "references".

type mapped struct{ pos, size, addr uint64 }

type span struct{ addr, end, shift uint64 }

type field struct{ offset, width, base int }

type area struct {
	pos, size int
	kind      byte
	bases, to []uint64
	stride    int
	fields    []field
	addr      uint64
	records   []int    // of Go functions and .eh_frame
	offsets   []offset // of Go types
	blocks    []block  // of PE's relocations
	places    []place  // of debug entries
}

type module struct {
	number     int
	start, end int
	old, new   []mapped
	areas      []area
	spans      []span
	last       int

	unit, newUnit uint64 // of the last reference that counts from one
}

// Forms.
const (
	abs32 = iota
	abs64
	word32
	uleb
	page32
	page12
	rel32
	imm26
	imm19
	imm14
	adrp
	lo12   // to lo12x16
	back32 = lo12 + 5
)

type guess struct {
	at, form, class, base int
	target                uint64
	to, newBase           uint64
	law, fixed            uint64 // what the spans say, and a correction, if they differ
	doubt                 bool
	times                 int    // of the correction
	unit                  uint64 // old address of what it counts from, with base -3
}

func (g *guess) width() int {
	switch g.form {
	case abs64:
		return 8
	case uleb:
		return 3
	case page12:
		return 2
	}
	return 4
}

type references struct {
	modules []*module
	keys    [1 << 14]uint64
	targets [1 << 14]uint64
	times   [1 << 14]int
	trust   [32][4]int
	old     []byte
	lists   []*addends
	words   map[int]byte // by place in the section: bytes of words, and
	starts  map[int]int  // their places in the word
	last    int          // where the last word began
}

// addends is a list of relocations in new.
type addends struct {
	pos, end, info int
	in             *module
}

// tell reads the rows that are complete, now that so many new bytes are there.
func (r *references) tell(out []byte) {
	for _, l := range r.lists {
		for ; l.pos+24 <= min(l.end, len(out)); l.pos += 24 {
			row := out[l.pos:]
			if binary.LittleEndian.Uint64(row[8:]) != uint64(l.info) {
				continue
			}
			addr := binary.LittleEndian.Uint64(row)
			for _, m := range l.in.new {
				if addr-m.addr < m.size {
					r.word(int(m.pos+addr-m.addr), row[16:24])
					break
				}
			}
		}
	}
}

func (r *references) word(at int, value []byte) {
	if len(r.words) > 0 && at < r.last+8 || len(r.words) == 8<<18 {
		return
	}
	r.last = at
	for i, b := range value {
		r.words[at+i], r.starts[at+i] = b, i
	}
}

func newReferences(w *wire, old []byte, starts []int, covers []cover) *references {
	r := &references{old: old, words: map[int]byte{}, starts: map[int]int{}}
	if len(w.b) == 0 {
		return r
	}
	records, lists := 1<<19, 0 // end of the last list
	for number := range w.varint() {
		m := &module{number: number}
		blob := w.varint()
		m.start, m.end = starts[blob], starts[blob+1]
		m.old, m.new = readMaps(w), readMaps(w)
		var blanks []span
		addr := uint64(0)
		for range w.varint() {
			addr += w.zigzag()
			size := uint64(w.varint())
			blanks = append(blanks, span{addr, addr + size, w.zigzag()})
		}
		end := 0
		for range w.varint() {
			a := readArea(w, end)
			end = a.pos + a.size
			a.addr, _ = address(m.old, uint64(a.pos))
			if b := old[m.start+a.pos : m.start+end]; a.kind == 6 {
				a.findOffsets(b, &records)
			} else if a.kind == 10 {
				e := entries{area: b, blob: old[m.start:m.end], from: a.pos, a: &a, left: &records, seen: map[string]bool{}, known: map[int][][]form{}}
				e.units()
			} else {
				a.findRecords(b, &records)
			}
			m.areas = append(m.areas, a)
		}
		for range w.varint() {
			l := &addends{pos: lists + w.varint(), in: m}
			l.end = l.pos + w.varint()
			l.info = w.varint()
			lists = l.end
			r.lists = append(r.lists, l)
		}
		m.spans = append(m.findSpans(covers), blanks...)
		slices.SortStableFunc(m.spans, func(a, b span) int { return cmp.Compare(a.addr, b.addr) })
		r.modules = append(r.modules, m)
	}
	return r
}

func readMaps(w *wire) (list []mapped) {
	end, shift := 0, uint64(0)
	for range w.varint() {
		pos := end + w.varint()
		size := w.varint()
		shift += w.zigzag()
		list = append(list, mapped{uint64(pos), uint64(size), uint64(pos) + shift})
		end = pos + size
	}
	return list
}

func readArea(w *wire, end int) (a area) {
	a.pos = end + w.varint()
	a.size = w.varint()
	a.kind = w.take(1)[0]
	base := uint64(0)
	for range w.varint() {
		base += w.zigzag()
		a.bases = append(a.bases, base)
		a.to = append(a.to, base+w.zigzag())
	}
	if a.kind == 3 {
		a.stride = w.varint()
		for range w.varint() {
			f := field{offset: w.varint()}
			f.width = int(w.take(1)[0])
			f.base = int(int64(w.zigzag()))
			a.fields = append(a.fields, f)
		}
	}
	return a
}

func address(maps []mapped, pos uint64) (uint64, bool) {
	for _, m := range maps {
		if pos >= m.pos && pos < m.pos+m.size {
			return m.addr + pos - m.pos, true
		}
	}
	return 0, false
}

// findSpans does not make regions first: it asks for each old position where
// it is in new.
func (m *module) findSpans(covers []cover) (list []span) {
	if len(m.new) == 0 {
		return nil
	}
	from, to := int(m.new[0].pos), int(m.new[len(m.new)-1].pos+m.new[len(m.new)-1].size)
	longest := make([]int, m.end-m.start) // 1 + number of the cover
	for i, c := range covers {
		if c.old < m.start || c.old+c.n > m.end || c.new >= to || c.new+c.n <= from {
			continue
		}
		for p := c.old - m.start; p < c.old+c.n-m.start; p++ {
			if k := longest[p]; k == 0 || covers[k-1].n < c.n {
				longest[p] = i + 1
			}
		}
	}
	shiftOf := func(p int) (int, bool) {
		if p >= len(longest) || longest[p] == 0 {
			return 0, false
		}
		c := covers[longest[p]-1]
		return c.new - c.old, true
	}
	for _, o := range m.old {
		first := len(list)
		end := int(o.pos + o.size)
		for p := int(o.pos); p < end; {
			shift, ok := shiftOf(p)
			if !ok {
				p++
				continue
			}
			stop := p // of the region
			for s, ok := shiftOf(stop); stop < end && ok && s == shift; s, ok = shiftOf(stop) {
				stop++
			}
			for p < stop {
				n := stop - p
				now := uint64(m.start + p + shift)
				for _, x := range m.new {
					if now >= x.pos && now < x.pos+x.size {
						n = min(n, int(x.pos+x.size-now))
						addr := o.addr + uint64(p) - o.pos
						list = append(list, span{addr: addr, shift: x.addr + now - x.pos - addr})
						break
					}
				}
				p += n
			}
		}
		for k := first; k < len(list); k++ {
			list[k].end = o.addr + o.size
			if k+1 < len(list) {
				list[k].end = list[k+1].addr
			}
		}
		if first < len(list) {
			list[first].addr = o.addr
		}
	}
	return list
}

func (m *module) find(old uint64) (uint64, bool) {
	if s := m.spans[m.last]; old >= s.addr && old < s.end {
		return old + s.shift, true
	}
	i := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].addr > old }) - 1
	if i < 0 || old >= m.spans[i].end {
		return 0, false
	}
	m.last = i
	return old + m.spans[i].shift, true
}

func (r *references) start(v *view) {
	pos := v.c.old + v.from
	for _, m := range r.modules {
		if pos >= m.start && pos < m.end && pos+v.n <= m.end && len(m.spans) > 0 {
			v.m = m
			v.here, v.mapped = address(m.new, uint64(v.c.new+v.from))
			v.homeOld, v.homeMapped = address(m.old, uint64(pos-m.start))
		}
	}
}

func (r *references) place(m *module, target uint64) (key uint64, place int) {
	key = target ^ uint64(m.number+1)<<58
	return key, int(key * 0x9E3779B97F4A7C15 >> 50)
}

func (r *references) predict(v *view, from, to int) {
	if v.m != nil {
		r.predictReferences(v, from, to)
	}
	for i := from; i < to; i++ {
		if b, ok := r.words[v.c.new+v.from+i]; ok {
			v.pred[i], v.class[i] = b, byte(240+r.starts[v.c.new+v.from+i])
		}
	}
}

func (r *references) predictReferences(v *view, from, to int) {
	base := v.c.old + v.from - v.m.start // of the window in the blob
	for i := range v.m.areas {
		a := &v.m.areas[i]
		lo, hi := max(from, a.pos-base), min(to, a.pos+a.size-base)
		if lo >= hi {
			continue
		}
		see := reader{v: v, a: a, number: i, first: v.first(), end: min(v.n, a.pos+a.size-base), pos: base - a.pos}
		see.old = v.old[v.c.old+v.from+see.first : v.c.old+v.from+see.end]
		for _, g := range see.find(lo, hi) {
			r.guess(v, a, g)
		}
	}
}

func (r *references) guess(v *view, a *area, g guess) {
	bound := g.form >= rel32 || g.base == -2
	if bound && !v.mapped {
		return
	}
	here := v.here + uint64(g.at)
	inside := bound && v.homeMapped && g.target-(v.homeOld-uint64(v.from)) < uint64(v.c.n)
	if inside {
		g.to = g.target + v.here - v.homeOld
	} else if !r.point(v.m, &g) {
		return
	}
	if g.base == -2 {
		g.newBase = here
	} else if g.base == -3 {
		if g.unit != v.m.unit {
			to, ok := v.m.find(g.unit)
			if !ok {
				return
			}
			v.m.unit, v.m.newUnit = g.unit, to
		}
		g.newBase = v.m.newUnit
	} else if g.base >= 0 && g.base < len(a.to) {
		g.newBase = a.to[g.base]
	}
	write(v.pred[g.at:], g.form, here, g.to, g.newBase)
	for k := range g.width() {
		v.class[g.at+k] = byte(8*g.class + k)
	}
	v.guesses = append(v.guesses, g)
}

func (r *references) learn(v *view, to int) {
	for len(v.guesses) > 0 {
		g := v.guesses[0]
		if g.at+g.width() > to {
			return
		}
		v.guesses = v.guesses[1:]
		if g.form > imm26 || g.form == page32 || g.form == page12 {
			continue
		}
		to := g.to
		if was, is := v.pred[g.at:g.at+g.width()], v.new[g.at:g.at+g.width()]; !slices.Equal(was, is) {
			to = read(v.new[g.at:], g.form, v.here+uint64(g.at), g.newBase)
		}
		r.correct(v.m, &g, to)
	}
}

// point decides between the law and a correction.
func (r *references) point(m *module, g *guess) bool {
	law, lawful := m.find(g.target)
	key, place := r.place(m, g.target)
	corrected := key != 0 && r.keys[place] == key
	switch fixed := r.targets[place]; {
	case !corrected && !lawful:
		return false
	case !corrected:
		g.to = law
	case !lawful || law == fixed:
		g.to = fixed
	default:
		g.doubt, g.law, g.fixed, g.times = true, law, fixed, r.times[place]
		g.to = law
		if r.trust[g.class][g.times] >= 0 {
			g.to = fixed
		}
	}
	return true
}

func (r *references) correct(m *module, g *guess, to uint64) {
	if g.doubt && to == g.fixed {
		r.trust[g.class][g.times] = min(r.trust[g.class][g.times]+1, 15)
	} else if g.doubt && to == g.law {
		r.trust[g.class][g.times] = max(r.trust[g.class][g.times]-1, -15)
	}
	key, place := r.place(m, g.target)
	corrected := key != 0 && r.keys[place] == key
	if corrected && r.targets[place] == to {
		r.times[place] = min(r.times[place]+1, 3)
	} else if corrected || to != g.to {
		r.keys[place], r.targets[place], r.times[place] = key, to, 0
	}
}

func signed(v uint32, n int) uint64 { return uint64(int64(int32(v<<(32-n))) >> (32 - n)) }

// read returns the target of forms up to imm14, and the page of adrp.
func read(b []byte, form int, here, base uint64) uint64 {
	if form == uleb {
		return base + uint64(b[0]%128) + uint64(b[1]%128)*128 + uint64(b[2]%128)*128*128
	}
	v := binary.LittleEndian.Uint32(b)
	switch form {
	case abs32:
		if base == 0 {
			return uint64(v)
		}
		return signed(v, 32) + base
	case abs64:
		return binary.LittleEndian.Uint64(b) + base
	case word32:
		return 4*uint64(v) + base
	case rel32:
		return here + 4 + signed(v, 32)
	case imm26:
		return here + 4*signed(v, 26)
	case imm19:
		return here + 4*signed(v>>5, 19)
	case imm14:
		return here + 4*signed(v>>5, 14)
	case adrp:
		return (here>>12 + signed(v>>5<<2|v>>29&3, 21)) << 12
	}
	return here - signed(v, 32)
}

func write(b []byte, form int, here, to, base uint64) {
	if form == page12 {
		b[0], b[1] = byte(to-base), b[1]&0xF0|byte((to-base)>>8)&0x0F
		return
	}
	if form == uleb {
		v := to - base
		b[0], b[1], b[2] = 128|byte(v%128), 128|byte(v/128%128), byte(v/128/128%128)
		return
	}
	le := binary.LittleEndian
	old := le.Uint32(b)
	put := func(shift, n int, v uint64) {
		mask := uint32(1<<n-1) << shift
		old = old&^mask | uint32(v)<<shift&mask
	}
	switch form {
	case abs64:
		le.PutUint64(b, to-base)
		return
	case abs32:
		put(0, 32, to-base)
	case word32:
		put(0, 32, (to-base)/4)
	case page32:
		put(0, 32, (to-base)/4096*4096)
	case rel32:
		put(0, 32, to-here-4)
	case imm26:
		put(0, 26, (to-here)>>2)
	case imm19:
		put(5, 19, (to-here)>>2)
	case imm14:
		put(5, 14, (to-here)>>2)
	case adrp:
		put(29, 2, to>>12-here>>12)
		put(5, 19, (to>>12-here>>12)>>2)
	case back32:
		put(0, 32, here-to)
	default:
		put(10, 12, to&0xFFF>>(form-lo12))
	}
	le.PutUint32(b, old)
}
