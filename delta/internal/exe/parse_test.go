package exe

import (
	"bytes"
	"debug/gosym"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// build compiles a small program for a system.
func build(t testing.TB, goos, goarch string, flags ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles programs")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"hello\", len(\"world\")) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "program")
	c := exec.Command("go", slices.Concat([]string{"build", "-o", out}, flags, []string{source})...)
	c.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build for %s/%s: %v\n%s", goos, goarch, err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Programs of all formats must be understood, and most of what readers take for
// references in code must point into the program.
func TestParsePrograms(t *testing.T) {
	for _, tt := range []struct {
		goos, goarch string
		kind         Kind
	}{
		{"linux", "amd64", X86}, {"linux", "arm64", ARM64}, {"windows", "amd64", X86}, {"darwin", "arm64", ARM64},
	} {
		t.Run(tt.goos+"-"+tt.goarch, func(t *testing.T) {
			b := build(t, tt.goos, tt.goarch)
			l, ok := Parse(b)
			if !ok {
				t.Fatal("not understood")
			}
			code := false
			for i := range l.Areas {
				a := &l.Areas[i]
				if a.Pos+a.Size > uint64(len(b)) {
					t.Fatalf("area %s ends at %d of %d bytes", a.Name, a.Pos+a.Size, len(b))
				}
				found, inside := count(t, l, a, b[a.Pos:a.Pos+a.Size])
				t.Logf("%s: %d references, %d of them into the program", a.Name, found, inside)
				if a.Kind == tt.kind && found > 1000 {
					code = true
					if inside < found*3/4 {
						t.Errorf("area %s: %d of %d references point into the program", a.Name, inside, found)
					}
				}
			}
			if !code {
				t.Error("no code is found")
			}
		})
	}
}

func count(t *testing.T, l *Layout, a *Area, b []byte) (found, inside int) {
	addr, _ := Addr(l.Maps, a.Pos)
	records := 1 << 20
	r, err := NewReader(a, 0, addr, &records, func(p []byte, pos uint64) error {
		copy(p, b[pos:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Find(nil, b, 0, len(b), 0, addr) {
		found++
		if _, ok := l.place(s.Target); ok {
			inside++
		}
	}
	return found, inside
}

// What the reader of Go's records takes for functions and names must be what
// the standard library finds.
func TestGoFuncs(t *testing.T) {
	for _, system := range [][2]string{{"linux", "amd64"}, {"windows", "amd64"}, {"darwin", "arm64"}} {
		t.Run(system[0], func(t *testing.T) { testGoFuncs(t, build(t, system[0], system[1])) })
	}
}

func testGoFuncs(t *testing.T, b []byte) {
	l, _ := Parse(b)
	areas := map[string]*Area{}
	for i := range l.Areas {
		areas[l.Areas[i].Name] = &l.Areas[i]
	}
	functions, records, links := areas["pclntab functions"], areas["pclntab records"], areas["typelinks"]
	if functions == nil || records == nil || links == nil {
		t.Fatalf("areas %v: want those of pclntab and types", slices.Sorted(maps.Keys(areas)))
	}
	tab := b[bytes.LastIndex(b[:functions.Pos], goMagic):]
	table, err := gosym.NewTable(nil, gosym.NewLineTable(tab, functions.Bases[0]))
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]uint64{}
	for _, fn := range table.Funcs {
		entries[fn.Name] = fn.Entry
	}
	names := map[uint64]string{}
	for name, at := range entries {
		names[at] = name
	}
	if matched := matchRecords(t, l, b, records, names); matched < len(names)*9/10 || len(names) < 500 {
		t.Errorf("%d of %d functions have a record", matched, len(names))
	}
	// Each type is in the part that types are in.
	found, inside := count(t, l, links, b[links.Pos:links.Pos+links.Size])
	if found == 0 || inside < found {
		t.Errorf("%d of %d types are in the program", inside, found)
	}
}

// matchRecords returns how many records name a function, by the name that it has.
func matchRecords(t *testing.T, l *Layout, b []byte, a *Area, names map[uint64]string) (matched int) {
	t.Helper()
	part := b[a.Pos : a.Pos+a.Size]
	records := 1 << 20
	r, err := NewReader(a, 0, 0, &records, func(p []byte, pos uint64) error {
		copy(p, part[pos:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, s := range r.Find(nil, part, 0, len(part), 0, 0) {
		switch s.Base {
		case goText:
			if name = names[s.Target]; name != "" {
				matched++
			}
		case goNames:
			pos, ok := l.place(s.Target)
			if end := bytes.IndexByte(b[min(pos, uint64(len(b))):], 0); name != "" && (!ok || string(b[pos:pos+uint64(end)]) != name) {
				t.Errorf("name of %s is not where its record says", name)
			}
		}
	}
	return matched
}

// Tables of Go stand in the middle of what else is read as pointers.
func TestCut(t *testing.T) {
	l := &Layout{Areas: []Area{pointers("before", 0, 64, 8), pointers("data", 64, 800, 8), {Name: "code", Pos: 900, Size: 50, Kind: X86}}}
	l.cut(100, 300)
	l.cut(900, 920)
	want := []Area{pointers("before", 0, 64, 8), pointers("data", 64, 36, 8), pointers("data behind Go's tables", 304, 560, 8),
		{Name: "code behind Go's tables", Pos: 920, Size: 30, Kind: X86}}
	if diff := cmp.Diff(want, l.Areas); diff != "" {
		t.Errorf("areas (-want +got):\n%s", diff)
	}
}

// Broken files must not break the parser.
func FuzzParse(f *testing.F) {
	exe, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:min(len(b), 4096)])
	f.Add([]byte("MZ"))
	small := smallELF(f, ".debug_info", string(debugUnit(5, 8)), ".debug_abbrev", "\x01\x11\x00\x00\x00\x00", ".debug_addr", string(make([]byte, 32)))
	f.Add(small)
	f.Add(formOf(f, small))
	for _, small := range [][]byte{
		smallPE(f, ".zdebug_info", string(debugUnit(5, 8)), ".zdebug_abbrev", "\x01\x11\x00\x00\x00\x00", ".debug_line", string(lineAddress(1<<32))),
		smallMachO(f, "__zdebug_info", string(debugUnit(5, 8)), "__zdebug_abbrev", "\x01\x11\x00\x00\x00\x00", "__debug_line", string(lineAddress(1<<32))),
	} {
		f.Add(small)
		f.Add(formOf(f, small))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _ := Parse(b)
		end := uint64(0)
		if l != nil {
			for _, a := range l.Areas {
				if a.Pos < end {
					t.Fatalf("area %s begins before %d", a.Name, end)
				}
				end = a.Pos + a.Size
			}
		}
	})
}
