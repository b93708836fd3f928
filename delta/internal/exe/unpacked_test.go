package exe

import (
	"bytes"
	"strings"
	"testing"
)

// TestParseUnpacked wants the layout of an unpacked form to be that of the
// program: debug sections are read as if they had not been compressed, and all
// else is where it was.
func TestParseUnpacked(t *testing.T) {
	for _, system := range [][2]string{{"linux", "amd64"}, {"windows", "amd64"}, {"darwin", "arm64"}} {
		t.Run(system[0], func(t *testing.T) {
			file := build(t, system[0], system[1], "-trimpath")
			form := formOf(t, file)
			open := build(t, system[0], system[1], "-trimpath", "-ldflags=-compressdwarf=false")
			packed, ok1 := Parse(file)
			got, ok2 := Parse(form)
			plain, ok3 := Parse(open)
			if !ok1 || !ok2 || !ok3 {
				t.Fatal("not understood")
			}
			same, debug := 0, 0
			for _, a := range got.Areas {
				b := form[a.Pos:][:a.Size]
				if strings.HasPrefix(a.Name, ".debug_") {
					if want := areaOf(plain, a.Name, a.Size); want == nil || want.Kind != a.Kind || !bytes.Equal(b, open[want.Pos:][:want.Size]) {
						t.Errorf("area %s has other bytes than where it is not compressed: %+v", a.Name, want)
					}
					debug++
					continue
				}
				want := areaOf(packed, a.Name, a.Size)
				if want == nil || !bytes.Equal(b, file[want.Pos:][:want.Size]) {
					t.Errorf("area %s is not that of the file", a.Name)
					continue
				}
				at, ok := Addr(got.Maps, a.Pos)
				if addr, also := Addr(packed.Maps, want.Pos); ok != also || at != addr && addr < Unloaded {
					t.Errorf("area %s is at %#x, want %#x", a.Name, at, addr)
				}
				same++
			}
			if debug < 4 || same < 10 {
				t.Errorf("%d areas of debug sections and %d others, want some", debug, same)
			}
		})
	}
}

func areaOf(l *Layout, name string, size uint64) *Area {
	for i := range l.Areas {
		if l.Areas[i].Name == name && l.Areas[i].Size == size {
			return &l.Areas[i]
		}
	}
	return nil
}

// Names of debug sections for macOS are cut off.
func TestMachODebugName(t *testing.T) {
	for name, want := range map[string]string{
		"__debug_info": ".debug_info", "__zdebug_info": ".debug_info", "__debug_loclists": ".debug_loclists", "__zdebug_loclist": ".debug_loclists",
		"__zdebug_rnglist": ".debug_rnglists", "__zdebug_line_st": ".debug_line_str", "__debug_line_str": ".debug_line_str", "__zdebug_line": ".debug_line",
		"__apple_names": "__apple_names", "__debug_gdb_scri": ".debug_gdb_scri",
	} {
		if got := machoDebugName(name, strings.HasPrefix(name, "__z")); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := machoDebugName("__zdebug_info", false); got != "__zdebug_info" {
		t.Errorf("a section that is still compressed is named %s", got)
	}
}

// Forms of other files, and broken ones, have no parts that a program could be
// read from.
func TestParseBrokenForm(t *testing.T) {
	form := formOf(t, build(t, "linux", "amd64"))
	for _, n := range []int{8, 9, 20, len(form) / 2, len(form) - 1} {
		if l, ok := Parse(form[:n]); ok {
			t.Errorf("the first %d bytes have a layout of %d areas", n, len(l.Areas))
		}
	}
}
