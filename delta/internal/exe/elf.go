package exe

import (
	"debug/elf"
	"io"
)

// parseELF reads an ELF file with little-endian numbers. Its sections may be at
// other places than the file says.
func (l *Layout) parseELF(r io.ReaderAt, move func(*elf.File)) bool {
	f, err := elf.NewFile(r)
	if err != nil || f.Data != elf.ELFDATA2LSB {
		return false
	}
	move(f)
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			l.Maps = append(l.Maps, Map{p.Off, p.Filesz, p.Vaddr})
		}
	}
	width := uint64(4)
	if f.Class == elf.ELFCLASS64 {
		width = 8
	}
	for _, s := range f.Sections {
		switch {
		case s.Type == elf.SHT_NOBITS && s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_TLS == 0:
			l.Blanks = append(l.Blanks, Blank{s.Name, s.Addr, s.Size})
		case s.Type != elf.SHT_NOBITS && s.Flags&elf.SHF_COMPRESSED == 0:
			l.Areas = append(l.Areas, l.elfSection(f, s, width)...)
		}
	}
	return true
}

// debugInfo returns the area of .debug_info, whose offsets count from the
// sections here.
func (l *Layout) debugInfo(f *elf.File, s *elf.Section) Area {
	a := Area{Name: s.Name, Pos: s.Offset, Size: s.FileSize, Kind: DebugInfo, Bases: make([]uint64, infoBases)}
	for k, names := range [infoBases][]string{{".debug_info"}, {".debug_abbrev"}, {".debug_str"}, {".debug_line_str"},
		{".debug_line"}, {".debug_loclists", ".debug_loc"}, {".debug_rnglists", ".debug_ranges"}, {".debug_addr"}} {
		for _, name := range names {
			if x := f.Section(name); x != nil && x.Type != elf.SHT_NOBITS && x.Flags&elf.SHF_COMPRESSED == 0 && a.Bases[k] == 0 {
				a.Bases[k] = l.sectionAddr(x)
			}
		}
	}
	return a
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
		a.Bases = []uint64{l.sectionAddr(f.Sections[s.Link])}
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
	case s.Name == ".debug_info":
		a = l.debugInfo(f, s)
	case width == 8 && (s.Name == ".debug_line" || s.Name == ".debug_loclists" || s.Name == ".debug_rnglists"):
		a.Kind, a.Dense = DebugMarked, true
	case width == 8 && s.Name == ".debug_frame":
		a.Kind, a.Bases = DebugFrame, []uint64{l.sectionAddr(s)}
	case s.Name == ".debug_addr":
		a = pointers(s.Name, s.Offset, s.FileSize, width)
		a.Dense = true
	case s.Name == ".debug_aranges" || s.Name == ".debug_ranges" || s.Name == ".debug_loc":
		return []Area{pointers(s.Name, s.Offset, s.FileSize, width)}
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

// sectionAddr returns the address of a section, and gives it one if it is not
// loaded.
func (l *Layout) sectionAddr(s *elf.Section) uint64 {
	if a, ok := Addr(l.Maps, s.Offset); ok {
		return a
	}
	l.unloaded(s.Offset, s.FileSize)
	return Unloaded + s.Offset
}
