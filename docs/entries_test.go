package docs

import "encoding/binary"

// Appendix "references", readers: debug sections.

// place is where a reference of a debug entry is in its area.
type place struct {
	pos, form, class, base int
	unit                   int // where its unit starts
}

// form is how an attribute is read.
type form struct {
	size        int // fixed bytes, or those of a block's size
	kind        byte
	class, base int
}

// entries goes over .debug_info.
type entries struct {
	area  []byte
	blob  []byte
	from  int // of the area in the blob
	a     *area
	left  *int
	seen  map[string]bool
	known map[int][][]form
}

// number reads a number of n bytes, at most 8; n = 0 is LEB128. It is false
// behind the end.
func number(b []byte, at, n int) (v, end int, ok bool) {
	if n > 0 {
		if at+n > len(b) {
			return 0, at, false
		}
		var all [8]byte
		copy(all[:], b[at:at+n])
		return int(binary.LittleEndian.Uint64(all[:])), at + n, true
	}
	for i := range 10 {
		if at+i >= len(b) {
			return 0, at, false
		}
		v |= int(b[at+i]&127) << (7 * i)
		if b[at+i] < 128 {
			return v, at + i + 1, true
		}
	}
	return 0, at, false
}

var forms = map[int]form{0x01: {kind: 'a', class: 19, base: -1}, 0x03: {size: 2, kind: 'b'}, 0x04: {size: 4, kind: 'b'}, 0x05: {size: 2}, 0x06: {size: 4},
	0x07: {size: 8}, 0x08: {kind: 's'}, 0x09: {kind: 'b'}, 0x0a: {size: 1, kind: 'b'}, 0x0b: {size: 1}, 0x0c: {size: 1}, 0x0d: {kind: 'u'},
	0x0e: {kind: 'o', class: 12, base: 2}, 0x0f: {kind: 'u'}, 0x10: {kind: 'o', class: 10, base: 0}, 0x11: {size: 1}, 0x12: {size: 2},
	0x13: {kind: 'o', class: 18, base: -3}, 0x14: {size: 8}, 0x15: {kind: 'u'}, 0x17: {size: 4}, 0x18: {kind: 'b'}, 0x19: {}, 0x1a: {kind: 'u'},
	0x1b: {kind: 'u'}, 0x1c: {size: 4}, 0x1d: {size: 4}, 0x1e: {size: 16}, 0x1f: {kind: 'o', class: 13, base: 3}, 0x20: {size: 8}, 0x21: {},
	0x22: {kind: 'u'}, 0x23: {kind: 'u'}, 0x24: {size: 8}, 0x25: {size: 1}, 0x26: {size: 2}, 0x27: {size: 3}, 0x28: {size: 4}, 0x29: {size: 1},
	0x2a: {size: 2}, 0x2b: {size: 3}, 0x2c: {size: 4}}

// sections of offsets, by the names of attributes.
var sections = map[int]int{0x10: 4, 0x55: 6, 0x74: 6, 0x73: 7, 0x02: 5, 0x19: 5, 0x2a: 5, 0x38: 5, 0x40: 5, 0x46: 5, 0x48: 5, 0x4a: 5, 0x4d: 5, 0x8c: 5, 0x2137: 5}

// abbreviations reads those at an offset.
func (e *entries) abbreviations(offset int) (list [][]form) {
	if list, ok := e.known[offset]; ok {
		return list
	}
	defer func() { e.known[offset] = list }()
	at := e.from + int(e.a.bases[1]-e.a.addr) + offset
	b := append(e.blob[min(max(at, 0), len(e.blob)):len(e.blob):len(e.blob)], make([]byte, 64)...)
	for at = 0; *e.left > 0; {
		*e.left--
		code, next, ok := number(b, at, 0)
		if !ok || code != len(list)+1 {
			break
		}
		_, at, ok = number(b, next, 0)
		at++
		entry, key := []form{}, ""
		for ok {
			name, next, first := number(b, at, 0)
			kind, next, second := number(b, next, 0)
			at = next
			if !first || !second || len(entry) > 256 {
				return list
			}
			if name == 0 && kind == 0 {
				break
			}
			f, known := forms[kind]
			if s, ok := sections[name]; ok && kind == 0x17 {
				f = form{kind: 'o', class: 10 + s, base: s}
			}
			if kind == 0x21 {
				_, at, known = number(b, at, 0)
			}
			if !known {
				return list
			}
			entry = append(entry, f)
			key += string([]byte{byte(f.size), f.kind, byte(f.class)})
		}
		if !e.seen[key] {
			e.seen[key] = true
			*e.left -= 8 + len(entry)
		}
		list = append(list, entry)
	}
	return list
}

// units notes the references of all units.
func (e *entries) units() {
	b := e.area
	for pos := 0; pos+11 <= len(b) && *e.left > 0; {
		*e.left -= 16
		n, _, _ := number(b, pos, 4)
		if n < 7 || n >= 0xFFFFFFF0 || n > len(b)-pos-4 {
			return
		}
		start, end := pos, pos+4+n
		pos = end
		version, _, _ := number(b, start+4, 2)
		head, offset, width := 0, start+6, start+10
		switch {
		case version == 3 || version == 4:
			head = 11
		case version == 5 && b[start+6] >= 1 && b[start+6] <= 6:
			head, width, offset = []int{12, 24, 12, 20, 20, 24}[b[start+6]-1], start+7, start+8
		}
		if at, _, ok := number(b, offset, 4); ok && head > 0 && (b[width] == 4 || b[width] == 8) {
			list := e.abbreviations(at)
			e.a.places = append(e.a.places, place{offset, abs32, 11, 1, start})
			e.unit(start, start+head, end, int(b[width]), list)
		}
	}
}

// unit notes the references of the entries of a unit.
func (e *entries) unit(start, at, end, width int, list [][]form) {
	for noted := at; at < end; {
		if at >= noted {
			if *e.left <= 0 {
				return
			}
			*e.left--
			noted = (at/1024 + 1) * 1024
		}
		code, next, ok := number(e.area, at, 0)
		if !ok || code > len(list) || code < 0 {
			return
		}
		found := len(e.a.places)
		if code > 0 {
			for _, f := range list[code-1] {
				if next, ok = e.attribute(f, next, start, width); !ok {
					break
				}
			}
		}
		if !ok || next > end {
			e.a.places = e.a.places[:found]
			return
		}
		at = next
	}
}

func (e *entries) attribute(f form, at, start, width int) (end int, ok bool) {
	address := abs32
	if width == 8 {
		address = abs64
	}
	switch f.kind {
	case 'a':
		e.a.places = append(e.a.places, place{at, address, f.class, f.base, start})
		at += width
	case 'o':
		e.a.places = append(e.a.places, place{at, abs32, f.class, f.base, start})
		at += 4
	case 's':
		for at < len(e.area) && e.area[at] != 0 {
			at++
		}
		at++
	case 'u':
		_, at, ok = number(e.area, at, 0)
		return at, ok
	case 'b':
		var n int
		if n, at, ok = number(e.area, at, f.size); !ok || n < 0 || n > len(e.area)-at {
			return at, false
		}
		if n > width && e.area[at] == 3 {
			e.a.places = append(e.a.places, place{at + 1, address, 20, -1, start})
		}
		at += n
	default:
		at += f.size
	}
	return at, at <= len(e.area)
}

func (r *reader) entries(from, to int) (list []guess) {
	for _, p := range r.a.places {
		at, width := p.pos-r.pos, 4
		if p.form == abs64 {
			width = 8
		}
		if at < from || at >= to || !r.sees(at, width) || p.base >= 0 && r.a.bases[p.base] == 0 {
			continue
		}
		list = r.add(list, at, p.form, p.class, p.base)
		if g := &list[len(list)-1]; p.base == -3 {
			g.unit = r.a.addr + uint64(p.unit)
			g.target = uint64(r.word(at)) + g.unit
		}
	}
	return list
}

func (r *reader) debugAddresses(from, to int) (list []guess) {
	for i := max(from, r.first+3); i < to && r.sees(i, 8); i++ {
		mark := r.byte(i - 1)
		set, whole := mark == 2 && r.byte(i-2) == 9 && r.byte(i-3) == 0, i >= r.first+8
		for k := 1; k <= 8 && whole; k++ {
			whole = r.byte(i-k) == 255
		}
		if !set && !whole && (mark < 5 || mark > 8) {
			continue
		}
		if v := uint64(r.word(i)) | uint64(r.word(i+4))<<32; v >= 1<<12 && v < 1<<48 {
			list = r.add(list, i, abs64, 21, -1)
			i += 7
		}
	}
	return list
}

func (r *reader) debugFrames(from, to int) (list []guess) {
	for _, start := range r.a.records {
		if at := start - r.pos + 4; at >= from && at < to && r.sees(at, 4) {
			list = r.add(list, at, abs32, 23, 0)
		}
		if at := start - r.pos + 8; at >= from && at < to && r.sees(at, 8) {
			list = r.add(list, at, abs64, 22, -1)
		}
	}
	return list
}
