package exe

import (
	"debug/macho"
	"io"
)

// parseMachO reads a program for macOS.
func (l *Layout) parseMachO(r io.ReaderAt) bool {
	f, err := macho.NewFile(r)
	if err != nil {
		return false
	}
	width := uint64(4)
	if f.Magic == macho.Magic64 {
		width = 8
	}
	for _, load := range f.Loads {
		if s, ok := load.(*macho.Segment); ok && s.Name != "__LINKEDIT" {
			l.Maps = append(l.Maps, Map{s.Offset, s.Filesz, s.Addr})
		}
	}
	const (
		isCode   = 0x80000400 // S_ATTR_PURE_INSTRUCTIONS, S_ATTR_SOME_INSTRUCTIONS
		typeMask = 0xff
		zeroFill = 1
	)
	for _, s := range f.Sections {
		if s.Flags&typeMask == zeroFill {
			l.Blanks = append(l.Blanks, Blank{s.Name, s.Addr, s.Size})
			continue
		}
		a := pointers(s.Seg+s.Name, uint64(s.Offset), s.Size, width)
		switch {
		case s.Flags&isCode != 0 && (f.Cpu == macho.CpuAmd64 || f.Cpu == macho.Cpu386):
			a.Kind, a.Fields = X86, nil
		case s.Flags&isCode != 0 && f.Cpu == macho.CpuArm64:
			a.Kind, a.Fields = ARM64, nil
		case s.Name == "__eh_frame":
			a.Kind, a.Stride, a.Fields = EhFrame, 0, nil
		case s.Name == "__cstring" || s.Flags&isCode != 0:
			continue
		}
		l.Areas = append(l.Areas, a)
	}
	l.rebases(f)
	if t := f.Symtab; t != nil {
		strings := uint64(t.Stroff)
		l.unloaded(strings, uint64(t.Strsize))
		a := Area{Name: "symbols", Pos: uint64(t.Symoff), Kind: Table, Stride: 8 + width, Size: uint64(t.Nsyms) * (8 + width),
			Bases: []uint64{Unloaded + strings}, Fields: []Field{{0, 4, 0}, {8, width, FromZero}}}
		l.unloaded(a.Pos, a.Size)
		l.Areas = append(l.Areas, a)
	}
	return true
}
