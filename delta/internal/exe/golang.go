package exe

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// Go's linker writes tables that the runtime reads: pclntab, with a record for
// each function (runtime.pcHeader, runtime._func, since Go 1.20), and the
// types, whose fields are offsets. Where types and function data begin is in
// runtime.firstmoduledata only, which starts with the address of pclntab.

// goMagic begins pclntab since Go 1.20.
var goMagic = []byte{0xf1, 0xff, 0xff, 0xff, 0, 0}

// Words of runtime.moduledata, since Go 1.20.
const (
	moduleText   = 22
	moduleTypes  = 37
	moduleEnd    = 38 // of types
	moduleGoFunc = 40
	moduleWords  = 41
)

// goModule returns the words of runtime.firstmoduledata for a pclntab at an
// address.
func goModule(f *elf.File, pclntab, names uint64) ([]uint64, bool) {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], pclntab)
	binary.LittleEndian.PutUint64(key[8:], pclntab+names)
	for _, s := range f.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_WRITE == 0 || s.FileSize > 1<<30 {
			continue
		}
		b, err := s.Data()
		if err != nil {
			continue
		}
		i := bytes.Index(b, key[:])
		if i < 0 || i+8*moduleWords > len(b) {
			continue
		}
		words := make([]uint64, moduleWords)
		for k := range words {
			words[k] = binary.LittleEndian.Uint64(b[i+8*k:])
		}
		return words, true
	}
	return nil, false
}

// goHeader reads the words of a pclntab's header behind the first.
func goHeader(r io.ReaderAt) ([]uint64, bool) {
	var b [72]byte
	if _, err := r.ReadAt(b[:], 0); err != nil || !bytes.HasPrefix(b[:], goMagic) || b[7] != 8 {
		return nil, false
	}
	h := make([]uint64, 8)
	for k := range h {
		h[k] = binary.LittleEndian.Uint64(b[8+8*k:])
	}
	return h, true
}

// goPCLNTab returns the areas of a pclntab: the table of functions, and their
// records.
func goPCLNTab(s *elf.Section, l *Layout, f *elf.File) []Area {
	h, ok := goHeader(s)
	if !ok {
		return nil
	}
	addr, ok := Addr(l.Maps, s.Offset)
	if !ok {
		return nil
	}
	nfunc, names, units, pctab, funcs := h[0], h[3], h[4], h[6], h[7]
	module, ok := goModule(f, addr, names)
	if !ok || nfunc > 1<<24 || funcs+8*nfunc+4 > s.FileSize {
		return nil
	}
	text, data := module[moduleText], module[moduleGoFunc]
	table := Area{Name: "pclntab functions", Pos: s.Offset + funcs, Size: 8 * nfunc, Kind: Table, Stride: 8,
		Bases: []uint64{text, addr + funcs}, Fields: []Field{{0, 4, 0}, {4, 4, 1}}}
	at := s.Offset + (funcs+8*nfunc+4+7)&^7 // behind the end of the last function
	end := s.Offset + s.FileSize
	if p, ok := l.place(data); ok && p > at {
		end = min(end, p)
	}
	records := Area{Name: "pclntab records", Pos: at, Size: end - at, Kind: GoFuncs,
		Bases: []uint64{goText: text, goNames: addr + names, goPCTab: addr + pctab, goUnits: addr + units, goFuncData: data}}
	return []Area{table, records}
}

// goTypes returns the address that offsets of types count from.
func goTypes(l *Layout, f *elf.File) (uint64, bool) {
	s := f.Section(".gopclntab")
	if s == nil {
		return 0, false
	}
	h, ok := goHeader(s)
	if !ok {
		return 0, false
	}
	addr, ok := Addr(l.Maps, s.Offset)
	if !ok {
		return 0, false
	}
	m, ok := goModule(f, addr, h[3])
	if !ok {
		return 0, false
	}
	return m[moduleTypes], true
}
