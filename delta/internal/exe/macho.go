package exe

import (
	"debug/macho"
	"strings"
)

// debugSegment holds debug sections, and is not loaded.
const debugSegment = "__DWARF"

// parseMachO reads a program for macOS.
func (l *Layout) parseMachO(m *image) bool {
	f, err := macho.NewFile(m)
	if err != nil {
		return false
	}
	width := uint64(4)
	if f.Magic == macho.Magic64 {
		width = 8
	}
	for _, load := range f.Loads {
		if s, ok := load.(*macho.Segment); ok && s.Name != "__LINKEDIT" && s.Name != debugSegment {
			pos, size, _ := m.find(s.Offset, s.Filesz)
			l.Maps = append(l.Maps, Map{pos, size, s.Addr})
		}
	}
	const (
		typeMask = 0xff
		zeroFill = 1
	)
	var debug []debugSection
	for _, s := range f.Sections {
		if s.Flags&typeMask == zeroFill {
			l.Blanks = append(l.Blanks, Blank{s.Name, s.Addr, s.Size})
			continue
		}
		pos, size, packed := m.find(uint64(s.Offset), s.Size)
		if s.Seg == debugSegment {
			debug = append(debug, debugSection{machoDebugName(s.Name, packed), pos, size})
			continue
		}
		l.machoSection(f, s, pos, size, width)
	}
	l.addDebug(debug, width)
	l.rebases(m, f)
	if t := f.Symtab; t != nil {
		strings, size, _ := m.find(uint64(t.Stroff), uint64(t.Strsize))
		l.unloaded(strings, size)
		a := Area{Name: "symbols", Kind: Table, Stride: 8 + width, Bases: []uint64{Unloaded + strings}, Fields: []Field{{0, 4, 0}, {8, width, FromZero}}}
		a.Pos, a.Size, _ = m.find(uint64(t.Symoff), uint64(t.Nsyms)*a.Stride)
		l.unloaded(a.Pos, a.Size)
		l.Areas = append(l.Areas, a)
	}
	return true
}

// machoSection adds the area of a section at a place.
func (l *Layout) machoSection(f *macho.File, s *macho.Section, pos, size, width uint64) {
	const isCode = 0x80000400 // S_ATTR_PURE_INSTRUCTIONS, S_ATTR_SOME_INSTRUCTIONS
	a := pointers(s.Seg+s.Name, pos, size, width)
	switch {
	case s.Flags&isCode != 0 && (f.Cpu == macho.CpuAmd64 || f.Cpu == macho.Cpu386):
		a.Kind, a.Fields = X86, nil
	case s.Flags&isCode != 0 && f.Cpu == macho.CpuArm64:
		a.Kind, a.Fields = ARM64, nil
	case s.Name == "__eh_frame":
		a.Kind, a.Stride, a.Fields = EhFrame, 0, nil
	case s.Name == "__cstring" || s.Flags&isCode != 0:
		return
	}
	l.Areas = append(l.Areas, a)
}

// machoDebugName returns the name in ELF of a section of the segment __DWARF.
// There, names are cut off after 16 bytes: __zdebug_loclist is .debug_loclists.
func machoDebugName(name string, packed bool) string {
	const longest = 16
	rest, ok := strings.CutPrefix(name, "__debug_")
	if packed && !ok {
		rest, ok = strings.CutPrefix(name, "__zdebug_")
	}
	if !ok {
		return name
	}
	if len(name) == longest {
		for _, whole := range []string{"loclists", "rnglists", "line_str", "aranges"} {
			if strings.HasPrefix(whole, rest) {
				rest = whole
			}
		}
	}
	return ".debug_" + rest
}
