package container

import (
	"bytes"
	"testing"
)

// TestParts wants parts to tell where all of a file is in its form.
func TestParts(t *testing.T) {
	sections := [][]byte{text(5, 100_000), text(6, 70_000)}
	file := packedELF(t, true, sections...)
	form := wantRoundTrip(t, file)
	at, packed := int64(0), 0
	for _, p := range Parts(form) {
		if p.File < at || !p.Packed && p.Size != p.Length {
			t.Fatalf("part %+v behind %d", p, at)
		}
		if missing := p.File - at; missing != 0 && missing != 4 {
			t.Errorf("%d bytes are missing before %d, want none, or a checksum", missing, p.File)
		}
		at = p.File + p.Size
		content := form[p.Form:][:p.Length]
		switch {
		case p.Packed && bytes.Equal(content, sections[packed]):
			packed++
		case p.Packed || !bytes.Equal(content, file[p.File:at]):
			t.Errorf("part %+v has other bytes", p)
		}
	}
	if packed != len(sections) || at != int64(len(file)) {
		t.Errorf("%d sections and %d bytes, want %d and %d", packed, at, len(sections), len(file))
	}
}

// TestNoParts wants nothing of other forms, and of broken ones.
func TestNoParts(t *testing.T) {
	good := wantRoundTrip(t, packedELF(t, true, text(5, 1000)))
	for name, b := range map[string][]byte{
		"gzip":        wantRoundTrip(t, gzipped(t, 6, text(1, 1000))),
		"no form":     []byte("\x7fELF"),
		"cut off":     good[:len(good)-1],
		"longer":      append(bytes.Clone(good), 0),
		"huge plain":  form("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x00"),
		"huge stream": form("\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00", "\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00", "\x00"),
		"small pages": form("\x0a\x02\x00\x80\x80\x80\x80\x80\x80\x80\x80\x40", "\x0b", "\x01\x01a", "\x00"),
		"huge side":   form("\x09\x03\xff\xff\xff\x03\x00", "\x00"),
	} {
		if list := Parts(b); list != nil {
			t.Errorf("%s: got %d parts, want none", name, len(list))
		}
	}
}
