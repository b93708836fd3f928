package delta

import (
	"encoding/binary"
	"slices"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// A module is what a section tells about one executable: where its old and new
// bytes are in memory, and in which areas of old there are references. The
// docs/FORMAT.md has its bytes.
type module struct {
	blob   int       // old blob
	old    []exe.Map // places in the old blob
	new    []exe.Map // places in the section
	blanks []moved
	areas  []area

	addends []exe.Addends // of new: places in the section
}

// moved says that addresses without content have others in new.
type moved struct{ addr, size, to uint64 }

// area is a part of the old blob, and what its values count from in new.
type area struct {
	exe.Area
	to []uint64 // for each of Bases
}

// Limits of what a section may tell.
const (
	maxModules = 1 << 11
	maxMaps    = 1 << 8
	maxAreas   = 1 << 10

	maxAllAreas = 1 << 13 // of all modules: about 200 bytes of memory each
	maxFields   = 8
	maxBases    = 8
	maxStride   = 1 << 12
)

func appendModules(b []byte, list []module) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	end := uint64(0) // of the addends so far, in all modules
	for _, m := range list {
		b = binary.AppendUvarint(b, uint64(m.blob))
		b = appendMaps(b, m.old)
		b = appendMaps(b, m.new)
		b = binary.AppendUvarint(b, uint64(len(m.blanks)))
		at := uint64(0)
		for _, x := range m.blanks {
			b = binary.AppendVarint(b, int64(x.addr-at))
			b = binary.AppendUvarint(b, x.size)
			b = binary.AppendVarint(b, int64(x.to-x.addr))
			at = x.addr
		}
		b = binary.AppendUvarint(b, uint64(len(m.areas)))
		at = 0
		for _, a := range m.areas {
			b = appendArea(b, &a, at)
			at = a.Pos + a.Size
		}
		b = binary.AppendUvarint(b, uint64(len(m.addends)))
		for _, a := range m.addends {
			b = binary.AppendUvarint(b, a.Pos-end)
			b = binary.AppendUvarint(b, a.Size)
			b = binary.AppendUvarint(b, a.Info)
			end = a.Pos + a.Size
		}
	}
	return b
}

func appendMaps(b []byte, maps []exe.Map) []byte {
	b = binary.AppendUvarint(b, uint64(len(maps)))
	pos, shift := uint64(0), uint64(0)
	for _, m := range maps {
		b = binary.AppendUvarint(b, m.Pos-pos)
		b = binary.AppendUvarint(b, m.Size)
		b = binary.AppendVarint(b, int64(m.Addr-m.Pos-shift))
		pos, shift = m.Pos+m.Size, m.Addr-m.Pos
	}
	return b
}

func appendArea(b []byte, a *area, at uint64) []byte {
	b = binary.AppendUvarint(b, a.Pos-at)
	b = binary.AppendUvarint(b, a.Size)
	b = append(b, byte(a.Kind))
	b = binary.AppendUvarint(b, uint64(len(a.Bases)))
	last := uint64(0)
	for i, base := range a.Bases {
		b = binary.AppendVarint(b, int64(base-last))
		b = binary.AppendVarint(b, int64(a.to[i]-base))
		last = base
	}
	if a.Kind != exe.Table {
		return b
	}
	b = binary.AppendUvarint(b, a.Stride)
	b = binary.AppendUvarint(b, uint64(len(a.Fields)))
	for _, f := range a.Fields {
		b = binary.AppendUvarint(b, f.Offset)
		b = append(b, byte(f.Width))
		b = binary.AppendVarint(b, int64(f.Base))
	}
	return b
}

// readModules reads the modules of a section with so many new bytes, made from
// old blobs of a space.
func readModules(b []byte, old space, size int64) ([]module, error) {
	r := &wireReader{what: "layout", b: b}
	list := make([]module, r.upTo("modules", maxModules))
	areas, end := 0, int64(0)
	for i := range list {
		m := &list[i]
		m.blob = int(r.uint("old blob", int64(len(old.starts)-2)))
		if i > 0 && m.blob <= list[i-1].blob {
			r.fail("modules: want old blobs in order, each once")
		}
		if r.err != nil {
			return nil, r.err
		}
		blob := old.starts[m.blob+1] - old.starts[m.blob]
		m.old = r.maps(blob)
		m.new = r.maps(size)
		m.blanks = make([]moved, r.upTo("blanks", maxMaps))
		at := uint64(0)
		for k := range m.blanks {
			x := &m.blanks[k]
			x.addr = at + r.sint()
			x.size = uint64(r.uint("blank", maxOffset))
			x.to = x.addr + r.sint()
			at = x.addr
		}
		m.areas = make([]area, r.upTo("areas", maxAreas))
		if areas += len(m.areas); areas > maxAllAreas {
			r.fail("areas: want at most %d in all", maxAllAreas)
		}
		at = 0
		for k := range m.areas {
			a := r.area(at, uint64(blob))
			m.areas[k] = a
			at = a.Pos + a.Size
		}
		m.addends, end = r.addends(end, size)
	}
	return list, r.end()
}

// addends reads lists of relocations in new bytes, from a place on, and where
// the last one ends.
func (r *wireReader) addends(at, size int64) ([]exe.Addends, int64) {
	list := make([]exe.Addends, r.upTo("lists of addends", maxAddendTables))
	for i := range list {
		at += r.uint("addends", size-at)
		n := r.uint("size of addends", size-at)
		list[i] = exe.Addends{Pos: uint64(at), Size: uint64(n), Info: uint64(r.uint("info", 1<<62))}
		at += n
	}
	return list, at
}

// upTo reads a count of items of at least a byte, and at most so many.
func (r *wireReader) upTo(what string, most int) int {
	return int(r.uint(what, int64(min(most, len(r.b)))))
}

// sint reads a number with a sign.
func (r *wireReader) sint() uint64 {
	v := uint64(r.uint("number", 1<<63-1))
	return v>>1 ^ -(v & 1)
}

// maps reads maps of a file of a size.
func (r *wireReader) maps(size int64) []exe.Map {
	list := make([]exe.Map, r.upTo("maps", maxMaps))
	pos, shift := int64(0), uint64(0)
	for i := range list {
		pos += r.uint("map", size-pos)
		n := r.uint("size of a map", size-pos)
		shift += r.sint()
		list[i] = exe.Map{Pos: uint64(pos), Size: uint64(n), Addr: uint64(pos) + shift}
		pos += n
	}
	return list
}

func (r *wireReader) area(at, size uint64) (a area) {
	a.Pos = at + uint64(r.uint("area", int64(size-at)))
	a.Size = uint64(r.uint("size of an area", int64(size-a.Pos)))
	a.Kind = exe.Kind(r.bytes("kind", 1)[0])
	if !a.Kind.Valid() {
		r.fail("area: want a known kind, got %d", a.Kind)
	}
	a.Bases = make([]uint64, r.upTo("bases", maxBases))
	a.to = make([]uint64, len(a.Bases))
	last := uint64(0)
	for i := range a.Bases {
		a.Bases[i] = last + r.sint()
		a.to[i] = a.Bases[i] + r.sint()
		last = a.Bases[i]
	}
	if a.Kind != exe.Table {
		return a
	}
	a.Stride = uint64(r.uint("stride", maxStride))
	a.Fields = make([]exe.Field, r.upTo("fields", maxFields))
	for i := range a.Fields {
		f := &a.Fields[i]
		f.Offset = uint64(r.uint("field", maxStride))
		f.Width = uint64(r.bytes("width", 1)[0])
		f.Base = int(int64(r.sint()))
		if f.Width != 4 && f.Width != 8 || f.Offset+f.Width > a.Stride && a.Stride > 1 || f.Base < exe.FromHere || f.Base >= len(a.Bases) {
			r.fail("field: want 4 or 8 bytes inside the record and a known base, got %+v", *f)
		}
	}
	if a.Stride == 0 {
		r.fail("table: want a stride")
	}
	return a
}

// layoutColumn returns the column of modules whose old blobs are numbers in a
// list.
func layoutColumn(list []module, old []int) []byte {
	var narrow []module
	for _, m := range list {
		if k, ok := slices.BinarySearch(old, m.blob); ok {
			m.blob = k
			narrow = append(narrow, m)
		}
	}
	if len(narrow) == 0 {
		return nil
	}
	return appendModules(nil, narrow)
}
