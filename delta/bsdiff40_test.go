package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func section0(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func needProgram(t *testing.T, name string) {
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

func writeFiles(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func runIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), args[0], args[1:]...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

var bsdiffPairs = map[string]func() (old, new []byte){
	"edited": func() (old, new []byte) { old = program(1, 200_000); return old, edit(1, old, 60) },
	"empty":  func() (old, new []byte) { return nil, []byte("now there is something") },
	"longer": func() (old, new []byte) { old = program(2, 9_000); return old, append(noise(1, 5_000), old...) },
	"wiped":  func() (old, new []byte) { return program(3, 9_000), nil },
}

// A patch of ours, applied by the bspatch program.
func TestBspatchAppliesOurs(t *testing.T) {
	needProgram(t, "bspatch")
	for name, make := range bsdiffPairs {
		old, new := make()
		if len(new) == 0 {
			continue // bspatch itself fails to make empty files in some versions
		}
		var patch bytes.Buffer
		if err := DiffBSDIFF40(t.Context(), &patch, memBlob("old", old), memBlob("new", new)); err != nil {
			t.Fatal(name, err)
		}
		dir := writeFiles(t, map[string][]byte{"old": old, "patch": patch.Bytes()})
		runIn(t, dir, "bspatch", "old", "new", "patch")
		if got, _ := os.ReadFile(filepath.Join(dir, "new")); !bytes.Equal(got, new) {
			t.Errorf("%s: bspatch makes something else", name)
		}
	}
}

// A patch of the bsdiff program, applied by us.
func TestWeApplyBsdiffs(t *testing.T) {
	needProgram(t, "bsdiff")
	for name, make := range bsdiffPairs {
		old, new := make()
		if len(new) == 0 || len(old) == 0 {
			continue // the program cannot map empty files
		}
		dir := writeFiles(t, map[string][]byte{"old": old, "new": new})
		runIn(t, dir, "bsdiff", "old", "new", "patch")
		patch, err := os.ReadFile(filepath.Join(dir, "patch"))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := PatchFile(t.Context(), &got, section0(old), section0(patch)); err != nil {
			t.Fatal(name, err)
		}
		if !bytes.Equal(got.Bytes(), new) {
			t.Errorf("%s: we make something else", name)
		}
	}
}

func TestBSDIFF40BothWays(t *testing.T) {
	for name, make := range bsdiffPairs {
		old, new := make()
		var patch, got bytes.Buffer
		if err := DiffBSDIFF40(t.Context(), &patch, memBlob("old", old), memBlob("new", new)); err != nil {
			t.Fatal(name, err)
		}
		if err := PatchFile(t.Context(), &got, section0(old), section0(patch.Bytes())); err != nil {
			t.Fatal(name, err)
		}
		if !bytes.Equal(got.Bytes(), new) {
			t.Errorf("%s: got something else", name)
		}
	}
}

func TestHostileBSDIFF40(t *testing.T) {
	old := program(1, 5000)
	var patch bytes.Buffer
	if err := DiffBSDIFF40(t.Context(), &patch, memBlob("old", old), memBlob("new", edit(1, old, 9))); err != nil {
		t.Fatal(err)
	}
	header := func(at int, v uint64) []byte {
		b := slices.Clone(patch.Bytes())
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
	const negative = 1 << 63
	for name, b := range map[string][]byte{
		"only magic":       []byte(bsdiffMagic),
		"cut header":       patch.Bytes()[:31],
		"only header":      patch.Bytes()[:32],
		"cut":              patch.Bytes()[:patch.Len()-20],
		"negative control": header(8, negative|5),
		"control too long": header(8, 1<<40),
		"negative diff":    header(16, negative|5),
		"diff too long":    header(16, 1<<62),
		"negative size":    header(24, negative|5),
		"size 2^62":        header(24, 1<<62),
		"one byte more":    header(24, uint64(len(edit(1, old, 9))+1)),
		"smaller":          header(24, 10),
	} {
		n := 0
		w := writerFunc(func(p []byte) { n += len(p) })
		err := PatchFile(t.Context(), w, section0(old), section0(b))
		var format *FormatError
		if !errors.As(err, &format) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: want a format error, got %v", name, err)
		}
		if n > 2*len(old) {
			t.Errorf("%s: %d bytes written", name, n)
		}
	}
}

func TestTriplesStayInside(t *testing.T) {
	for name, v := range map[string][3]uint64{
		"negative add":   {1<<63 | 1, 0, 0},
		"negative copy":  {0, 1<<63 | 1, 0},
		"add too long":   {101, 0, 0},
		"copy too long":  {0, 101, 0},
		"both too long":  {60, 60, 0},
		"overflow":       {1<<63 - 1, 1<<63 - 1, 0},
		"move too far":   {1, 1, 1<<63 - 1},
		"move too back":  {1, 1, 1<<64 - 1},
		"nothing at all": {},
	} {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
		p := &bsdiffReader{control: bytes.NewReader(b)}
		if _, _, _, err := p.triple(100); err == nil && name != "nothing at all" {
			t.Errorf("%s: want an error", name)
		}
	}
	p := &bsdiffReader{control: bytes.NewReader(nil)}
	if _, _, _, err := p.triple(100); err == nil {
		t.Error("empty control: want an error")
	}
}

func TestBSDIFF40RefusesLargeFiles(t *testing.T) {
	large := memBlob("large", nil)
	large.Size = maxBSDIFF40 + 1
	var limit *LimitError
	if err := DiffBSDIFF40(t.Context(), io.Discard, large, memBlob("new", nil)); !errors.As(err, &limit) {
		t.Errorf("want a limit error, got %v", err)
	}
	_, err := WritePack(t.Context(), io.Discard, []Blob{large}, nil, Options{Codec: BSDIFF40})
	if err != nil {
		t.Errorf("an unused old blob: %v", err)
	}
}
