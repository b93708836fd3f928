package exe

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// cProgram compiles two files with debug information.
func cProgram(t *testing.T, flags ...string) []byte {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("cc is not installed")
	}
	dir := t.TempDir()
	one := "struct s { int a; struct s *next; };\nstatic int table[4] = {1, 2, 3, 4};\nextern int two(struct s *);\n" +
		"int main(int n, char **v) { struct s x = {n, 0}; x.next = &x; for (int i = 0; i < n; i++) { int y = table[i & 3]; x.a += y; } return two(&x); }\n"
	two := "struct s { int a; struct s *next; };\nint seen;\nint two(struct s *p) { seen++; return p->next ? p->next->a : (int)(long)v(p); }\n"
	args := append(flags, "-g", "-o", "program", "one.c", "two.c")
	for name, text := range map[string]string{"one.c": one, "two.c": "long v(void *p) { return (long)p >> 3; }\n" + two} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), compiler, args...)
	c.Dir = dir
	if b, err := c.CombinedOutput(); err != nil {
		t.Skipf("cc: %v\n%s", err, b)
	}
	b, err := os.ReadFile(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantReferences compares the references of .debug_info to entries and, if all
// of them are told by one form, to addresses with those that package dwarf finds.
func wantReferences(t *testing.T, file []byte, addresses bool) {
	t.Helper()
	l, ok := Parse(file)
	k := slices.IndexFunc(l.Areas, func(a Area) bool { return a.Kind == DebugInfo })
	if !ok || k < 0 {
		t.Skip("no .debug_info that is understood")
	}
	data, err := dwarfOf(t, file)
	if err != nil {
		t.Fatal(err)
	}
	var want, wantAddr []uint64
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		for _, field := range e.Field {
			switch v := field.Val.(type) {
			case dwarf.Offset:
				want = append(want, uint64(v))
			case uint64:
				if field.Class == dwarf.ClassAddress {
					wantAddr = append(wantAddr, v)
				}
			}
		}
	}
	var got, gotAddr []uint64
	a := &l.Areas[k]
	for _, s := range debugSites(t, l, a, file) {
		switch s.Class - firstTableClass {
		case infoUnit, infoInfo:
			got = append(got, s.Target-a.Bases[infoInfo])
		case infoAddress:
			gotAddr = append(gotAddr, s.Target)
		}
	}
	for _, list := range [][]uint64{got, want, gotAddr, wantAddr} {
		slices.Sort(list)
	}
	if len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("%d references to entries, want the %d of package dwarf", len(got), len(want))
	}
	if addresses && (len(wantAddr) == 0 || !slices.Equal(gotAddr, wantAddr)) {
		t.Errorf("%d addresses, want the %d of package dwarf", len(gotAddr), len(wantAddr))
	}
}

// dwarfOf reads the debug information of a program as the standard library does.
func dwarfOf(t *testing.T, file []byte) (*dwarf.Data, error) {
	t.Helper()
	r := bytes.NewReader(file)
	if f, err := elf.NewFile(r); err == nil {
		return f.DWARF()
	}
	if f, err := pe.NewFile(r); err == nil {
		return f.DWARF()
	}
	f, err := macho.NewFile(r)
	if err != nil {
		t.Fatal(err)
	}
	return f.DWARF()
}

// debugSites returns what the reader of an area finds in blocks of a file.
func debugSites(t *testing.T, l *Layout, a *Area, file []byte) (sites []Site) {
	t.Helper()
	addr, _ := Addr(l.Maps, a.Pos)
	records := 1 << 19
	r, err := NewReader(a, 0, addr, &records, func(p []byte, pos uint64) error { return readOf(file)(p, a.Pos+pos) })
	if err != nil {
		t.Fatal(err)
	}
	b := file[a.Pos:][:a.Size]
	for from := 0; from < len(b); from += 1024 {
		sites = r.Find(sites, b, from, min(from+1024, len(b)), 0, addr)
	}
	return sites
}

func TestDebugInfo(t *testing.T) {
	for _, system := range [][2]string{{"linux", "arm64"}, {"windows", "amd64"}, {"windows", "386"}, {"darwin", "arm64"}} {
		t.Run(system[0]+"-"+system[1], func(t *testing.T) {
			wantReferences(t, build(t, system[0], system[1], "-ldflags=-compressdwarf=false"), system[0] == "darwin")
		})
	}
	for _, version := range []string{"-gdwarf-3", "-gdwarf-4", "-gdwarf-5"} {
		t.Run(version, func(t *testing.T) { wantReferences(t, cProgram(t, "-O1", version), version != "-gdwarf-5") })
	}
}

// TestDebugStrings wants offsets of strings and of other sections to point
// where something begins.
func TestDebugStrings(t *testing.T) {
	file := cProgram(t, "-O1", "-gdwarf-5")
	l, _ := Parse(file)
	k := slices.IndexFunc(l.Areas, func(a Area) bool { return a.Kind == DebugInfo })
	if k < 0 {
		t.Skip("no .debug_info that is understood")
	}
	a, seen := &l.Areas[k], map[byte]int{}
	for _, s := range debugSites(t, l, a, file) {
		class := s.Class - firstTableClass
		seen[class]++
		if class == infoStr || class == infoLineStr {
			at, ok := l.place(s.Target)
			if start, _ := l.place(a.Bases[class]); !ok || at != start && file[at-1] != 0 {
				t.Errorf("a string of class %d at %d begins nowhere", class, at)
			}
		}
	}
	for class, least := range map[byte]int{infoAbbrev: 2, infoStr: 4, infoLineStr: 2, infoLine: 2, infoAddress: 2, infoPlaced: 2, infoUnit: 10} {
		if seen[class] < least {
			t.Errorf("%d references of class %d, want %d at least", seen[class], class, least)
		}
	}
}

// debugUnit is one of .debug_info: its abbreviations stand behind its entries,
// at the place 0 of the area if they are those of the first unit.
func debugUnit(version byte, width int) []byte {
	head := map[byte]int{3: 11, 4: 11, 5: 12}[version]
	b := make([]byte, head)
	entry := slices.Concat([]byte{1}, make([]byte, width), []byte{1, 0, 0, 0, 'a', 0, 3, 1, 2, 3, byte(width + 1), opAddress}, make([]byte, width), []byte{9, 0, 0, 0, 0})
	b = append(b, entry...)
	b = append(b, 0)
	at := len(b)
	for _, pair := range [][]byte{{1, 0x11, 0}, {0x11, 0x01}, {0x49, 0x13}, {0x03, 0x08}, {0x40, 0x0a}, {0x02, 0x18}, {0x10, 0x17}, {0x3a, 0x21, 7}, {0, 0}, {0}} {
		b = append(b, pair...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	b[4] = version
	if version == 5 {
		b[6], b[7], b[8] = 1, byte(width), byte(at)
	} else {
		b[6], b[10] = byte(at), byte(width)
	}
	return b
}

// TestDebugUnit wants the references of one entry.
func TestDebugUnit(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		b := debugUnit(version, 8)
		a := &Area{Kind: DebugInfo, Size: uint64(len(b)), Bases: []uint64{0x1000, 0x1000, 0, 0, 0x2000, 0, 0, 0}}
		head, at := 11, 6
		if version == 5 {
			head, at = 12, 8
		}
		abbrevs := uint64(b[at])
		wantSites(t, find(t, a, b, 0x1000), []Site{
			{At: at, Class: firstTableClass + infoAbbrev, Base: infoAbbrev, Target: 0x1000 + abbrevs},
			{At: head + 1, Form: Abs64, Class: firstTableClass + infoAddress, Base: FromZero},
			{At: head + 9, Class: firstTableClass + infoUnit, Base: FromUnit, Origin: 0x1000, Target: 0x1001},
			{At: head + 21, Form: Abs64, Class: firstTableClass + infoPlaced, Base: FromZero},
			{At: head + 29, Class: firstTableClass + infoLine, Base: infoLine, Target: 0x2009},
		})
	}
}

// TestDebugInfoInParts wants a reference to be found once, in whatever parts an
// area is read.
func TestDebugInfoInParts(t *testing.T) {
	unit := debugUnit(5, 4)
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		for range rapid.IntRange(1, 80).Draw(t, "units") {
			next := bytes.Clone(unit)
			next[8] = unit[8] // all have the abbreviations of the first
			b = append(b, next...)
		}
		flips := rapid.SliceOfN(rapid.IntRange(len(unit), max(len(unit)+1, len(b)-1)), 0, 3).Draw(t, "flips")
		for _, i := range flips {
			if i < len(b) {
				b[i] ^= 1
			}
		}
		a := &Area{Kind: DebugInfo, Size: uint64(len(b)), Bases: []uint64{0x1000, 0x1000, 0, 0, 0x2000, 0, 0, 0}}
		records := 1 << 16
		r, err := NewReader(a, 0, 0x1000, &records, readOf(b))
		if err != nil {
			t.Fatal(err)
		}
		whole := r.Find(nil, b, 0, len(b), 0, 0x1000)
		var parts []Site
		for from := 0; from < len(b); {
			to := min(len(b), from+rapid.IntRange(1, 1500).Draw(t, "part"))
			start := rapid.IntRange(0, from).Draw(t, "window")
			for _, s := range r.Find(nil, b[start:], from-start, to-start, uint64(start), 0x1000+uint64(start)) {
				s.At += start
				parts = append(parts, s)
			}
			from = to
		}
		if !slices.Equal(parts, whole) {
			t.Fatalf("%d references in parts, %d in all", len(parts), len(whole))
		}
	})
}

// TestHostileDebugInfo wants claims to end what is read, and records to bound
// it. What cannot be read is an error.
func TestHostileDebugInfo(t *testing.T) {
	good := debugUnit(5, 8)
	for name, edit := range map[string]func(b []byte){
		"64 bits":          func(b []byte) { copy(b, "\xff\xff\xff\xff") },
		"too long":         func(b []byte) { b[1] = 1 },
		"too short":        func(b []byte) { b[0] = 3 },
		"unknown version":  func(b []byte) { b[4] = 9 },
		"unknown kind":     func(b []byte) { b[6] = 7 },
		"odd addresses":    func(b []byte) { b[7] = 3 },
		"no abbreviations": func(b []byte) { b[8] = 0xff },
	} {
		b := bytes.Clone(good)
		edit(b)
		a := &Area{Kind: DebugInfo, Size: uint64(len(b)), Bases: []uint64{0x1000, 0x1000, 0, 0, 0x2000, 0, 0, 0}}
		records := 100
		r, err := NewReader(a, 0, 0x1000, &records, readOf(b))
		if err != nil {
			t.Fatal(err)
		}
		if sites := r.Find(nil, b, 0, len(b), 0, 0x1000); len(sites) > 1 {
			t.Errorf("%s: got %+v", name, sites)
		}
	}
	many := bytes.Repeat(good, 100)
	a := &Area{Kind: DebugInfo, Size: uint64(len(many)), Bases: make([]uint64, infoBases)}
	records := 200
	r, err := newDebugInfo(a, 0, &records, readOf(many))
	if err != nil || len(r.units) > 200/recordsOfUnit {
		t.Errorf("%d units of 200 records: %v", len(r.units), err)
	}
	broken := errors.New("broken disk")
	if _, err := newDebugInfo(a, 0, &records, func([]byte, uint64) error { return broken }); records > 0 && !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if _, err := NewReader(&Area{Kind: DebugInfo}, 0, 0, &records, nil); err == nil {
		t.Error("an area without bases is taken")
	}
}
