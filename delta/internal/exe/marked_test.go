package exe

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"
)

// lineAddress is an opcode of .debug_line that sets an address.
func lineAddress(addr uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0, 9, setAddress}, addr)
}

func TestMarked(t *testing.T) {
	b := slices.Concat([]byte{7, 7}, lineAddress(0x401000), lineAddress(0xfff), []byte{9, 0, setAddress}, make([]byte, 8),
		[]byte{6}, binary.LittleEndian.AppendUint64(nil, 0x402000), []byte{5}, binary.LittleEndian.AppendUint64(nil, 1<<48),
		bytes.Repeat([]byte{0xff}, 8), binary.LittleEndian.AppendUint64(nil, 0x404000), bytes.Repeat([]byte{0xff}, 7), make([]byte, 1),
		[]byte{8}, binary.LittleEndian.AppendUint64(nil, 0x403000)[:7])
	wantSites(t, find(t, &Area{Kind: DebugMarked, Size: uint64(len(b))}, b, 0), []Site{
		{At: 5, Form: Abs64, Class: classMarked, Base: FromZero, Target: 0x401000},
		{At: 36, Form: Abs64, Class: classMarked, Base: FromZero, Target: 0x402000},
		{At: 61, Form: Abs64, Class: classMarked, Base: FromZero, Target: 0x404000},
	})
	// All of the mark of DWARF 4 has to be seen.
	list := append(bytes.Repeat([]byte{0xff}, 8), binary.LittleEndian.AppendUint64(nil, 0x404000)...)
	a := &Area{Kind: DebugMarked, Size: uint64(len(list))}
	if sites := find(t, a, list[1:], 0); len(sites) != 0 {
		t.Errorf("seven bytes are taken for a mark: %+v", sites)
	}
}

// Lines of a real program must have an address for each of its sequences.
func TestMarkedLines(t *testing.T) {
	file := build(t, "linux", "amd64", "-ldflags=-compressdwarf=false")
	l, _ := Parse(file)
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	funcs := map[uint64]bool{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			funcs[s.Value] = true
		}
	}
	for name, least := range map[string]int{".debug_line": 900, ".debug_frame": 900} {
		right, seen := 0, map[uint64]bool{}
		sites := sitesOf(t, l, name, file)
		for _, s := range sites {
			if s.Form == Abs64 && funcs[s.Target] {
				seen[s.Target] = true
				right++
			}
		}
		if len(seen) < least || right < len(sites)*9/20 {
			t.Errorf("%s: %d of %d references are functions, %d of %d in all", name, right, len(sites), len(seen), len(funcs))
		}
	}
}

// frames are records of .debug_frame: a head, and two of functions.
func frames() []byte {
	le := binary.LittleEndian
	b := append(le.AppendUint32(le.AppendUint32(nil, 12), 1<<32-1), 4, 0, 8, 0, 1, 0x7c, 16, 0)
	for _, addr := range []uint64{0x401000, 0x401100} {
		b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, 20), 0), addr)
		b = le.AppendUint64(b, 0x80)
	}
	return b
}

func TestDebugFrame(t *testing.T) {
	b := frames()
	a := &Area{Kind: DebugFrame, Size: uint64(len(b)), Bases: []uint64{Unloaded}}
	wantSites(t, find(t, a, b, Unloaded), []Site{
		{At: 20, Class: classFrameGroup, Target: Unloaded},
		{At: 24, Form: Abs64, Class: classFrame, Base: FromZero, Target: 0x401000},
		{At: 44, Class: classFrameGroup, Target: Unloaded},
		{At: 48, Form: Abs64, Class: classFrame, Base: FromZero, Target: 0x401100},
	})
	// What was in front of a window is known all the same.
	records := 10
	r, err := NewReader(a, 0, Unloaded, &records, readOf(b))
	if err != nil || records != 7 {
		t.Fatalf("%d records are left, %v", records, err)
	}
	for start := range len(b) {
		for _, s := range r.Find(nil, b[start:], 0, len(b)-start, uint64(start), Unloaded+uint64(start)) {
			if at := s.At + start; at != 20 && at != 24 && at != 44 && at != 48 {
				t.Errorf("window from %d: a reference at %d", start, at)
			}
		}
	}
	if _, err := NewReader(&Area{Kind: DebugFrame}, 0, 0, &records, nil); err == nil {
		t.Error("an area without a base is taken")
	}
}
