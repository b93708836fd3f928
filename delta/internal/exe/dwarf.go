package exe

// A debugSection is a section of DWARF that can be read. Its name is that of
// ELF, as in ".debug_info".
type debugSection struct {
	name      string
	pos, size uint64
}

// addDebug adds the areas of debug sections, in which offsets count from each
// other. Words have 4 or 8 bytes.
func (l *Layout) addDebug(list []debugSection, width uint64) {
	for _, s := range list {
		a := pointers(s.name, s.pos, s.size, width)
		switch s.name {
		case ".debug_info":
			a = Area{Name: s.name, Pos: s.pos, Size: s.size, Kind: DebugInfo, Bases: l.debugBases(list)}
		case ".debug_line", ".debug_loclists", ".debug_rnglists", ".debug_loc":
			if a = (Area{Name: s.name, Pos: s.pos, Size: s.size, Kind: DebugMarked, Dense: true}); width != 8 {
				continue
			}
		case ".debug_frame":
			if a = (Area{Name: s.name, Pos: s.pos, Size: s.size, Kind: DebugFrame, Bases: []uint64{l.sectionAddr(s.pos, s.size)}}); width != 8 {
				continue
			}
		case ".debug_addr", ".debug_ranges":
			a.Dense = true
		case ".debug_aranges":
		default:
			continue
		}
		l.Areas = append(l.Areas, a)
	}
}

// debugBases returns the addresses of the sections that offsets in .debug_info
// count from.
func (l *Layout) debugBases(list []debugSection) []uint64 {
	bases := make([]uint64, infoBases)
	for k, names := range [infoBases][]string{{".debug_info"}, {".debug_abbrev"}, {".debug_str"}, {".debug_line_str"},
		{".debug_line"}, {".debug_loclists", ".debug_loc"}, {".debug_rnglists", ".debug_ranges"}, {".debug_addr"}} {
		for _, name := range names {
			for _, s := range list {
				if s.name == name && bases[k] == 0 {
					bases[k] = l.sectionAddr(s.pos, s.size)
				}
			}
		}
	}
	return bases
}

// sectionAddr returns the address of a section, and gives it one if it is not
// loaded.
func (l *Layout) sectionAddr(pos, size uint64) uint64 {
	if a, ok := Addr(l.Maps, pos); ok {
		return a
	}
	l.unloaded(pos, size)
	return Unloaded + pos
}
