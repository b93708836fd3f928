package exe

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// starts are the places of records of different sizes, rising.
type starts []uint32

// maxStart is more than the place of any record that is noted.
const maxStart = 1 << 32

// newStarts has room for the records of an area, if these are not short.
func newStarts(a *Area, records int) starts {
	return make(starts, 0, min(uint64(records), a.Size/24))
}

// from returns the first record that may have bytes at or after pos, if none
// is longer than longest.
func (s starts) from(pos, longest uint64) int {
	return sort.Search(len(s), func(i int) bool { return uint64(s[i])+longest > pos })
}

// chunkReader reads an area from front to back.
type chunkReader struct {
	read ReadAt
	size uint64
	buf  []byte
	at   uint64 // of buf
}

// bytes returns n bytes from pos on.
func (c *chunkReader) bytes(pos, n uint64) ([]byte, error) {
	if pos < c.at || pos+n > c.at+uint64(len(c.buf)) {
		c.at = pos
		if c.buf == nil {
			c.buf = make([]byte, min(64<<10, c.size))
		}
		c.buf = c.buf[:min(uint64(cap(c.buf)), c.size-pos)]
		if err := c.read(c.buf, pos); err != nil {
			return nil, err
		}
	}
	if n > uint64(len(c.buf)) {
		return nil, fmt.Errorf("read area: want %d bytes at %d of %d", n, pos, c.size)
	}
	return c.buf[pos-c.at:][:n], nil
}

// A goFuncs reader finds the references in the records of functions that Go's
// linker writes behind the table of functions (runtime._func). All are offsets
// from a base in Area.Bases.
type goFuncs struct {
	starts starts
	area   *Area
}

// Bases of GoFuncs areas.
const (
	goText = iota
	goNames
	goPCTab
	goUnits
	goFuncData
	goBases
)

const (
	goFixed   = 44  // bytes of a record before its tables
	goLongest = 512 // most bytes of a record that are looked at
)

func newGoFuncs(a *Area, records *int, read ReadAt) (*goFuncs, error) {
	g := &goFuncs{area: a, starts: newStarts(a, *records)}
	if len(a.Bases) != goBases {
		return nil, fmt.Errorf("area of Go functions: want %d bases, got %d", goBases, len(a.Bases))
	}
	c := &chunkReader{read: read, size: a.Size}
	for pos := uint64(0); pos+goFixed <= a.Size && pos < maxStart && *records > 0; *records-- {
		b, err := c.bytes(pos, goFixed)
		if err != nil {
			return nil, err
		}
		g.starts = append(g.starts, uint32(pos))
		pos += goSize(b)
	}
	return g, nil
}

// goSize returns the size of the record that begins with b: all begin at
// multiples of eight bytes.
func goSize(b []byte) uint64 {
	npcdata, nfuncdata := binary.LittleEndian.Uint32(b[28:]), b[43]
	return (goFixed + 4*uint64(min(npcdata, 64)) + 4*uint64(nfuncdata) + 7) &^ 7
}

func (g *goFuncs) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	var head [goFixed]byte
	for k := g.starts.from(pos+uint64(from), goLongest); k < len(g.starts); k++ {
		at := int(uint64(g.starts[k]) - pos) // may be before old
		if at >= to {
			break
		}
		next := int(g.area.Size - pos)
		if k+1 < len(g.starts) {
			next = int(uint64(g.starts[k+1]) - pos)
		}
		npcdata := 0
		if at >= 0 && at+goFixed <= len(old) {
			copy(head[:], old[at:])
			npcdata = int(min(binary.LittleEndian.Uint32(head[28:]), 64))
		} else {
			npcdata = (next - at - goFixed) / 4 // as if all were of one kind
		}
		// The last record may reach over the rest of a large area.
		for i := max(0, (from-at+3)/4); at+4*i < to && at+4*i+4 <= min(next, len(old)); i++ {
			p := at + 4*i
			base, class := goField(i, npcdata)
			if base < 0 {
				continue
			}
			s := Site{At: p, Class: class, Base: base}
			v := binary.LittleEndian.Uint32(old[p:])
			if s.Form = Abs32; base == goUnits {
				s.Form = Word32
			}
			if v == 0 && base == goPCTab || v == 1<<32-1 {
				continue // none
			}
			s.Target = s.Form.Get(old[p:], 0, 0, g.area.Bases[base])
			sites = append(sites, s)
		}
	}
	return sites
}

// goField returns what field i of a record counts from.
func goField(i, npcdata int) (base int, class byte) {
	switch {
	case i == 0:
		return goText, firstTableClass
	case i == 1:
		return goNames, firstTableClass + 1
	case i >= 4 && i <= 6:
		return goPCTab, byte(firstTableClass - 2 + i)
	case i == 8:
		return goUnits, firstTableClass + 5
	case i >= goFixed/4 && i < goFixed/4+npcdata:
		return goPCTab, byte(firstTableClass + 6 + min(i-goFixed/4, 3))
	case i >= goFixed/4:
		return goFuncData, byte(firstTableClass + 10 + min(i-goFixed/4-npcdata, 3))
	}
	return -1, 0
}

// An ehFrame reader finds references in the records of functions in .eh_frame:
// to the head of their group, to the function, and to its table of handlers.
// It takes addresses for four bytes that count from where they stand, which is
// what compilers write. See the Linux Standard Base 5.0, 10.6.
type ehFrame struct{ starts starts }

func newEhFrame(a *Area, records *int, read ReadAt) (*ehFrame, error) {
	list, err := frameStarts(a, 0, records, read)
	return &ehFrame{list}, err
}

// frameStarts returns where records of functions begin, behind each of which
// is a size. Heads of groups are none: they have a mark there.
func frameStarts(a *Area, mark uint32, records *int, read ReadAt) (starts, error) {
	list := newStarts(a, *records)
	c := &chunkReader{read: read, size: a.Size}
	for pos := uint64(0); pos+12 <= a.Size && pos < maxStart && *records > 0; *records-- {
		b, err := c.bytes(pos, 8)
		if err != nil {
			return nil, err
		}
		n := uint64(binary.LittleEndian.Uint32(b))
		if n < 4 || n >= 0xfffffff0 {
			break // the end, or records of 64 bits
		}
		if binary.LittleEndian.Uint32(b[4:]) != mark {
			list = append(list, uint32(pos))
		}
		pos += 4 + n
	}
	return list, nil
}

// ehLongest is how far the last reference of a record begins behind its start.
const ehLongest = 17

func (e *ehFrame) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	for k := e.starts.from(pos+uint64(from), ehLongest+1); k < len(e.starts); k++ {
		at := int(uint64(e.starts[k]) - pos) // may be before old
		if at >= to {
			break
		}
		add := func(i int, form Form, class byte) {
			if p := at + i; p >= from && p < to && p+4 <= len(old) {
				s := Site{At: p, Form: form, Class: class, Base: FromHere}
				here := addr + uint64(p)
				s.Target = form.Get(old[p:], here, 0, here)
				sites = append(sites, s)
			}
		}
		add(4, Back32, classEhGroup)
		add(8, Abs32, classEhFrame)
		// Four bytes of data for languages, and these are not zero.
		if p := at + 16; p >= 0 && p+5 <= len(old) && old[p] == 4 && binary.LittleEndian.Uint32(old[p+1:]) != 0 {
			add(17, Abs32, classEhData)
		}
	}
	return sites
}
