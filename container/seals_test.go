package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// TestSealedProgram wants the digests in signatures of programs for macOS to be
// left out of the form if they are right, and only then.
func TestSealedProgram(t *testing.T) {
	file := goProgram(t, "darwin/arm64", "")
	find := func(file []byte) []macho.Seal { return macho.Seals(bytes.NewReader(file), int64(len(file))) }
	list := find(file)
	if len(list) != 1 {
		t.Fatalf("%d seals, want one", len(list))
	}
	s := list[0]
	n := int(s.End() - s.At)
	digests := file[s.At:s.End()]
	form := wantRoundTrip(t, file)
	if bytes.Contains(form, digests[:32]) {
		t.Error("the form has a digest that is right")
	}
	wrong := bytes.Clone(file)
	wrong[s.At+40] ^= 1
	if got := wantRoundTrip(t, wrong); len(got) < len(form)+n-16 || !bytes.Contains(got, digests[:32]) {
		t.Errorf("with a wrong digest, the form has %d bytes, want those of %d more", len(got), n)
	}
	both := universal(file, wrong, file)
	if got := wantRoundTrip(t, both); len(find(both)) != 3 || bytes.Count(got, digests[:32]) != 1 || !bytes.Contains(got, digests[n-32:]) {
		t.Errorf("a universal file of %d seals has the first digest %d times in its form, want once", len(find(both)), bytes.Count(got, digests[:32]))
	}
	file2 := goProgram(t, "darwin/arm64", "-compressdwarf=false")
	if _, err := unpack(t, file2); err != ErrPlain || len(find(file2)) != 1 {
		t.Errorf("a sealed program without compressed sections: got %v, want ErrPlain", err)
	}
}

// TestSealMarks wants seals in sections, and in digests of others, to be left
// alone.
func TestSealMarks(t *testing.T) {
	file := goProgram(t, "darwin/arm64", "")
	u := &unpacker{ctx: t.Context(), src: bytes.NewReader(file), size: int64(len(file))}
	s := macho.Seals(u.src, u.size)[0]
	for name, tt := range map[string]struct {
		sections []packedSection
		marks    int
	}{
		"no section":                    {nil, 2},
		"before them":                   {[]packedSection{{10, s.At}}, 2},
		"behind them":                   {[]packedSection{{s.End(), s.End() + 5}}, 2},
		"a section over the start":      {[]packedSection{{s.Start - 5, s.Start + 1}}, 0},
		"a section from the start on":   {[]packedSection{{s.Start, s.Start + 9}}, 2},
		"a section over the digests":    {[]packedSection{{s.At - 9, s.End() + 1}}, 0},
		"a section in the digests":      {[]packedSection{{s.At + 9, s.At + 10}}, 0},
		"a section before, another in":  {[]packedSection{{10, 20}, {s.End() - 1, s.End()}}, 0},
		"a section that has their byte": {[]packedSection{{s.At, s.At + 1}}, 0},
	} {
		if got := u.sealMarks(tt.sections); len(got) != tt.marks || u.err != nil {
			t.Errorf("%s: %d marks, want %d: %v", name, len(got), tt.marks, u.err)
		}
	}
}

// TestRepackDigests wants digests to be computed of what was written.
func TestRepackDigests(t *testing.T) {
	seal := func(size int) string { return string(binary.AppendUvarint([]byte{recordSeal, 2, 9}, uint64(size))) }
	content := text(1, 700)
	plain := string(binary.AppendUvarint([]byte{recordPlain}, 700)) + string(content)
	first, last, inner := sha256.Sum256(content[:512]), sha256.Sum256(content[512:]), sha256.Sum256(content[:512])
	want := bytes.Join([][]byte{content, first[:], last[:], {'x'}, inner[:]}, nil)
	var got bytes.Buffer
	err := Repack(t.Context(), &got, bytes.NewReader(form(seal(700), seal(512), plain, "\x0b", "\x01\x01x", "\x0b", "\x00")))
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got %d bytes and %v, want %d", got.Len(), err, len(want))
	}
}
