package exe

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// A goTypes reader finds references in Go's descriptors of types: in every word
// an address, and in what stands behind each other without one, 32-bit offsets
// of names, types and methods. Descriptors have no index that names all of
// them; they are told by what they look like. See abi.Type and what embeds it,
// in Go's package internal/abi.
type goTypes struct {
	offsets starts // places, in order; all are multiples of four: below that is which offset
	area    *Area
}

// Bases of GoTypes areas.
const (
	typesStart = iota
	typesText
	typesBases
)

// Offsets in descriptors.
const (
	offsetName = iota
	offsetType
	offsetCall   // of a method, for interfaces
	offsetMethod // of a method
)

const (
	typeSize    = 48 // bytes of abi.Type
	uncommon    = 16 // of abi.UncommonType
	isInterface = 20
	maxMethods  = 1 << 12
)

// typeSizes are the sizes of descriptors of kinds: those that are larger than
// others, from array to struct.
var typeSizes = [32]uint64{17: 72, 18: 64, 19: 56, isInterface: 80, 21: 112, 22: 56, 23: 56, 25: 80}

func newGoTypes(a *Area, addr uint64, records *int, read ReadAt) (*goTypes, error) {
	g := &goTypes{area: a}
	if len(a.Bases) != typesBases {
		return nil, fmt.Errorf("area of Go types: want %d bases, got %d", typesBases, len(a.Bases))
	}
	c := &chunkReader{read: read, size: a.Size}
	for pos := uint64(0); pos+typeSize <= a.Size && pos < maxStart && *records > 0; {
		b, err := c.bytes(pos, min(128, a.Size-pos))
		if err != nil {
			return nil, err
		}
		if !isType(b) {
			pos += 8
			continue
		}
		pos = g.note(b, pos, addr, records)
	}
	return g, nil
}

// isType reports whether the bytes look like a descriptor.
func isType(b []byte) bool {
	size, pointers := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	align := func(x byte) bool { return x == 1 || x == 2 || x == 4 || x == 8 }
	kind, name := b[23]&31, binary.LittleEndian.Uint32(b[40:])
	return size < 1<<32 && pointers <= size && pointers%8 == 0 && b[20] < 64 && align(b[21]) && align(b[22]) &&
		kind >= 1 && kind <= 26 && name > 0 && name < 1<<28 && b[30] == 0 && b[31] == 0 && b[38] == 0 && b[39] == 0
}

// note takes the offsets of the descriptor at pos, which begins with b, and
// returns where it ends.
func (g *goTypes) note(b []byte, pos, addr uint64, records *int) (end uint64) {
	add := func(at uint64, which ...uint32) {
		for _, w := range which {
			if at+4 <= g.area.Size && at < maxStart && *records > 0 {
				g.offsets = append(g.offsets, uint32(at)|w)
				*records--
			}
			at += 4
		}
		end = max(end, at)
	}
	add(pos+40, offsetName, offsetType)
	kind, size := b[23]&31, max(typeSizes[b[23]&31], typeSize)
	named := b[20]&1 == 1 && size+uncommon <= uint64(len(b))
	if named {
		add(pos+size, offsetName)
		end = pos + size + uncommon
	}
	if kind == isInterface && len(b) >= 72 {
		// Its methods stand right behind it.
		at, n := binary.LittleEndian.Uint64(b[56:])-addr, binary.LittleEndian.Uint64(b[64:])
		if (at == pos+size || at == pos+size+uncommon) && n <= maxMethods {
			for i := range n {
				add(at+8*i, offsetName, offsetType)
			}
		}
	}
	if named {
		n, at := uint64(binary.LittleEndian.Uint16(b[size+4:])), uint64(binary.LittleEndian.Uint32(b[size+8:]))
		if at += pos + size; at%4 == 0 && at >= end && at < end+1<<16 && n <= maxMethods {
			for i := range n {
				add(at+16*i, offsetName, offsetType, offsetCall, offsetMethod)
			}
		}
	}
	return (end + 7) &^ 7
}

func (g *goTypes) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	k := sort.Search(len(g.offsets), func(i int) bool { return uint64(g.offsets[i]&^3) >= pos+uint64(from) })
	word := from + int(-(pos+uint64(from))&7)
	for {
		at := to
		if k < len(g.offsets) {
			at = min(to, int(uint64(g.offsets[k]&^3)-pos))
		}
		for ; word <= at && word < to; word += 8 {
			if word+8 <= len(old) {
				sites = append(sites, Site{At: word, Form: Abs64, Class: classGoPointer, Base: FromZero, Target: binary.LittleEndian.Uint64(old[word:])})
			}
		}
		if at >= to {
			return sites
		}
		which := g.offsets[k] & 3
		k++
		s := Site{At: at, Form: Abs32, Class: classGoName + byte(which), Base: typesStart}
		if which >= offsetCall {
			s.Base = typesText
		}
		if at+4 > len(old) {
			continue
		}
		if v := binary.LittleEndian.Uint32(old[at:]); v == 0 || v == 1<<32-1 {
			continue // none
		}
		s.Target = Abs32.Get(old[at:], 0, 0, g.area.Bases[s.Base])
		sites = append(sites, s)
	}
}

// A goInlining reader finds the names of functions in records of inlined calls
// (runtime.inlinedCall): they stand among other data of functions, and are told
// by what they look like.
type goInlining struct{ area *Area }

// inlinedSize is that of a record; the name's offset is its second word.
const inlinedSize = 16

func (g *goInlining) Find(sites []Site, old []byte, from, to int, pos, addr uint64) []Site {
	at := max(from, 4)
	for at += int(-(pos + uint64(at)) & 3); at < to && at+inlinedSize-4 <= len(old); at += 4 {
		b := old[at-4:]
		name, parent, line := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
		if b[0] < 64 && b[1]|b[2]|b[3] == 0 && name >= 1<<10 && name < 1<<28 && parent < 1<<24 && line > 0 && line < 1<<22 {
			sites = append(sites, Site{At: at, Form: Abs32, Class: classGoInlined, Base: 0, Target: Abs32.Get(b[4:], 0, 0, g.area.Bases[0])})
		}
	}
	return sites
}
