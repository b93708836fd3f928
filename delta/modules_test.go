package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// part is a segment of an ELF file, or a section.
type part struct{ pos, size, addr uint64 }

// Kinds of sections.
const (
	code = iota
	symbolTable
	stringTable
)

// elfOf returns an ELF file for x86-64 with such program headers and sections,
// all of which may lie, and a body behind the program headers.
func elfOf(body []byte, programs, sections []part, kinds ...int) []byte {
	const header, programHeader, sectionHeader = 64, 56, 64
	le := binary.LittleEndian
	table := header + programHeader*len(programs) + len(body) // of sections
	names := table + sectionHeader*(len(sections)+2)
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, header-7)...)
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], header)
	le.PutUint64(b[40:], uint64(table))
	for i, v := range []int{header, programHeader, len(programs), sectionHeader, len(sections) + 2, len(sections) + 1} {
		le.PutUint16(b[52+2*i:], uint16(v))
	}
	words := func(list ...uint64) {
		for _, v := range list {
			b = le.AppendUint64(b, v)
		}
	}
	for _, p := range programs {
		words(5<<32|1, p.pos, p.addr, p.addr, p.size, p.size, 1) // PT_LOAD
	}
	b = append(b, body...)
	words(0, 0, 0, 0, 0, 0, 0, 0)
	for i, s := range sections {
		name := uint64(1 + i%3)
		kind := code
		if i < len(kinds) {
			kind = kinds[i]
		}
		switch kind {
		case symbolTable: // of the strings in the next section
			words(2<<32|name, 0, 0, s.pos, s.size, uint64(i+2), 8, 24)
		case stringTable:
			words(3<<32|name, 0, 0, s.pos, s.size, 0, 1, 0)
		default:
			words(1<<32|name, 6, s.addr, s.pos, s.size, 0, 1, 0)
		}
	}
	words(3<<32|4, 0, 0, uint64(names), 5, 0, 1, 0) // SHT_STRTAB
	return append(b, "\x00abc\x00"...)
}

// called returns code whose calls all go to one place, old and new.
func called(n, insert int) (old, new []byte) {
	old = noise(1, n)
	for i := range old {
		old[i] = 0x40 | old[i]&0x1f // no instruction with a reference
	}
	middle := n / 2
	new = slices.Concat(old[:middle], bytes.Repeat([]byte{0x41}, insert), old[middle:])
	for i := 0; i+5 < n; i += 40 {
		at, target := i, middle+400
		binary.LittleEndian.PutUint32(old[i+1:], uint32(target-i-5))
		if i >= middle {
			at += insert
		}
		binary.LittleEndian.PutUint32(new[at+1:], uint32(target+insert-at-5))
		old[i], new[at] = 0xE8, 0xE8
	}
	return old, new
}

// Whatever an executable says about itself, the pack can be applied. What is
// right in it is used.
func TestOddExecutables(t *testing.T) {
	notRacing(t)
	const n = 60_000
	all, text := part{0, n, 0}, part{4096, 50_000, 4096}
	many := func(k int, size uint64) (list []part) {
		for i := range uint64(k) {
			list = append(list, part{4096 + i*size, size, 4096 + i*size})
		}
		return list
	}
	oldCode, newCode := called(n, 100)
	for name, tt := range map[string]struct {
		programs, sections []part
		predicted          bool
	}{
		"good":                {[]part{all}, []part{text}, true},
		"maps overlap":        {[]part{all, {4096, 8192, 1 << 20}}, []part{text}, true},
		"map beyond the end":  {[]part{{0, n + 1<<20, 0}}, []part{text}, true},
		"map far beyond":      {[]part{all, {1<<63 - 8, 100, 0x10}}, []part{text}, true},
		"area beyond the end": {[]part{all}, []part{{4096, 1 << 20, 4096}}, false},
		"area far beyond":     {[]part{all}, []part{{1<<63 - 8, 100_000, 0}, text}, true},
		"area wraps around":   {[]part{all}, []part{text, {1<<64 - 4096, 8192, 0}}, true},
		"too many maps":       {many(maxMaps+1, 150), []part{text}, false},
		"too many areas":      {[]part{all}, many(maxAreas+10, 40), false},
		"high address":        {[]part{{0, n, 1 << 63}}, []part{text}, false},
	} {
		t.Run(name, func(t *testing.T) {
			old, new := elfOf(oldCode, tt.programs, tt.sections), elfOf(newCode, tt.programs, tt.sections)
			pack, _ := checkRoundTrip(t, memBlobs(old), memBlobs(new), Options{})
			f := readHead(t, pack).Frames[0]
			list, _, err := readSections(section0(pack[f.Offset:f.Offset+f.Size]), f.newSize())
			if err != nil {
				t.Fatal(err)
			}
			if got := list[0].cols[colLayout].raw > 0; got != tt.predicted {
				t.Errorf("layout: got %v, want %v", got, tt.predicted)
			}
		})
	}
}

// symbols returns a table of symbols, and their names. One of many stands in
// the middle that old does not have; code behind a place is moved.
func symbols(n, moved, by int, more bool) (table, names []byte) {
	le := binary.LittleEndian
	names = []byte{0}
	if more {
		names = append(names, "another\x00"...)
	}
	add := func(name string, value int) {
		table = le.AppendUint32(table, uint32(len(names)))
		table = append(table, 0x12, 0, 7, 0)
		if value >= moved {
			value += by
		}
		table = le.AppendUint64(table, uint64(value))
		table = le.AppendUint64(table, 64)
		names = append(append(names, name...), 0)
	}
	for i := range n {
		add(fmt.Sprintf("symbol_%x", uint32(i)*2654435761), 4096+50*i)
		if more && i == n/2 {
			add("of_its_own", 5000)
		}
	}
	return table, names
}

// In a table where every record changes, nothing can be found but by what the
// old table is predicted to be.
func TestTablesAreMatchedAsPredicted(t *testing.T) {
	const n, front = 60_000, 64 + 56
	file := func(body []byte, moved, by int, more bool) (file []byte, at int) {
		table, names := symbols(1000, moved, by, more)
		at = front + len(body)
		size := uint64(at)
		sections := []part{{4096, size - 4096, 4096}, {size, uint64(len(table)), 0}, {size + uint64(len(table)), uint64(len(names)), 0}}
		return elfOf(slices.Concat(body, table, names), []part{{0, size, 0}}, sections, code, symbolTable, stringTable), at
	}
	oldCode, newCode := called(n, 100)
	old, oldAt := file(oldCode, front+n/2, 0, false)
	new, at := file(newCode, front+n/2, 100, true)
	pack, _ := checkRoundTrip(t, memBlobs(old), memBlobs(new), Options{})
	if len(pack) > 1200 {
		t.Errorf("pack has %d bytes, of which the new symbol and the head take a few hundred", len(pack))
	}
	// Behind the new record, each record is one of old only as predicted.
	p := newPacker(memBlobs(old), memBlobs(new), Options{})
	if err := p.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := &p.jobs[0]
	found, err := p.arena.covers(t.Context(), new, nil, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	record := func(covers []cover, i int) int { // which old one makes a new one
		for _, c := range covers {
			if pos := at + 24*i; c.new <= pos && pos < c.new+c.n {
				return (pos - c.new + c.old - oldAt) / 24
			}
		}
		return -1
	}
	matched, err := p.rematch(p.executables(j, 0, new), slices.Clone(found), new)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{502, 600, 999} {
		if got := record(matched, i); got != i-1 {
			t.Errorf("record %d is made of %d, want %d", i, got, i-1)
		}
		if record(found, i) == i-1 {
			t.Errorf("record %d is found without prediction", i)
		}
	}
	checkCovers(t, matched, len(old), len(new))
}

// Modules that a reader would refuse are left out, and the others stay.
func TestReadable(t *testing.T) {
	good := func(blob int) module {
		return module{blob: blob, old: []exe.Map{{Size: 10}}, new: []exe.Map{{Size: 10}}, areas: []area{{Area: exe.Area{Size: 10, Kind: exe.X86}}}}
	}
	again, broken, large := good(1), good(2), good(3)
	broken.areas[0].Size = 1 << 20
	for range maxAreas {
		large.areas = append(large.areas, area{Area: exe.Area{Pos: 10, Kind: exe.X86}})
	}
	old := space{starts: []int64{0, 10, 20, 30, 40, 50}}
	list := readable([]module{good(0), good(1), again, broken, large, good(4)}, old, 10)
	var blobs []int
	for _, m := range list {
		blobs = append(blobs, m.blob)
	}
	if want := []int{0, 1, 4}; !slices.Equal(blobs, want) {
		t.Errorf("got modules of blobs %v, want %v", blobs, want)
	}
	if _, err := readModules(appendModules(nil, list), old, 10); err != nil {
		t.Error(err)
	}
}

// References everywhere, eight at each byte, must not pile up.
func TestGuessesAreDropped(t *testing.T) {
	old := make([]byte, windowSize)
	fields := make([]exe.Field, maxFields)
	for k := range fields {
		fields[k] = exe.Field{Width: 4, Base: exe.FromZero}
	}
	whole := []exe.Map{{Size: windowSize}}
	m := module{old: whole, new: whole, areas: []area{{Area: exe.Area{Size: windowSize, Kind: exe.Table, Stride: 1, Fields: fields}}}}
	c := cover{0, 0, windowSize}
	p := lawOf(t, m, windowSize, []cover{c}, old)
	var w prediction
	pred, class := slices.Clone(old), make([]byte, windowSize)
	p.start(&w, c, 0, windowSize)
	for from := 0; from < windowSize; from += blockSize {
		w.predict(pred, class, &window{old: old}, from, from+blockSize)
		if n := len(w.guesses); n < blockSize || n > maxFields*(blockSize+8) {
			t.Fatalf("%d guesses at %d", n, from)
		}
		w.learn(pred, old, from+blockSize)
	}
	if len(w.guesses) > 0 {
		t.Errorf("%d guesses are left", len(w.guesses))
	}
}

// What covers miss of a table is counted with the old tables as predicted, and
// other old bytes as they are.
func TestMisses(t *testing.T) {
	old := []byte("........abcdefgh........ijkl....")
	tables := &arena{index: &index{old: []byte("ABCDEFGHIJKL")}, extents: []extent{{pos: 8, at: 0, n: 8}, {pos: 24, at: 8, n: 4}}}
	p := &packer{arena: &arena{index: &index{old: old}}}
	for _, tt := range []struct {
		covers []cover
		new    string
		want   int
	}{
		{nil, "____ABCDEFGH____", 8},
		{[]cover{{old: 8, new: 4, n: 8}}, "____ABCDEFGH____", coverMisses},
		{[]cover{{old: 8, new: 4, n: 8}}, "____abcdefgh____", coverMisses + 8},
		{[]cover{{old: 6, new: 2, n: 12}}, "____ABCDEFGH____", coverMisses},
		{[]cover{{old: 0, new: 4, n: 8}}, "____........____", coverMisses},
		{[]cover{{old: 4, new: 4, n: 4}, {old: 24, new: 8, n: 4}}, "____....IJKL____", 2 * coverMisses},
		{[]cover{{old: 4, new: 4, n: 8}}, "____....ABCD____", coverMisses},
		{[]cover{{old: 8, new: 0, n: 4}}, "ABCD____________", 8},
	} {
		if got := p.misses(tables, tt.covers, []byte(tt.new), stretchOf{from: 4, to: 12}); got != tt.want {
			t.Errorf("%v of %s: got %d, want %d", tt.covers, tt.new, got, tt.want)
		}
	}
}
