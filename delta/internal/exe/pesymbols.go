package exe

import (
	"debug/pe"
	"fmt"
)

// maxSymbolRuns is how many areas the symbols of PE are split into. Linkers
// write those of one section behind each other.
const maxSymbolRuns = 32

// peSymbols adds the areas of symbols: the names of those that are long, in
// the table of strings behind them, and places in a section. An area is a run
// of symbols of one section, whose address their places count from.
func (l *Layout) peSymbols(m *image, f *pe.File, base uint64) {
	const row, leastRun = pe.COFFSymbolSize, 16
	size := uint64(f.NumberOfSymbols) * row
	pos, n, _ := m.find(uint64(f.PointerToSymbolTable), size+4)
	if size == 0 || n != size+4 || len(f.COFFSymbols) != int(f.NumberOfSymbols) {
		return
	}
	strings := l.sectionAddr(pos+size, uint64(len(f.StringTable))+4)
	runs, all := map[string]int{}, 0
	for from := 0; from < len(f.COFFSymbols) && all < maxSymbolRuns; {
		section, to := f.COFFSymbols[from].SectionNumber, from
		for to < len(f.COFFSymbols) && f.COFFSymbols[to].SectionNumber == section {
			to++
		}
		if section > 0 && int(section) <= len(f.Sections) && to-from >= leastRun {
			s := f.Sections[section-1]
			name := "symbols of " + s.Name
			all++
			if runs[name]++; runs[name] > 1 {
				name = fmt.Sprintf("%s, run %d", name, runs[name])
			}
			l.Areas = append(l.Areas, Area{Name: name, Pos: pos + uint64(from)*row, Size: uint64(to-from) * row, Kind: Table, Stride: row,
				Bases: []uint64{strings, base + uint64(s.VirtualAddress)}, Fields: []Field{{4, 4, 0}, {8, 4, 1}}})
		}
		from = to
	}
}
