package exe

import (
	"fmt"
	"math"
	"sort"
)

// A debugInfo reader finds references in .debug_info: addresses, and offsets
// in itself and in other debug sections. Entries stand behind each other in
// units, and abbreviations, which stand in a section of their own, tell what an
// entry consists of. So all entries are gone over in advance, and some of their
// places noted, from which Find goes on. See DWARF 5, chapter 7.
type debugInfo struct {
	area   *Area
	addr   uint64
	units  []unit
	places starts // of entries: the first in each 1,024 bytes of a unit
	in     cursor
	abbrev abbrevs
}

// unit is one of .debug_info.
type unit struct {
	pos, first, end uint64   // its header, its first entry, its end
	abbrevs         []uint32 // its abbreviations
	width           uint64   // of addresses
}

// Bases of DebugInfo areas: addresses of sections, 0 for those that are missing.
const (
	infoInfo = iota
	infoAbbrev
	infoStr
	infoLineStr
	infoLine
	infoLoc
	infoRanges
	infoAddr
	infoBases
)

// Classes of references, behind the first of tables: one for each base, and
const (
	infoUnit    = infoBases + iota // offsets in the unit
	infoAddress                    // addresses
	infoPlaced                     // addresses in expressions
)

const (
	infoPlace  = 1 << 10 // bytes from one noted entry to the next
	infoHeader = 11      // of the shortest header
)

func newDebugInfo(a *Area, addr uint64, records *int, read ReadAt) (*debugInfo, error) {
	if len(a.Bases) != infoBases {
		return nil, fmt.Errorf("area of debug entries: want %d bases, got %d", infoBases, len(a.Bases))
	}
	d := &debugInfo{area: a, addr: addr, in: cursor{read: read, limit: min(a.Size, maxStart), chunk: 32 << 10},
		abbrev: abbrevs{in: cursor{read: read, limit: math.MaxUint64, chunk: 4 << 10}, tables: map[uint32][]uint32{}, known: map[string]uint32{}}}
	for pos := uint64(0); pos+infoHeader <= d.in.limit && *records > 0; {
		*records -= recordsOfUnit
		d.in.seek(pos)
		u, offset, ok := d.unit(pos)
		if !ok {
			break
		}
		if pos = u.end; u.first == 0 {
			continue
		}
		var err error
		if u.abbrevs, err = d.abbrev.table(offset, a.Bases[infoAbbrev]-addr, records); err != nil {
			return nil, err
		}
		d.note(&u, records)
		d.units = append(d.units, u)
		if err := d.in.mend(); err != nil {
			return nil, err
		}
	}
	return d, d.in.mend()
}

// unit reads the header of a unit, and the offset of its abbreviations. A unit
// of a kind that is not known has no first entry.
func (d *debugInfo) unit(pos uint64) (u unit, offset uint32, ok bool) {
	n := d.in.number(4)
	if n < infoHeader-4 || n >= 0xfffffff0 || pos+4+n > d.in.limit {
		return u, 0, false
	}
	u = unit{pos: pos, end: pos + 4 + n}
	head := uint64(0)
	switch version := d.in.number(2); version {
	case 3, 4:
		head = infoHeader
		offset, u.width = uint32(d.in.number(4)), d.in.number(1)
	case 5:
		head = [8]uint64{0, 12, 24, 12, 20, 20, 24}[d.in.byte()&7]
		u.width, offset = d.in.number(1), uint32(d.in.number(4))
	}
	if head > 0 && (u.width == 4 || u.width == 8) {
		u.first = pos + head
	}
	return u, offset, d.in.err == nil
}

// note goes over the entries of a unit, as far as they are understood and inside
// it, and notes the first of each 1,024 bytes.
func (d *debugInfo) note(u *unit, records *int) {
	d.in.seek(u.first)
	for pos, next := u.first, u.first; pos < u.end; pos = d.in.place() {
		if pos >= next && *records > 0 {
			d.places = append(d.places, uint32(pos))
			*records--
			next = pos - pos%infoPlace + infoPlace
		}
		if pos >= next || !d.entry(u, nil) || d.in.err != nil || d.in.place() > u.end {
			u.end = pos
		}
	}
}

func (d *debugInfo) Find(sites []Site, old []byte, from, to int, pos, _ uint64) []Site {
	first, last := pos+uint64(from), pos+uint64(to)
	found := func(at, value uint64, width int, class byte) {
		if at < first || at >= last || at-pos+uint64(width) > uint64(len(old)) {
			return
		}
		s := Site{At: int(at - pos), Class: firstTableClass + class, Base: FromZero, Target: value}
		if width == 4 {
			s.Form = Abs32
		} else {
			s.Form = Abs64
		}
		if class < infoBases {
			if s.Base = int(class); d.area.Bases[class] == 0 {
				return
			}
			s.Target += d.area.Bases[class]
		}
		sites = append(sites, s)
	}
	k := sort.Search(len(d.units), func(i int) bool { return d.units[i].end > first })
	for ; k < len(d.units) && d.units[k].pos < last; k++ {
		u := &d.units[k]
		n := len(sites)
		d.entries(u, first, last, found)
		for i := n; i < len(sites); i++ {
			if s := &sites[i]; s.Class == firstTableClass+infoUnit {
				s.Base, s.Origin = FromUnit, d.addr+u.pos
				s.Target += s.Origin
			}
		}
	}
	d.in.err = nil // what cannot be read now could be before, and will be missed elsewhere
	return sites
}

// entries finds the references of the header of a unit, and of those of its
// entries that may have some between two places.
func (d *debugInfo) entries(u *unit, first, last uint64, found finder) {
	at := u.pos + 8 // of the offset of its abbreviations
	if u.first-u.pos == infoHeader {
		at = u.pos + 6
	}
	if at < last && at >= first {
		d.in.seek(at)
		found(at, d.in.number(4), 4, infoAbbrev)
	}
	i := sort.Search(len(d.places), func(i int) bool { return uint64(d.places[i]) > first }) - 1
	from := u.first
	if i >= 0 {
		from = max(from, uint64(d.places[i]))
	}
	d.in.seek(from)
	for d.in.err == nil && d.in.place() < min(last, u.end) && d.entry(u, found) {
	}
}

// finder takes a reference: where it is, its value, and its size.
type finder func(at, value uint64, width int, class byte)

// entry goes over one entry, and reports whether it is understood.
func (d *debugInfo) entry(u *unit, found finder) bool {
	c := &d.in
	code := c.uleb()
	if code == 0 {
		return true // the end of some siblings
	}
	if code > uint64(len(u.abbrevs)) {
		return false
	}
	for _, a := range d.abbrev.lists[u.abbrevs[code-1]] {
		size := uint64(a.size)
		switch a.how {
		case howText:
			c.text()
			continue
		case howUleb:
			c.uleb()
			continue
		case howAddress:
			size = u.width
		case howBlock:
			size = c.uleb()
		case howSized:
			size = c.number(int(a.size))
		}
		if found == nil || a.how == howFixed {
			c.skip(size)
			continue
		}
		d.reference(u, a, size, found)
	}
	return true
}

// reference finds what an attribute refers to.
func (d *debugInfo) reference(u *unit, a attribute, size uint64, found finder) {
	c := &d.in
	at := c.place()
	switch a.how {
	case howAddress:
		found(at, c.number(int(size)), int(size), infoAddress)
	case howOffset:
		found(at, c.number(4), 4, a.class)
	default: // an expression, which may begin with an address
		if size <= u.width {
			c.skip(size)
		} else if c.byte() == opAddress {
			found(at+1, c.number(int(u.width)), int(u.width), infoPlaced)
			c.skip(size - 1 - u.width)
		} else {
			c.skip(size - 1)
		}
	}
}
