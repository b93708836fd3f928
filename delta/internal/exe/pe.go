package exe

import (
	"debug/pe"
	"strings"
)

// parsePE reads a program for Windows.
func (l *Layout) parsePE(m *image) bool {
	f, err := pe.NewFile(m)
	if err != nil {
		return false
	}
	base, width := uint64(0), uint64(8)
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader64:
		base = h.ImageBase
	case *pe.OptionalHeader32:
		base, width = uint64(h.ImageBase), 4
	default:
		return false
	}
	var debug []debugSection
	for _, s := range f.Sections {
		pos, size, packed := m.find(uint64(s.Offset), uint64(min(s.Size, s.VirtualSize)))
		switch {
		case packed:
			debug = append(debug, debugSection{strings.Replace(s.Name, ".zdebug_", ".debug_", 1), pos, size})
		case strings.HasPrefix(s.Name, ".debug_"):
			debug = append(debug, debugSection{s.Name, pos, size})
		case strings.HasPrefix(s.Name, ".zdebug_"): // cannot be read
		case f.NumberOfSymbols > 0 && s.Offset == f.PointerToSymbolTable: // Go's linker makes a section of them
		default:
			l.peSection(f, s, pos, size, base, width)
		}
	}
	l.addDebug(debug, width)
	l.peSymbols(m, f, base)
	return true
}

// peSection adds what is known of a section at a place.
func (l *Layout) peSection(f *pe.File, s *pe.Section, pos, size, base, width uint64) {
	const isCode = 0x20000000
	addr := base + uint64(s.VirtualAddress)
	l.Maps = append(l.Maps, Map{pos, size, addr})
	if s.VirtualSize > s.Size {
		l.Blanks = append(l.Blanks, Blank{s.Name, addr + uint64(s.Size), uint64(s.VirtualSize - s.Size)})
	}
	a := Area{Name: s.Name, Pos: pos, Size: size, Kind: Table}
	switch {
	case s.Characteristics&isCode != 0 && (f.Machine == pe.IMAGE_FILE_MACHINE_AMD64 || f.Machine == pe.IMAGE_FILE_MACHINE_I386):
		a.Kind = X86
	case s.Characteristics&isCode != 0 && f.Machine == pe.IMAGE_FILE_MACHINE_ARM64:
		a.Kind = ARM64
	case s.Name == ".pdata" && f.Machine == pe.IMAGE_FILE_MACHINE_AMD64:
		a.Stride, a.Bases = 12, []uint64{base}
		a.Fields = []Field{{0, 4, 0}, {4, 4, 0}, {8, 4, 0}}
	case s.Name == ".pdata":
		a.Stride, a.Bases = 8, []uint64{base}
		a.Fields = []Field{{0, 4, 0}, {4, 4, 0}}
	case s.Name == ".reloc":
		a.Kind, a.Bases = PERelocs, []uint64{base}
	case strings.HasPrefix(s.Name, ".rsrc") || strings.HasPrefix(s.Name, "/"):
		return
	default:
		a = pointers(s.Name, pos, size, width)
	}
	l.Areas = append(l.Areas, a)
}
