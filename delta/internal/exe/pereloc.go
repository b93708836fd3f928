package exe

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// A peRelocs reader finds references in the base relocations of PE: blocks of a
// page, a size, and for each word in the page that is an address, where it is in
// there. See Microsoft's PE format, "The .reloc section".
type peRelocs struct {
	area   *Area
	starts starts // of blocks, and the end
	pages  []uint32
}

const relocHead = 8

func newPERelocs(a *Area, records *int, read ReadAt) (*peRelocs, error) {
	if len(a.Bases) != 1 {
		return nil, fmt.Errorf("area of relocations: want one base, got %d", len(a.Bases))
	}
	r := &peRelocs{area: a}
	c := &chunkReader{read: read, size: a.Size}
	pos := uint64(0)
	for pos+relocHead <= a.Size && pos < maxStart && *records > 0 {
		b, err := c.bytes(pos, relocHead)
		if err != nil {
			return nil, err
		}
		size := uint64(binary.LittleEndian.Uint32(b[4:]))
		if size < relocHead || size%4 != 0 || size > a.Size-pos {
			break
		}
		r.starts, r.pages = append(r.starts, uint32(pos)), append(r.pages, binary.LittleEndian.Uint32(b))
		*records--
		pos += size
	}
	r.starts = append(r.starts, uint32(min(pos, maxStart-1)))
	return r, nil
}

func (r *peRelocs) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	k := sort.Search(len(r.pages), func(i int) bool { return uint64(r.starts[i+1]) > pos+uint64(from) })
	for ; k < len(r.pages); k++ {
		at, end := int(uint64(r.starts[k])-pos), int(uint64(r.starts[k+1])-pos) // may be before old
		if at >= to {
			break
		}
		page := r.area.Bases[0] + uint64(r.pages[k])
		if at >= from && at+4 <= len(old) {
			s := Site{At: at, Form: Page32, Class: classRelocPage, Target: page}
			if at+relocHead+2 <= min(end, len(old)) {
				s.Target += uint64(binary.LittleEndian.Uint16(old[at+relocHead:]) & 0xfff) // the page of its first word
			}
			sites = append(sites, s)
		}
		first := at + relocHead
		if first < from {
			first = from + (first-from)&1
		}
		for p := first; p < to && p+2 <= min(end, len(old)); p += 2 {
			if e := binary.LittleEndian.Uint16(old[p:]); e>>12 != 0 { // else it fills up
				sites = append(sites, Site{At: p, Form: Page12, Class: classRelocWord, Target: page + uint64(e&0xfff)})
			}
		}
	}
	return sites
}
