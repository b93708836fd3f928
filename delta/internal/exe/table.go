package exe

import "encoding/binary"

// A tableReader finds the fields of records that have one size. With a stride
// of one byte it looks for references everywhere.
type tableReader struct {
	area  *Area
	class byte
}

func (t *tableReader) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	a := t.area
	// A record may begin before from, even before old, and have fields after it.
	first := from - int((pos+uint64(from))%a.Stride)
	for rec := first; rec < to; rec += int(a.Stride) {
		for k := range a.Fields {
			f := &a.Fields[k]
			at := rec + int(f.Offset)
			if at < from || at >= to || at+int(f.Width) > len(old) {
				continue
			}
			s := Site{At: at, Class: t.class + byte(k&7), Base: f.Base}
			base := uint64(0)
			switch {
			case f.Base >= 0:
				base = a.Bases[f.Base]
			case f.Base == FromHere:
				base = addr + uint64(at)
			}
			if f.Width == 8 {
				s.Form, s.Target = Abs64, binary.LittleEndian.Uint64(old[at:])+base
			} else {
				s.Form, s.Target = Abs32, wide(binary.LittleEndian.Uint32(old[at:]), base)+base
			}
			sites = append(sites, s)
		}
	}
	return sites
}
