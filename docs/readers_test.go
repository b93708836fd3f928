package docs

import (
	"bytes"
	"encoding/binary"
)

// Appendix "references", readers.

// reader sees old bytes from first to end; places are those of the window.
type reader struct {
	v          *view
	a          *area
	number     int // of the area
	first, end int
	pos        int // place of the window in the area
	old        []byte
}

func (r *reader) byte(i int) byte   { return r.old[i-r.first] }
func (r *reader) word(i int) uint32 { return binary.LittleEndian.Uint32(r.old[i-r.first:]) }
func (r *reader) word16(i int) uint16 {
	return binary.LittleEndian.Uint16(r.old[i-r.first:])
}
func (r *reader) sees(i, n int) bool {
	return i >= r.first && i+n <= r.end
}
func (r *reader) addr(i int) uint64 { return r.a.addr + uint64(r.pos+i) }

func (r *reader) add(list []guess, at, form, class, base int) []guess {
	g := guess{at: at, form: form, class: class, base: base}
	from := uint64(0)
	if base >= 0 && base < len(r.a.bases) {
		from = r.a.bases[base]
	} else if base == -2 {
		from = r.addr(at)
	}
	g.target = read(r.old[at-r.first:], form, r.addr(at), from)
	return append(list, g)
}

func (r *reader) find(from, to int) []guess {
	switch r.a.kind {
	case 1:
		return r.x86(from, to)
	case 2:
		return r.arm64(from, to)
	case 3:
		return r.table(from, to)
	case 4:
		return r.goFunctions(from, to)
	case 6:
		return r.goTypes(from, to)
	case 7:
		return r.goInlining(from, to)
	case 8:
		return r.rebases(from, to)
	case 9:
		return r.relocations(from, to)
	case 10:
		return r.entries(from, to)
	case 11:
		return r.debugAddresses(from, to)
	case 12:
		return r.debugFrames(from, to)
	}
	return r.ehFrame(from, to)
}

var (
	opcodes = []byte{0x01, 0x03, 0x0B, 0x23, 0x2B, 0x33, 0x38, 0x39, 0x3A, 0x3B, 0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x88,
		0x89, 0x8A, 0x8B, 0x8D, 0xC6, 0xC7, 0xFF}
	escaped = []byte{0x10, 0x11, 0x12, 0x16, 0x28, 0x2A, 0x2E, 0x2F, 0x54, 0x57, 0x58, 0x59, 0x5A, 0x5C, 0x5E, 0x6E, 0x6F,
		0x7E, 0x7F, 0xB6, 0xB7, 0xBE, 0xBF, 0xD6, 0xDB, 0xEF}
)

func (r *reader) x86(from, to int) (list []guess) {
	for i := max(from, r.first+3); i < to && r.sees(i, 4); i++ {
		a, b, c := r.byte(i-1), r.byte(i-2), r.byte(i-3)
		class := 0
		switch {
		case a == 0xE8 || a == 0xE9:
			class = 1
		case a&0xF0 == 0x80 && b == 0x0F:
			class = 2
		case a&0xC7 == 5 && (bytes.IndexByte(opcodes, b) >= 0 ||
			bytes.IndexByte(escaped, b) >= 0 && (c == 0x0F || c >= 0x78)):
			class = 3
		}
		if class > 0 {
			list = r.add(list, i, rel32, class, -3)
			i += 3
		}
	}
	return list
}

func (r *reader) arm64(from, to int) (list []guess) {
	for i := from; i < to && r.sees(i, 4); i++ {
		if r.addr(i)%4 != 0 {
			continue
		}
		w := r.word(i)
		switch {
		case w&0x7C000000 == 0x14000000:
			list = r.add(list, i, imm26, 1, -3)
		case w&0xFE000000 == 0x54000000 || w&0x7E000000 == 0x34000000:
			list = r.add(list, i, imm19, 4, -3)
		case w&0x3B000000 == 0x18000000:
			list = r.add(list, i, imm19, 3, -3)
		case w&0x7E000000 == 0x36000000:
			list = r.add(list, i, imm14, 4, -3)
		case w&0x9F000000 == 0x90000000:
			list = r.pair(r.add(list, i, adrp, 5, -3), i)
		}
	}
	return list
}

func (r *reader) pair(list []guess, i int) []guess {
	page := &list[len(list)-1]
	reg := r.word(i) & 31
	for k := i + 4; k <= i+32 && r.sees(k, 4); k += 4 {
		w := r.word(k)
		form := lo12
		switch {
		case w>>5&31 != reg:
			if w&0x9F00001F == 0x90000000|reg {
				return list
			}
			continue
		case w&0xFFC00000 == 0x91000000:
		case w&0x3B000000 == 0x39000000:
			if form = lo12 + int(w>>30); w>>30 == 0 && w&0x04800000 == 0x04800000 {
				form = lo12 + 4
			}
		default:
			continue
		}
		page.target |= uint64(w>>10&0xFFF) << (form - lo12) & 0xFFF
		return append(list, guess{at: k, form: form, class: 6, base: -3, target: page.target})
	}
	return list
}

func (r *reader) table(from, to int) (list []guess) {
	start := (r.pos+from)/r.a.stride*r.a.stride - r.pos
	for ; start < to; start += r.a.stride {
		for k, f := range r.a.fields {
			at := start + f.offset
			if at < from || at >= to || !r.sees(at, f.width) {
				continue
			}
			form := abs32
			if f.width == 8 {
				form = abs64
			}
			list = r.add(list, at, form, 10+3*r.number%14+k, f.base)
		}
	}
	return list
}

// findRecords notes where records start.
func (a *area) findRecords(b []byte, left *int) {
	le := binary.LittleEndian
	for pos := 0; *left > 0; *left-- {
		if a.kind == 4 && pos+44 <= len(b) {
			a.records = append(a.records, pos)
			pos += (44 + 4*int(min(le.Uint32(b[pos+28:]), 64)) + 4*int(b[pos+43]) + 7) / 8 * 8
		} else if (a.kind == 5 || a.kind == 12) && pos+12 <= len(b) {
			n := le.Uint32(b[pos:])
			if n < 4 || n >= 0xFFFFFFF0 {
				return
			}
			if second := le.Uint32(b[pos+4:]); a.kind == 5 && second != 0 || a.kind == 12 && second != 0xFFFFFFFF {
				a.records = append(a.records, pos)
			}
			pos += 4 + int(n)
		} else if a.kind == 9 && pos+8 <= len(b) {
			n := le.Uint32(b[pos+4:])
			if n < 8 || n%4 != 0 || int(n) > len(b)-pos {
				return
			}
			a.blocks = append(a.blocks, block{pos, pos + int(n), uint64(le.Uint32(b[pos:]))})
			pos += int(n)
		} else {
			return
		}
	}
}

// block is one of PE's relocations.
type block struct {
	start, end int
	page       uint64
}

func (r *reader) relocations(from, to int) (list []guess) {
	base := r.a.bases[0]
	for _, b := range r.a.blocks {
		at := b.start - r.pos
		if at >= from && at < to && r.sees(at, 4) {
			g := guess{at: at, form: page32, class: 10, target: base + b.page}
			if r.sees(at+8, 2) && b.end >= b.start+10 {
				g.target += uint64(r.word16(at+8) % 4096)
			}
			list = append(list, g)
		}
		for p := at + 8; p < b.end-r.pos && p < to; p += 2 {
			if p >= from && r.sees(p, 2) && r.word16(p) >= 4096 {
				list = append(list, guess{at: p, form: page12, class: 11, target: base + b.page + uint64(r.word16(p)%4096)})
			}
		}
	}
	return list
}

func (r *reader) goFunctions(from, to int) (list []guess) {
	const text, names, tables, units, data = 0, 1, 2, 3, 4
	for k, start := range r.a.records {
		next := r.a.size
		if k+1 < len(r.a.records) {
			next = r.a.records[k+1]
		}
		if start+512 <= r.pos+from {
			continue
		}
		at := start - r.pos
		np := (next - start - 44) / 4
		if r.sees(at, 44) {
			np = int(min(r.word(at+28), 64))
		}
		for i := range (next - start) / 4 {
			p := at + 4*i
			if p < from || p >= to || !r.sees(p, 4) {
				continue
			}
			base, class, form := -1, 0, abs32
			switch {
			case i == 0:
				base, class = text, 10
			case i == 1:
				base, class = names, 11
			case i >= 4 && i <= 6:
				base, class = tables, 8+i
			case i == 8:
				base, class, form = units, 15, word32
			case i >= 11 && i < 11+np:
				base, class = tables, 16+min(i-11, 3)
			case i >= 11:
				base, class = data, 20+min(i-11-np, 3)
			}
			if v := r.word(p); base < 0 || v == 1<<32-1 || v == 0 && base == tables {
				continue
			}
			list = r.add(list, p, form, class, base)
		}
	}
	return list
}

func (r *reader) ehFrame(from, to int) (list []guess) {
	for _, start := range r.a.records {
		if start+18 <= r.pos+from {
			continue
		}
		at := start - r.pos
		one := func(p, form, class int) {
			if p >= from && p < to && r.sees(p, 4) {
				list = r.add(list, p, form, class, -2)
			}
		}
		one(at+4, back32, 8)
		one(at+8, abs32, 7)
		if p := at + 16; r.sees(p, 5) && r.byte(p) == 4 && r.word(p+1) != 0 {
			one(p+1, abs32, 9)
		}
	}
	return list
}

// offset is one in a descriptor of a Go type.
type offset struct{ at, class int }

// findOffsets notes where descriptors of Go types have offsets.
func (a *area) findOffsets(b []byte, left *int) {
	le := binary.LittleEndian
	aligns := []byte{1, 2, 4, 8}
	for pos := 0; pos+48 <= len(b); {
		d := b[pos:]
		pointers, kind := le.Uint64(d[8:]), d[23]&31
		if le.Uint64(d) >= 1<<32 || pointers > le.Uint64(d) || pointers%8 > 0 || d[20] >= 64 ||
			bytes.IndexByte(aligns, d[21]) < 0 || bytes.IndexByte(aligns, d[22]) < 0 || kind < 1 || kind > 26 ||
			d[30]|d[31]|d[38]|d[39] != 0 || le.Uint32(d[40:]) < 1 || le.Uint32(d[40:]) >= 1<<28 {
			pos += 8
			continue
		}
		size := 48
		if s, ok := map[byte]int{17: 72, 18: 64, 19: 56, 22: 56, 23: 56, 20: 80, 25: 80, 21: 112}[kind]; ok {
			size = s
		}
		end := 0
		note := func(x int, classes ...int) {
			for _, c := range classes {
				if *left > 0 && pos+x+4 <= len(b) {
					a.offsets = append(a.offsets, offset{pos + x, c})
					*left--
				}
				x += 4
			}
			end = max(end, x)
		}
		note(40, 24, 25)
		odd := d[20]%2 == 1 && len(d) >= size+16
		if odd {
			note(size, 24)
			end = size + 16
		}
		if kind == 20 && len(d) >= 72 {
			x, n := le.Uint64(d[56:])-a.addr-uint64(pos), le.Uint64(d[64:])
			for i := 0; (x == uint64(size) || x == uint64(size)+16) && n <= 4096 && i < int(n); i++ {
				note(int(x)+8*i, 24, 25)
			}
		}
		if odd {
			n, x, was := int(le.Uint16(d[size+4:])), size+int(le.Uint32(d[size+8:])), end
			for i := 0; n <= 4096 && x%4 == 0 && x >= was && x < was+1<<16 && i < n; i++ {
				note(x+16*i, 24, 25, 26, 27)
			}
		}
		pos += (end + 7) / 8 * 8
	}
}

func (r *reader) goTypes(from, to int) (list []guess) {
	k := 0
	for i := from; i < to; i++ {
		if (r.pos+i)%8 == 0 && r.sees(i, 8) {
			list = r.add(list, i, abs64, 28, -1)
		}
		for k < len(r.a.offsets) && r.a.offsets[k].at < r.pos+i {
			k++
		}
		for ; k < len(r.a.offsets) && r.a.offsets[k].at == r.pos+i; k++ {
			if c := r.a.offsets[k].class; r.sees(i, 4) && r.word(i) != 0 && r.word(i) != 1<<32-1 {
				list = r.add(list, i, abs32, c, (c-24)/2)
			}
		}
	}
	return list
}

func (r *reader) goInlining(from, to int) (list []guess) {
	for i := from; i < to; i++ {
		if (r.pos+i)%4 > 0 || !r.sees(i-4, 16) {
			continue
		}
		name, line := r.word(i), r.word(i+8)
		if r.word(i-4) < 64 && name >= 1<<10 && name < 1<<28 && r.word(i+4) < 1<<24 && line >= 1 && line < 1<<22 {
			list = r.add(list, i, abs32, 29, 0)
		}
	}
	return list
}

func (r *reader) rebases(from, to int) (list []guess) {
	for i := from; i < to; i++ {
		if !r.sees(i-1, 5) {
			continue
		}
		segment := int(r.byte(i-1) % 16)
		if r.byte(i-1)/16 == 2 && r.byte(i) >= 128 && r.byte(i+1) >= 128 && r.byte(i+2) < 128 && r.byte(i+3) == 0x51 && segment < len(r.a.bases) {
			list = r.add(list, i, uleb, 31, segment)
		}
	}
	return list
}
