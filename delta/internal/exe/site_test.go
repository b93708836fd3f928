package exe

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is put can be got again, and other bits of the instruction stay.
func TestForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]Form{Abs32, Abs64, Word32, Uleb, Rel32, Back32, Imm26, Imm19, Imm14, Adrp, Lo12, Lo12x2, Lo12x4, Lo12x8, Lo12x16}).Draw(t, "form")
		here := rapid.Uint64Range(1<<30, 1<<40).Draw(t, "here") &^ 3
		target := (here + uint64(rapid.Int64Range(-8000, 8000).Draw(t, "distance"))) &^ 15
		base := uint64(0)
		if form == Abs32 || form == Word32 {
			base = target - uint64(rapid.Uint32Range(0, 1<<31-1).Draw(t, "offset"))&^3
		}
		if form == Uleb {
			base = target - uint64(rapid.Uint32Range(0, 1<<21-1).Draw(t, "offset"))
		}
		p := make([]byte, 8)
		binary.LittleEndian.PutUint64(p, rapid.Uint64().Draw(t, "bits"))
		was := binary.LittleEndian.Uint64(p)
		form.Put(p, here, target, base)
		if got := form.Get(p, here, target, base); got != target {
			t.Fatalf("form %d: got %#x, want %#x", form, got, target)
		}
		mask := map[Form]uint64{Imm26: 1<<26 - 1, Imm19: (1<<19 - 1) << 5, Imm14: (1<<14 - 1) << 5, Adrp: 0x60ffffe0,
			Lo12: 0xfff << 10, Lo12x2: 0xfff << 10, Lo12x4: 0xfff << 10, Lo12x8: 0xfff << 10, Lo12x16: 0xfff << 10, Uleb: 0xffffff}
		if m, ok := mask[form]; ok {
			if now := binary.LittleEndian.Uint64(p); (now^was)&^m != 0 {
				t.Fatalf("form %d: %x became %x", form, was, now)
			}
		}
	})
}

// find returns what the reader of an area finds in code at an address.
func find(t *testing.T, a *Area, old []byte, addr uint64) []Site {
	t.Helper()
	records := 100
	r, err := NewReader(a, 0, addr, &records, func(p []byte, pos uint64) error {
		copy(p, old[pos:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Find(nil, old, 0, len(old), 0, addr)
}

func wantSites(t *testing.T, got, want []Site) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("want %+v", want[i])
		case i >= len(want):
			t.Errorf("got %+v", got[i])
		case got[i] != want[i]:
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}

func TestX86(t *testing.T) {
	code := []byte{0x90, 0x90, 0x90,
		0xE8, 0x10, 0, 0, 0, // call +0x10
		0x0F, 0x84, 0xF0, 0xFF, 0xFF, 0xFF, // je -0x10
		0x48, 0x8B, 0x05, 0, 1, 0, 0, // mov rax, [rip+0x100]
		0xF3, 0x0F, 0x10, 0x05, 4, 0, 0, 0, // movss xmm0, [rip+4]
		0x8B, 0x45, 0x08, // mov eax, [rbp+8]
		0xE8, 1, 2} // cut short
	wantSites(t, find(t, &Area{Kind: X86, Size: uint64(len(code))}, code, 0x1000), []Site{
		{At: 4, Form: Rel32, Class: classCall, Target: 0x1008 + 0x10},
		{At: 10, Form: Rel32, Class: classJump, Target: 0x100e - 0x10},
		{At: 17, Form: Rel32, Class: classOperand, Target: 0x1015 + 0x100},
		{At: 25, Form: Rel32, Class: classOperand, Target: 0x101d + 4},
	})
}

func TestARM64(t *testing.T) {
	var code []byte
	for _, w := range []uint32{
		0xd503201f, // nop
		0x97ffffff, // bl -4
		0x54000040, // b.eq +8
		0x90000008, // adrp x8, 0
		0xd503201f, // nop
		0x91048d08, // add x8, x8, #0x123
		0xb0000009, // adrp x9, +1 page
		0xf9400d29, // ldr x9, [x9, #24]
		0x36080040, // tbz w0, #1, +8
		0x58000041, // ldr x1, +8
	} {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	wantSites(t, find(t, &Area{Kind: ARM64, Size: uint64(len(code))}, code, 0x5000), []Site{
		{At: 4, Form: Imm26, Class: classCall, Target: 0x5000},
		{At: 8, Form: Imm19, Class: classBranch, Target: 0x5010},
		{At: 12, Form: Adrp, Class: classPage, Target: 0x5123},
		{At: 20, Form: Lo12, Class: classLow, Target: 0x5123},
		{At: 24, Form: Adrp, Class: classPage, Target: 0x6018},
		{At: 28, Form: Lo12x8, Class: classLow, Target: 0x6018},
		{At: 32, Form: Imm14, Class: classBranch, Target: 0x5028},
		{At: 36, Form: Imm19, Class: classOperand, Target: 0x502c},
	})
}

func TestEhFrame(t *testing.T) {
	var b []byte
	le := binary.LittleEndian
	record := func(n, group uint32, body ...uint32) {
		b = le.AppendUint32(le.AppendUint32(b, n), group)
		for _, w := range body {
			b = le.AppendUint32(b, w)
		}
	}
	record(12, 0, 7, 7)                // the head of a group
	record(20, 20, 100, 9, 4|50<<8, 0) // a function at 0x1018+100, with data at 0x1021+50
	record(8, 44, 1<<32-8)             // one at 0x1030-8
	b = le.AppendUint32(b, 0)
	wantSites(t, find(t, &Area{Kind: EhFrame, Size: uint64(len(b))}, b, 0x1000), []Site{
		{At: 20, Form: Back32, Class: classEhGroup, Base: FromHere, Target: 0x1000},
		{At: 24, Form: Abs32, Class: classEhFrame, Base: FromHere, Target: 0x1018 + 100},
		{At: 33, Form: Abs32, Class: classEhData, Base: FromHere, Target: 0x1021 + 50},
		{At: 44, Form: Back32, Class: classEhGroup, Base: FromHere, Target: 0x1000},
		{At: 48, Form: Abs32, Class: classEhFrame, Base: FromHere, Target: 0x1030 - 8},
	})
}

// A window must show the same references as the whole.
func TestTableInWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.SliceOfN(rapid.Byte(), 300, 300).Draw(t, "old")
		a := &Area{Size: 300, Kind: Table, Stride: rapid.Uint64Range(8, 40).Draw(t, "stride"), Bases: []uint64{77}}
		for range rapid.IntRange(1, 3).Draw(t, "fields") {
			width := rapid.SampledFrom([]uint64{4, 8}).Draw(t, "width")
			a.Fields = append(a.Fields, Field{rapid.Uint64Range(0, a.Stride-width).Draw(t, "offset"), width, rapid.IntRange(-2, 0).Draw(t, "base")})
		}
		r, err := NewReader(a, 3, 1000, new(int), nil)
		if err != nil {
			t.Fatal(err)
		}
		whole := map[int]int{}
		for _, s := range r.Find(nil, old, 0, 300, 0, 1000) {
			whole[s.At]++
		}
		start := rapid.IntRange(0, 290).Draw(t, "start") // of the window
		from := rapid.IntRange(start, 299).Draw(t, "from")
		to := rapid.IntRange(from, 300).Draw(t, "to")
		part := map[int]int{}
		for _, s := range r.Find(nil, old[start:], from-start, to-start, uint64(start), uint64(1000+start)) {
			part[s.At+start]++
		}
		for at, n := range part {
			if at < from || at >= to || whole[at] != n {
				t.Fatalf("reference at %d: %d times in a window from %d to %d, %d times in all", at, n, from, to, whole[at])
			}
		}
		for at, n := range whole {
			if at >= from && at < to && part[at] != n {
				t.Fatalf("reference at %d: %d times in a window from %d to %d, %d times in all", at, part[at], from, to, n)
			}
		}
	})
}

// readOf reads an area that is all of a file.
func readOf(b []byte) ReadAt {
	return func(p []byte, pos uint64) error {
		clear(p)
		if pos < uint64(len(b)) {
			copy(p, b[pos:])
		}
		return nil
	}
}

func FuzzReaders(f *testing.F) {
	f.Add([]byte{0xE8, 1, 0, 0, 0, 0x0F, 0x84, 9, 0, 0, 0, 1, 2, 3, 4, 5}, byte(X86), uint16(3))
	f.Add(make([]byte, 200), byte(GoFuncs), uint16(60))
	f.Add(descriptor(25, 40, 3, 0), byte(GoTypes), uint16(8))
	f.Add(descriptor(isInterface, 0, 0, 5), byte(GoTypes), uint16(100))
	f.Add([]byte{0x22, 0x80, 0x81, 2, 0x51, 0x21, 0xff, 0xff, 0x7f, 0x51}, byte(Rebases), uint16(1))
	f.Add(blocks([]uint32{0x1010, 0x1018, 0x1ff8, 0x2000}), byte(PERelocs), uint16(10))
	f.Add([]byte{3, 0, 0, 0, 0, 9, 0, 0, 1, 1, 0, 0, 5, 0, 0, 0, 0}, byte(GoInlining), uint16(0))
	f.Add(slices.Concat(debugUnit(5, 4), debugUnit(4, 8), debugUnit(3, 8)), byte(DebugInfo), uint16(20))
	f.Add(slices.Concat(lineAddress(0x401000), lineAddress(1<<40)), byte(DebugMarked), uint16(2))
	f.Add(frames(), byte(DebugFrame), uint16(18))
	f.Fuzz(func(t *testing.T, old []byte, kind byte, from uint16) {
		bases := map[Kind]int{GoTypes: typesBases, GoInlining: 1, Rebases: 3, PERelocs: 1, DebugInfo: infoBases, DebugFrame: 1}[Kind(kind)]
		if bases == 0 {
			bases = goBases
		}
		a := &Area{Size: uint64(len(old)), Kind: Kind(kind), Stride: 12, Fields: []Field{{4, 8, FromZero}}, Bases: make([]uint64, bases)}
		if !a.Kind.Valid() {
			return
		}
		for i := range a.Bases {
			a.Bases[i] = 0x1000 // abbreviations too may be in the area
		}
		records := 1000
		r, err := NewReader(a, 0, 0x1000, &records, readOf(old))
		if err != nil {
			return
		}
		start := int(from) % (len(old) + 1)
		for _, s := range r.Find(nil, old[start:], 0, len(old)-start, uint64(start), 0x1000+uint64(start)) {
			if s.At < 0 || s.At+s.Form.Width() > len(old)-start || s.Class == 0 || s.Class >= Classes {
				t.Fatalf("%+v in %d bytes", s, len(old)-start)
			}
		}
	})
}
