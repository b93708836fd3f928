package exe

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/treegraft-dev/treegraft/container"
)

// TestParseUnpacked wants the layout of an unpacked form to be that of the
// program: each area has the content of its section, and loaded code is where it
// was.
func TestParseUnpacked(t *testing.T) {
	file := build(t, "linux", "amd64")
	var form bytes.Buffer
	if err := container.Unpack(t.Context(), &form, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	plain, ok := Parse(file)
	got, also := Parse(form.Bytes())
	if !ok || !also {
		t.Fatal("not understood")
	}
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	packed, same := 0, 0
	for _, a := range got.Areas {
		b := form.Bytes()[a.Pos:][:a.Size]
		if s := f.Section(a.Name); s != nil {
			want, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(want, b) {
				t.Errorf("area %s of %d bytes is not in its section of %d", a.Name, len(b), len(want))
			}
			if s.Flags&elf.SHF_COMPRESSED != 0 {
				packed++
			}
		}
		for _, p := range plain.Areas {
			if p.Name != a.Name || p.Size != a.Size {
				continue
			}
			at, ok := Addr(got.Maps, a.Pos)
			want, _ := Addr(plain.Maps, p.Pos)
			if ok && at < Unloaded && (at != want || !bytes.Equal(b, file[p.Pos:][:p.Size])) {
				t.Errorf("area %s is at %#x, want %#x, or has other bytes", a.Name, at, want)
			}
			same++
		}
	}
	if packed == 0 || same < 10 {
		t.Errorf("%d areas of compressed sections and %d others, want some", packed, same)
	}
}

// Forms of other files, and broken ones, have no parts that an ELF file could be
// read from.
func TestParseBrokenForm(t *testing.T) {
	file := build(t, "linux", "amd64")
	var b bytes.Buffer
	if err := container.Unpack(t.Context(), &b, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	form := b.Bytes()
	for _, n := range []int{8, 9, 20, len(form) / 2, len(form) - 1} {
		if l, ok := Parse(form[:n]); ok {
			t.Errorf("the first %d bytes have a layout of %d areas", n, len(l.Areas))
		}
	}
}
