package exe

import (
	"cmp"
	"io"
	"slices"
)

// Parse returns the layout of an executable, and false if it is none that is
// known. What is broken in the file is left out.
func Parse(r io.ReaderAt) (*Layout, bool) {
	var magic [4]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil {
		return nil, false
	}
	l := &Layout{}
	ok := false
	switch string(magic[:]) {
	case "\x7fELF":
		ok = l.parseELF(r)
	case "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe":
		ok = l.parseMachO(r)
	default:
		if string(magic[:2]) == "MZ" {
			ok = l.parsePE(r)
		}
	}
	l.tidy()
	return l, ok && len(l.Maps) > 0
}

// tidy sorts everything by place, and drops areas that overlap earlier ones.
func (l *Layout) tidy() {
	slices.SortFunc(l.Maps, func(a, b Map) int { return cmp.Compare(a.Pos, b.Pos) })
	l.Maps = slices.DeleteFunc(l.Maps, func(m Map) bool { return m.Size == 0 })
	slices.SortStableFunc(l.Areas, func(a, b Area) int { return cmp.Compare(a.Pos, b.Pos) })
	end := uint64(0)
	l.Areas = slices.DeleteFunc(l.Areas, func(a Area) bool {
		if a.Size == 0 || a.Pos < end {
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
func (l *Layout) place(addr uint64) (uint64, bool) {
	for _, m := range l.Maps {
		if addr-m.Addr < m.Size {
			return m.Pos + (addr - m.Addr), true
		}
	}
	return 0, false
}
