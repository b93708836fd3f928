package exe

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever a file says, its maps and areas are inside it, in order and apart.
func TestTidy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Custom(func(t *rapid.T) uint64 {
			if rapid.IntRange(0, 5).Draw(t, "far") == 0 {
				return 1<<64 - 1 - rapid.Uint64Range(0, 300).Draw(t, "from the end")
			}
			return rapid.Uint64Range(0, 300).Draw(t, "number")
		})
		const size = 200
		l := &Layout{}
		for range rapid.IntRange(0, 8).Draw(t, "maps") {
			l.Maps = append(l.Maps, Map{number.Draw(t, "pos"), number.Draw(t, "size"), number.Draw(t, "address")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "lists") {
			l.Addends = append(l.Addends, Addends{Pos: number.Draw(t, "pos"), Size: number.Draw(t, "size")})
		}
		for range rapid.IntRange(0, 8).Draw(t, "areas") {
			l.Areas = append(l.Areas, Area{Pos: number.Draw(t, "pos"), Size: number.Draw(t, "size")})
		}
		given := slices.Clone(l.Maps)
		slices.SortFunc(given, func(a, b Map) int { return int(min(a.Pos, 1000)) - int(min(b.Pos, 1000)) })
		l.tidy(size)
		end := uint64(0)
		for _, m := range l.Maps {
			if m.Size == 0 || m.Pos < end || m.Size > size || m.Pos > size-m.Size {
				t.Fatalf("map %+v behind %d", m, end)
			}
			end = m.Pos + m.Size
			if !slices.ContainsFunc(given, func(g Map) bool { return g.Addr-g.Pos == m.Addr-m.Pos && m.Pos >= g.Pos }) {
				t.Fatalf("map %+v has an address that none gave", m)
			}
		}
		end = 0
		for _, a := range l.Areas {
			if a.Size == 0 || a.Pos < end || a.Size > size || a.Pos > size-a.Size {
				t.Fatalf("area %+v behind %d", a, end)
			}
			end = a.Pos + a.Size
		}
		end = 0
		for _, a := range l.Addends {
			if a.Size < AddendSize || a.Pos < end || a.Size > size || a.Pos > size-a.Size {
				t.Fatalf("addends %+v behind %d", a, end)
			}
			end = a.Pos + a.Size
		}
		// What lies alone in the file stays as it is.
		for i, m := range given {
			if m.Size > 0 && m.Pos < size && m.Size <= size-m.Pos && !slices.ContainsFunc(given, func(o Map) bool {
				return o != m && o.Pos <= m.Pos+m.Size && (o.Pos+o.Size >= m.Pos || o.Pos+o.Size < o.Pos)
			}) && !slices.Contains(given[:i], m) && !slices.Contains(l.Maps, m) {
				t.Fatalf("map %+v is gone from %+v", m, l.Maps)
			}
		}
	})
}

// A C program has the tables that Go's do not: relocations, and records of
// functions with their sorted index.
func TestParseC(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("cc is not installed")
	}
	folder := t.TempDir()
	source := filepath.Join(folder, "main.c")
	const text = "#include <stdio.h>\nint f(int x) { return printf(\"%d\", x); }\nint (*g)(int) = f;\nint main(int n, char **v) { return g(n); }\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "main")
	if b, err := exec.CommandContext(t.Context(), compiler, "-O1", "-fpie", "-pie", "-o", out, source).CombinedOutput(); err != nil {
		t.Skipf("cc: %v\n%s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := Parse(b)
	if !ok || string(b[:4]) != "\x7fELF" {
		t.Skip("cc makes no ELF files that are understood")
	}
	for _, tt := range []struct {
		name string
		kind Kind
		most int // references that may point out of the program, of a hundred
	}{{".eh_frame", EhFrame, 0}, {".eh_frame_hdr", Table, 0}, {".rela.dyn", Table, 90}, {".symtab", Table, 90}, {".init_array", Table, 0}} {
		k := slices.IndexFunc(l.Areas, func(a Area) bool { return a.Name == tt.name })
		if k < 0 || l.Areas[k].Kind != tt.kind {
			t.Errorf("%s: no area of kind %d", tt.name, tt.kind)
			continue
		}
		a := &l.Areas[k]
		found, inside := count(t, l, a, b[a.Pos:a.Pos+a.Size])
		if found == 0 || (found-inside)*100 > tt.most*found {
			t.Errorf("%s: %d of %d references point into the program", tt.name, inside, found)
		}
	}
	// Its rows tell of words that are in the file.
	if len(l.Addends) == 0 {
		t.Fatal("no list of addends")
	}
	rows := b[l.Addends[0].Pos:][:l.Addends[0].Size]
	for ; len(rows) >= AddendSize; rows = rows[AddendSize:] {
		at, info := binary.LittleEndian.Uint64(rows), binary.LittleEndian.Uint64(rows[8:])
		if _, ok := l.place(at); info == l.Addends[0].Info && !ok {
			t.Errorf("relocation at %x, which is not in the file", at)
		}
	}
}

// goRecords returns records of Go functions, and where they start.
func goRecords(t *rapid.T) (b []byte, starts []int) {
	for range rapid.IntRange(1, 12).Draw(t, "records") {
		starts = append(starts, len(b))
		r := make([]byte, goFixed)
		np, nf := rapid.IntRange(0, 8).Draw(t, "tables"), rapid.IntRange(0, 5).Draw(t, "data")
		binary.LittleEndian.PutUint32(r[28:], uint32(np))
		r[43] = byte(nf)
		binary.LittleEndian.PutUint32(r, uint32(16*len(starts)))
		binary.LittleEndian.PutUint32(r[4:], uint32(8*len(starts)))
		for k := range np + nf {
			v := uint32(100 + k)
			if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
				v = 1<<32 - 1
			}
			r = binary.LittleEndian.AppendUint32(r, v)
		}
		for len(r)%8 != 0 {
			r = append(r, 0xff) // so that what fills up is no reference
		}
		b = append(b, r...)
	}
	return b, starts
}

// Records that begin in front of what is seen have references in it all the
// same, and none is found twice or beyond.
func TestGoRecordsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, starts := goRecords(t)
		a := &Area{Kind: GoFuncs, Size: uint64(len(b)), Bases: []uint64{1 << 20, 2 << 20, 3 << 20, 4 << 20, 5 << 20}}
		records := 100
		g, err := newGoFuncs(a, &records, func(p []byte, pos uint64) error {
			copy(p, b[pos:])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range g.starts {
			if int(s) != starts[i] {
				t.Fatalf("record %d starts at %d, want %d", i, s, starts[i])
			}
		}
		if len(g.starts) != len(starts) || records != 100-len(starts) {
			t.Fatalf("%d records, %d left of 100; want %d", len(g.starts), records, len(starts))
		}
		whole := g.Find(nil, b, 0, len(b), 0, 0)
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		parts := append(g.Find(nil, b, 0, cut, 0, 0), g.Find(nil, b, cut, len(b), 0, 0)...)
		if !slices.Equal(whole, parts) {
			t.Fatalf("cut at %d:\n%v\nin all:\n%v", cut, parts, whole)
		}
		for i, s := range whole {
			if i > 0 && s.At <= whole[i-1].At || s.Target>>20 != uint64(s.Base)+1 {
				t.Fatalf("reference %+v behind %+v", s, whole[max(i, 1)-1])
			}
		}
	})
}

// The last record of a large area is not gone over beyond what is asked for.
func TestLastGoRecordIsLong(t *testing.T) {
	const size = 1 << 40
	a := &Area{Kind: GoFuncs, Size: size, Bases: make([]uint64, goBases)}
	records := 1
	g, err := newGoFuncs(a, &records, func(p []byte, _ uint64) error {
		clear(p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if sites := g.Find(nil, make([]byte, 1024), 0, 1024, 0, 0); len(sites) == 0 {
		t.Error("no references")
	}
}
