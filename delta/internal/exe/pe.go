package exe

import (
	"debug/pe"
	"io"
	"strings"
)

// parsePE reads a program for Windows.
func (l *Layout) parsePE(r io.ReaderAt) bool {
	f, err := pe.NewFile(r)
	if err != nil {
		return false
	}
	image, width := uint64(0), uint64(8)
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader64:
		image = h.ImageBase
	case *pe.OptionalHeader32:
		image, width = uint64(h.ImageBase), 4
	default:
		return false
	}
	const isCode = 0x20000000
	for _, s := range f.Sections {
		size := uint64(min(s.Size, s.VirtualSize))
		l.Maps = append(l.Maps, Map{uint64(s.Offset), size, image + uint64(s.VirtualAddress)})
		if s.VirtualSize > s.Size {
			l.Blanks = append(l.Blanks, Blank{s.Name, image + uint64(s.VirtualAddress) + uint64(s.Size), uint64(s.VirtualSize - s.Size)})
		}
		a := Area{Name: s.Name, Pos: uint64(s.Offset), Size: size, Kind: Table}
		switch {
		case s.Characteristics&isCode != 0 && (f.Machine == pe.IMAGE_FILE_MACHINE_AMD64 || f.Machine == pe.IMAGE_FILE_MACHINE_I386):
			a.Kind = X86
		case s.Characteristics&isCode != 0 && f.Machine == pe.IMAGE_FILE_MACHINE_ARM64:
			a.Kind = ARM64
		case s.Name == ".pdata" && f.Machine == pe.IMAGE_FILE_MACHINE_AMD64:
			a.Stride, a.Bases = 12, []uint64{image}
			a.Fields = []Field{{0, 4, 0}, {4, 4, 0}, {8, 4, 0}}
		case s.Name == ".pdata":
			a.Stride, a.Bases = 8, []uint64{image}
			a.Fields = []Field{{0, 4, 0}, {4, 4, 0}}
		case s.Name == ".reloc":
			a.Kind, a.Bases = PERelocs, []uint64{image}
		case strings.HasPrefix(s.Name, ".rsrc") || strings.HasPrefix(s.Name, "/"):
			continue
		default:
			a = pointers(s.Name, a.Pos, a.Size, width)
		}
		l.Areas = append(l.Areas, a)
	}
	return true
}
