package exe

import (
	"debug/elf"
	"strings"
)

// parseELF reads an ELF file with little-endian numbers.
func (l *Layout) parseELF(m *image) bool {
	f, err := elf.NewFile(m)
	if err != nil || f.Data != elf.ELFDATA2LSB {
		return false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			pos, size, _ := m.find(p.Off, p.Filesz)
			l.Maps = append(l.Maps, Map{pos, size, p.Vaddr})
		}
	}
	moveELF(m, f)
	width := uint64(4)
	if f.Class == elf.ELFCLASS64 {
		width = 8
	}
	var debug []debugSection
	for _, s := range f.Sections {
		switch {
		case s.Type == elf.SHT_NOBITS && s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_TLS == 0:
			l.Blanks = append(l.Blanks, Blank{s.Name, s.Addr, s.Size})
		case s.Type == elf.SHT_NOBITS || s.Flags&elf.SHF_COMPRESSED != 0:
		case strings.HasPrefix(s.Name, ".debug_"):
			debug = append(debug, debugSection{s.Name, s.Offset, s.FileSize})
		default:
			l.Areas = append(l.Areas, l.elfSection(f, s, width)...)
		}
	}
	l.addDebug(debug, width)
	return true
}

// moveELF tells a file where its sections are in the form. What was compressed is
// not any more.
func moveELF(m *image, f *elf.File) {
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		pos, size, packed := m.find(s.Offset, s.FileSize)
		s.Offset, s.FileSize = pos, size
		if packed {
			s.Flags &^= elf.SHF_COMPRESSED
			s.Name = strings.Replace(s.Name, ".zdebug_", ".debug_", 1)
		}
	}
}

func (l *Layout) elfSection(f *elf.File, s *elf.Section, width uint64) []Area {
	a := Area{Name: s.Name, Pos: s.Offset, Size: s.FileSize, Kind: Table}
	switch {
	case s.Flags&elf.SHF_EXECINSTR != 0:
		switch f.Machine {
		case elf.EM_X86_64, elf.EM_386:
			a.Kind = X86
		case elf.EM_AARCH64:
			a.Kind = ARM64
		default:
			return nil
		}
	case s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM:
		if int(s.Link) >= len(f.Sections) {
			return nil
		}
		a.Bases = []uint64{l.sectionAddr(f.Sections[s.Link].Offset, f.Sections[s.Link].FileSize)}
		if a.Stride = 16; width == 8 {
			a.Stride = 24
		}
		a.Fields = []Field{{0, 4, 0}, {width, width, FromZero}}
	case s.Type == elf.SHT_RELA:
		if info, ok := relative(f.Machine); ok && width == 8 {
			l.Addends = append(l.Addends, Addends{s.Offset, s.FileSize, info})
		}
		a.Stride = 3 * width
		a.Fields = []Field{{0, width, FromZero}, {2 * width, width, FromZero}}
	case s.Type == elf.SHT_REL:
		a.Stride = 2 * width
		a.Fields = []Field{{0, width, FromZero}}
	case s.Name == ".eh_frame":
		a.Kind = EhFrame
	case s.Name == ".eh_frame_hdr" && s.FileSize > 12:
		// Behind a head of 12 bytes: sorted pairs of function and its record.
		a.Pos, a.Size, a.Stride = a.Pos+12, a.Size-12, 8
		a.Bases = []uint64{s.Addr}
		a.Fields = []Field{{0, 4, 0}, {4, 4, 0}}
	case s.Flags&elf.SHF_ALLOC == 0 || s.Type != elf.SHT_PROGBITS && s.Type != elf.SHT_INIT_ARRAY && s.Type != elf.SHT_FINI_ARRAY && s.Type != elf.SHT_DYNAMIC:
		return nil
	default:
		return []Area{pointers(s.Name, s.Offset, s.FileSize, width)}
	}
	return []Area{a}
}

// relative returns the type of relocations that make an address out of the
// addend alone.
func relative(m elf.Machine) (uint64, bool) {
	switch m {
	case elf.EM_X86_64:
		return uint64(elf.R_X86_64_RELATIVE), true
	case elf.EM_AARCH64:
		return uint64(elf.R_AARCH64_RELATIVE), true
	case elf.EM_RISCV:
		return uint64(elf.R_RISCV_RELATIVE), true
	}
	return 0, false
}
