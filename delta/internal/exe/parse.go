package exe

import (
	"cmp"
	"slices"
)

// Parse returns the layout of an executable, and false if it is none that is
// known. It may be in its unpacked form, and then places are those in the form.
// What is broken in the file is left out: all maps and areas are inside it, in
// order and apart.
func Parse(file []byte) (*Layout, bool) {
	if len(file) < 4 {
		return nil, false
	}
	m := newImage(file)
	var magic [4]byte
	m.ReadAt(magic[:], 0)
	l := &Layout{}
	ok := false
	switch string(magic[:]) {
	case "\x7fELF":
		ok = l.parseELF(m)
	case "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe":
		ok = l.parseMachO(m)
	default:
		if string(magic[:2]) == "MZ" {
			ok = l.parsePE(m)
		}
	}
	if ok {
		l.goTables(file)
	}
	l.tidy(uint64(len(file)))
	return l, ok && len(l.Maps) > 0
}

// tidy sorts everything by place, cuts maps off where they overlap earlier ones
// or reach out of the file, and drops areas that do.
func (l *Layout) tidy(size uint64) {
	slices.SortFunc(l.Maps, func(a, b Map) int { return cmp.Compare(a.Pos, b.Pos) })
	maps, end := l.Maps[:0], uint64(0)
	for _, m := range l.Maps {
		if over := end - m.Pos; m.Pos < end {
			over = min(over, m.Size)
			m = Map{m.Pos + over, m.Size - over, m.Addr + over}
		}
		if m.Pos >= size || m.Size == 0 {
			continue
		}
		m.Size = min(m.Size, size-m.Pos)
		end = m.Pos + m.Size
		maps = append(maps, m)
	}
	l.Maps = maps
	l.tidyAddends(size)
	slices.SortStableFunc(l.Areas, func(a, b Area) int { return cmp.Compare(a.Pos, b.Pos) })
	end = 0
	l.Areas = slices.DeleteFunc(l.Areas, func(a Area) bool {
		if a.Size == 0 || a.Pos < end || a.Pos > size || a.Size > size-a.Pos {
			return true
		}
		end = a.Pos + a.Size
		return false
	})
}

// tidyAddends drops lists that are not inside the file, or overlap.
func (l *Layout) tidyAddends(size uint64) {
	slices.SortStableFunc(l.Addends, func(a, b Addends) int { return cmp.Compare(a.Pos, b.Pos) })
	end := uint64(0)
	l.Addends = slices.DeleteFunc(l.Addends, func(a Addends) bool {
		if a.Size < AddendSize || a.Pos < end || a.Pos > size || a.Size > size-a.Pos {
			return true
		}
		end = a.Pos + a.Size
		return false
	})
}

// unloaded makes content that is not loaded known under an address.
func (l *Layout) unloaded(pos, size uint64) {
	l.Maps = append(l.Maps, Map{pos, size, Unloaded + pos})
}

// pointers is an area of words that may be addresses.
func pointers(name string, pos, size, width uint64) Area {
	return Area{Name: name, Pos: pos, Size: size, Kind: Table, Stride: width, Fields: []Field{{0, width, FromZero}}}
}

// place returns where an address is in the file.
func (l *Layout) place(addr uint64) (uint64, bool) { return Place(l.Maps, addr) }
