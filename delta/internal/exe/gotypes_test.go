package exe

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Offsets that are found in descriptors of types lead to names, and those in
// records of inlined calls to names of functions.
func TestGoNames(t *testing.T) {
	for _, system := range [][2]string{{"linux", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		b := build(t, system[0], system[1])
		l, ok := Parse(b)
		if !ok {
			t.Fatalf("%v: not understood", system)
		}
		for _, tt := range []struct {
			area  string
			class byte
			name  func(b []byte, at uint64) bool
		}{{"types", classGoName, isTypeName}, {"data of functions", classGoInlined, isFuncName}} {
			right, all := 0, 0
			for _, s := range sitesOf(t, l, tt.area, b) {
				if s.Class == tt.class {
					all++
					if at, ok := l.place(s.Target); ok && tt.name(b, at) {
						right++
					}
				}
			}
			if all < 500 || right*100 < all*90 {
				t.Errorf("%v, %s: %d of %d names are right", system, tt.area, right, all)
			}
		}
	}
}

// sitesOf returns what the reader of an area finds, as if it were read in
// parts of a block.
func sitesOf(t *testing.T, l *Layout, name string, file []byte) (sites []Site) {
	t.Helper()
	k := slices.IndexFunc(l.Areas, func(a Area) bool { return a.Name == name })
	if k < 0 {
		t.Fatalf("no area of %s", name)
	}
	a := &l.Areas[k]
	b := file[a.Pos : a.Pos+a.Size]
	addr, _ := Addr(l.Maps, a.Pos)
	records := 1 << 20
	r, err := NewReader(a, 0, addr, &records, func(p []byte, pos uint64) error {
		copy(p, b[pos:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < len(b); from += 1024 {
		sites = r.Find(sites, b, from, min(from+1024, len(b)), 0, addr)
	}
	return sites
}

// isTypeName reports whether a name of a type begins at a place: flags, length
// and text (abi.Name).
func isTypeName(b []byte, at uint64) bool {
	n, size := binary.Uvarint(b[at+1:])
	if b[at] >= 16 || size <= 0 || n > 1000 {
		return false
	}
	text := b[at+1+uint64(size):][:n]
	return utf8.Valid(text) && !bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' })
}

// isFuncName reports whether a name of a function begins at a place, behind
// the end of the one before.
func isFuncName(b []byte, at uint64) bool { return b[at-1] == 0 && b[at] > ' ' && b[at] < 0x7f }

// descriptor is one of a kind, with so many methods far behind it, and as many
// as an interface has.
func descriptor(kind byte, far, methods, wanted int) []byte {
	size := int(max(typeSizes[kind], typeSize))
	b := make([]byte, size)
	b[0], b[21], b[22], b[23] = 8, 8, 8, kind
	binary.LittleEndian.PutUint32(b[40:], 0x1000)
	binary.LittleEndian.PutUint32(b[44:], 0x2000)
	if kind == isInterface {
		behind := size
		if methods > 0 {
			behind += uncommon
		}
		binary.LittleEndian.PutUint64(b[56:], uint64(0x1000+behind)) // if it is the first
		binary.LittleEndian.PutUint64(b[64:], uint64(wanted))
	}
	if methods > 0 {
		b[20] = 1
		b = append(b, make([]byte, uncommon)...)
		binary.LittleEndian.PutUint32(b[size:], 0x3000)
		binary.LittleEndian.PutUint16(b[size+4:], uint16(methods))
		binary.LittleEndian.PutUint32(b[size+8:], uint32(uncommon+8*wanted+far))
	}
	for range 2*wanted + far/4 + 4*methods {
		b = binary.LittleEndian.AppendUint32(b, 0x4000)
	}
	return append(b, make([]byte, -len(b)&7)...)
}

// Every descriptor is found behind others, with all its offsets and no more.
func TestGoTypesFindsOffsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		want := 0
		for i := range rapid.IntRange(1, 10).Draw(t, "types") {
			kind := byte(rapid.IntRange(1, 26).Draw(t, "kind"))
			methods, wanted := rapid.IntRange(0, 5).Draw(t, "methods"), 0
			if kind == isInterface && i == 0 {
				wanted = rapid.IntRange(0, 5).Draw(t, "wanted")
			}
			far := 4 * rapid.IntRange(0, 3).Draw(t, "far")
			b = append(b, descriptor(kind, far, methods, wanted)...)
			b = append(b, make([]byte, 8*rapid.IntRange(0, 3).Draw(t, "between"))...)
			want += 2 + 2*wanted + 4*methods + min(methods, 1)
		}
		records := 10_000
		a := &Area{Kind: GoTypes, Size: uint64(len(b)), Bases: []uint64{1 << 32, 2 << 32}}
		r, err := NewReader(a, 0, 0x1000, &records, func(p []byte, pos uint64) error {
			copy(p, b[pos:])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		whole := r.Find(nil, b, 0, len(b), 0, 0x1000)
		cut := 4 * rapid.IntRange(0, len(b)/4).Draw(t, "cut")
		parts := append(r.Find(nil, b, 0, cut, 0, 0x1000), r.Find(nil, b, cut, len(b), 0, 0x1000)...)
		if !slices.Equal(whole, parts) {
			t.Fatalf("cut at %d:\n%v\nin all:\n%v", cut, parts, whole)
		}
		offsets := slices.DeleteFunc(whole, func(s Site) bool { return s.Class == classGoPointer })
		if len(offsets) != want || records != 10_000-want {
			t.Fatalf("%d offsets, %d noted; want %d", len(offsets), 10_000-records, want)
		}
		for _, s := range offsets {
			if s.Target>>32 != uint64(s.Base)+1 || s.Target&0xffffffff < 0x1000 {
				t.Fatalf("offset %+v", s)
			}
		}
	})
}

// Descriptors that claim thousands of methods cost no more than they are long.
func TestGoTypesAreBounded(t *testing.T) {
	one := descriptor(25, 0, 1, 0)
	binary.LittleEndian.PutUint16(one[80+4:], maxMethods)
	b := bytes.Repeat(one, 1000)
	records := 1 << 19
	a := &Area{Kind: GoTypes, Size: uint64(len(b)), Bases: make([]uint64, typesBases)}
	g, err := newGoTypes(a, 0, &records, func(p []byte, pos uint64) error {
		copy(p, b[pos:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(g.offsets); n == 0 || n > len(b)/4 {
		t.Errorf("%d offsets in %d bytes", n, len(b))
	}
}
