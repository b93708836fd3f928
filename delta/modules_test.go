package delta

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// part is a part of an ELF file that is loaded.
type part struct{ pos, size, addr uint64 }

// elfOf returns an ELF file for x86-64 with such code, program headers and
// sections of code, all of which may lie.
func elfOf(code []byte, programs, sections []part) []byte {
	const header, programHeader, sectionHeader = 64, 56, 64
	le := binary.LittleEndian
	table := header + programHeader*len(programs) + len(code) // of sections
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
	b = append(b, code...)
	words(0, 0, 0, 0, 0, 0, 0, 0)
	for i, s := range sections {
		words(1<<32|uint64(1+i%3), 6, s.addr, s.pos, s.size, 0, 1, 0) // SHT_PROGBITS, code
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
			list, err := readSections(section0(pack[f.Offset:f.Offset+f.Size]), f.newSize())
			if err != nil {
				t.Fatal(err)
			}
			if got := list[0].cols[colLayout].raw > 0; got != tt.predicted {
				t.Errorf("layout: got %v, want %v", got, tt.predicted)
			}
		})
	}
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
