package exe

import (
	"debug/macho"
	"encoding/binary"
)

// A rebaseReader finds references in the opcodes that tell dyld which words of
// a program for macOS are addresses, as Go's linker writes them: for each word
// its segment, its offset there, and that it is one. Offsets of three bytes are
// read, which are nearly all.
type rebaseReader struct{ area *Area }

// Opcodes of mach-o/loader.h, with their operands.
const (
	setSegment = 0x20 // and the segment
	rebaseOne  = 0x51
	opcodeMask = 0xf0
	rebaseSize = 5 // of both opcodes and the offset
)

func (r *rebaseReader) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	for at := max(from, 1); at < to && at+rebaseSize-1 <= len(old); at++ {
		b := old[at-1:]
		segment := int(b[0] &^ opcodeMask)
		if b[0]&opcodeMask == setSegment && b[4] == rebaseOne && b[1]&b[2]&^b[3]&0x80 != 0 && segment < len(r.area.Bases) {
			base := r.area.Bases[segment]
			sites = append(sites, Site{At: at, Form: Uleb, Class: classRebase, Base: segment, Target: Uleb.Get(old[at:], 0, 0, base)})
		}
	}
	return sites
}

// maxSegments is how many a layout has bases for.
const maxSegments = 8

// rebases adds the area of rebase opcodes.
func (l *Layout) rebases(m *image, f *macho.File) {
	var bases []uint64
	for _, load := range f.Loads {
		if s, ok := load.(*macho.Segment); ok && len(bases) < maxSegments {
			bases = append(bases, s.Addr)
		}
	}
	const dyldInfo, only = 0x22, 1 << 31
	for _, load := range f.Loads {
		if b := load.Raw(); len(b) >= 16 && binary.LittleEndian.Uint32(b)&^only == dyldInfo {
			a := Area{Name: "rebases", Kind: Rebases, Bases: bases}
			a.Pos, a.Size, _ = m.find(uint64(binary.LittleEndian.Uint32(b[8:])), uint64(binary.LittleEndian.Uint32(b[12:])))
			l.Areas = append(l.Areas, a)
		}
	}
}
