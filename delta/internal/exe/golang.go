package exe

import (
	"bytes"
	"encoding/binary"
)

// Go's linker writes tables that the runtime reads, the same in all formats of
// files: pclntab, with a record for each function (runtime.pcHeader,
// runtime._func, since Go 1.20), and a list of types. What offsets in them count
// from is in runtime.firstmoduledata only, which begins with the address of
// pclntab.

// goMagic begins pclntab since Go 1.20.
var goMagic = []byte{0xf1, 0xff, 0xff, 0xff, 0, 0}

// Words of runtime.moduledata, since Go 1.20.
const (
	moduleText   = 22
	moduleTypes  = 37
	moduleGoFunc = 40
	moduleLinks  = 44 // or the next, since Go 1.26: address, length and capacity of the list of types
	moduleWords  = 48
)

const (
	goHeaderSize    = 72
	maxGoCandidates = 16 // places that begin like pclntab
)

// goTables finds the tables of Go in a file whose format is read already.
func (l *Layout) goTables(file []byte) {
	at := 0
	for range maxGoCandidates {
		i := bytes.Index(file[at:], goMagic)
		if i < 0 || at+i+goHeaderSize > len(file) {
			return
		}
		at += i
		if tab, ok := l.pclntab(file, uint64(at)); ok {
			l.addGo(tab)
			return
		}
		at += len(goMagic)
	}
}

// goTab is a pclntab and what belongs to it.
type goTab struct {
	pos, addr uint64
	header    [8]uint64 // words behind the first
	module    [moduleWords]uint64
}

// pclntab reads what begins like a pclntab at a place. It is one if some
// moduledata names it.
func (l *Layout) pclntab(file []byte, pos uint64) (t goTab, ok bool) {
	h := file[pos:][:goHeaderSize]
	if t.addr, ok = Addr(l.Maps, pos); !ok || h[7] != 8 {
		return t, false
	}
	t.pos = pos
	for k := range t.header {
		t.header[k] = binary.LittleEndian.Uint64(h[8+8*k:])
	}
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], t.addr)
	binary.LittleEndian.PutUint64(key[8:], t.addr+t.header[3])
	i := bytes.Index(file, key[:])
	if i < 0 || i+8*moduleWords > len(file) {
		return t, false
	}
	for k := range t.module {
		t.module[k] = binary.LittleEndian.Uint64(file[i+8*k:])
	}
	return t, true
}

// addGo adds the areas of Go's tables, in the place of what stands there.
func (l *Layout) addGo(t goTab) {
	nfunc, names, units, pctab, funcs := t.header[0], t.header[3], t.header[4], t.header[6], t.header[7]
	end := t.pos
	for i := range l.Areas {
		if a := &l.Areas[i]; t.pos-a.Pos < a.Size {
			end = a.Pos + a.Size
		}
	}
	text, data := t.module[moduleText], t.module[moduleGoFunc]
	at := t.pos + (funcs+8*nfunc+4+7)&^7 // behind the end of the last function
	if nfunc > 1<<24 || funcs > end-t.pos || at > end {
		return
	}
	if p, ok := l.place(data); ok && p > at {
		end = min(end, p)
	}
	l.cut(t.pos, end)
	l.Areas = append(l.Areas,
		Area{Name: "pclntab functions", Pos: t.pos + funcs, Size: 8 * nfunc, Kind: Table, Stride: 8,
			Bases: []uint64{text, t.addr + funcs}, Fields: []Field{{0, 4, 0}, {4, 4, 1}}},
		Area{Name: "pclntab records", Pos: at, Size: end - at, Kind: GoFuncs,
			Bases: []uint64{goText: text, goNames: t.addr + names, goPCTab: t.addr + pctab, goUnits: t.addr + units, goFuncData: data}})
	for _, k := range []int{moduleLinks, moduleLinks + 1} {
		n := t.module[k+1]
		if p, ok := l.place(t.module[k]); ok && n > 0 && n < 1<<24 && n == t.module[k+2] {
			l.cut(p, p+4*n)
			l.Areas = append(l.Areas, Area{Name: "typelinks", Pos: p, Size: 4 * n, Kind: Table, Stride: 4,
				Bases: []uint64{t.module[moduleTypes]}, Fields: []Field{{0, 4, 0}}})
			break
		}
	}
	l.addTypes(t, text)
	l.addInlining(t, data, t.addr+names)
}

// addTypes adds the area of descriptors of types.
func (l *Layout) addTypes(t goTab, text uint64) {
	start, end := t.module[moduleTypes], t.module[moduleTypes+1]
	p, ok := l.place(start)
	if q, last := l.place(end - 1); ok && last && q+1-p == end-start {
		l.cut(p, q+1)
		l.Areas = append(l.Areas, Area{Name: "types", Pos: p, Size: end - start, Kind: GoTypes,
			Bases: []uint64{typesStart: start, typesText: text}})
	}
}

// addInlining adds the area of data of functions: up to the next thing that
// moduledata names, or the end of the area.
func (l *Layout) addInlining(t goTab, data, names uint64) {
	p, ok := l.place(data)
	if !ok {
		return
	}
	for _, a := range l.Areas {
		if p-a.Pos >= a.Size {
			continue
		}
		end := a.Pos + a.Size
		for _, addr := range t.module {
			if q, ok := l.place(addr); ok && q > p {
				end = min(end, q)
			}
		}
		l.cut(p, end)
		l.Areas = append(l.Areas, Area{Name: "data of functions", Pos: p, Size: end - p, Kind: GoInlining, Bases: []uint64{names}})
		return
	}
}

// cut takes a part of the file out of all areas.
func (l *Layout) cut(from, to uint64) {
	var kept []Area
	for _, a := range l.Areas {
		end := a.Pos + a.Size
		if a.Pos >= to || end <= from {
			kept = append(kept, a)
			continue
		}
		if a.Pos < from {
			before := a
			before.Size = from - a.Pos
			kept = append(kept, before)
		}
		if end > to {
			// Records keep their places.
			stride := max(a.Stride, 1)
			skip := (to - a.Pos + stride - 1) / stride * stride
			if skip < a.Size {
				a.Name, a.Pos, a.Size = a.Name+" behind Go's tables", a.Pos+skip, a.Size-skip
				kept = append(kept, a)
			}
		}
	}
	l.Areas = kept
}
