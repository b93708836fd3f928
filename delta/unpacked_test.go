package delta

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// text returns lines with an edit here and there.
func text(lines, edits int) []byte {
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "line %d says %x\n", i, uint32(i)*2654435761)
		if edits > 0 && i%(lines/edits) == 7 {
			fmt.Fprintf(&b, "edited after %d\n", i)
		}
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, 6)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t testing.TB, files ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i, b := range files {
		f, err := w.Create(fmt.Sprintf("file%d", i))
		if err == nil {
			_, err = f.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestContainersAreUnpacked(t *testing.T) {
	notRacing(t)
	for name, tt := range map[string]struct{ old, new []byte }{
		"gzip": {gzipped(t, text(20_000, 0)), gzipped(t, text(20_000, 3))},
		"zip":  {zipped(t, text(9000, 0), text(5000, 0)), zipped(t, text(9000, 2), text(5000, 0))},
	} {
		for _, level := range []Level{Fast, Small} {
			old, new := memBlobs(tt.old), memBlobs(tt.new)
			pack, r := checkRoundTrip(t, old, new, Options{Level: level})
			if r.Blobs[0].Kind != KindUnpacked || len(pack) > 1500 {
				t.Errorf("%s, level %d: kind %d, %d bytes of %d", name, level, r.Blobs[0].Kind, len(pack), len(tt.new))
			}
		}
	}
}

// programs builds two versions of a small program for a system and a machine,
// such as "linux/amd64".
func programs(t *testing.T, system, flags string) (list [][]byte) {
	t.Helper()
	goos, arch, _ := strings.Cut(system, "/")
	for _, body := range []string{`fmt.Println("one")`, `fmt.Println("another", len(os.Args), time.Now())`} {
		dir := t.TempDir()
		source := "package main\nimport (\"fmt\"; \"os\"; \"time\")\nfunc main() { " + body + " }\nvar _ = os.Args\nvar _ time.Time\n"
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", "program", "-ldflags="+flags, "main.go")
		c.Dir = dir
		c.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "program"))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// Programs whose debug sections are compressed must take hardly more than
// others, and references in their forms be found.
func TestCompressedSections(t *testing.T) {
	notRacing(t)
	for _, system := range []string{"linux/amd64", "windows/amd64", "darwin/arm64"} {
		t.Run(system, func(t *testing.T) {
			plain, packed := programs(t, system, "-compressdwarf=false"), programs(t, system, "")
			want, _ := checkRoundTrip(t, memBlobs(plain[0]), memBlobs(plain[1]), Options{})
			got, r := checkRoundTrip(t, memBlobs(packed[0]), memBlobs(packed[1]), Options{})
			if r.Blobs[0].Kind != KindUnpacked || len(got) > len(want)*5/4 {
				t.Errorf("a delta of kind %d takes %d bytes, and %d without compression", r.Blobs[0].Kind, len(got), len(want))
			}
		})
	}
}

// What only looks like a container is treated like any file.
func TestFalseContainers(t *testing.T) {
	broken := func(b []byte) []byte {
		copy(b[len(b)/2:], noise(3, 200))
		return b
	}
	for name, tt := range map[string]struct{ old, new []byte }{
		"magic only":     {append([]byte{0x1f, 0x8b}, noise(1, 5000)...), append([]byte{0x1f, 0x8b}, noise(1, 5000)...)},
		"old is broken":  {broken(gzipped(t, text(2000, 0))), gzipped(t, text(2000, 3))},
		"new is broken":  {gzipped(t, text(2000, 0)), broken(gzipped(t, text(2000, 3)))},
		"old is no file": {nil, gzipped(t, text(2000, 3))},
	} {
		old := memBlobs(tt.old)
		if tt.old == nil {
			old = nil
		}
		if _, r := checkRoundTrip(t, old, memBlobs(tt.new), Options{}); len(r.Blobs) != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestHostileUnpackedFrames(t *testing.T) {
	notRacing(t)
	old, new := gzipped(t, text(3000, 0)), gzipped(t, text(3000, 3))
	pack, _ := writePack(t, memBlobs(old), memBlobs(new), Options{})
	h := readHead(t, pack)
	f := h.Frames[0]
	good := pack[f.Offset : f.Offset+f.Size]
	oldSize, n := binary.Uvarint(good)
	newSize, m := binary.Uvarint(good[n:])
	rest := good[n+m:]
	sizes := func(a, b uint64) []byte {
		return append(binary.AppendUvarint(binary.AppendUvarint(nil, a), b), rest...)
	}
	for name, tt := range map[string]struct{ payload, old []byte }{
		"nothing":           {nil, old},
		"old form shorter":  {sizes(oldSize-1, newSize), old},
		"old form longer":   {sizes(oldSize+1, newSize), old},
		"new form shorter":  {sizes(oldSize, newSize-1), old},
		"new form longer":   {sizes(oldSize, newSize+1), old},
		"huge":              {sizes(1<<63, 1<<63), old},
		"cut":               {good[:len(good)-9], old},
		"old not container": {good, noise(1, 4000)},
		"old another one":   {good, gzipped(t, text(3000, 9))},
		"old cut":           {good, old[:len(old)-20]},
	} {
		h := frameOf(KindUnpacked, tt.payload, tt.old, int64(len(new)))
		h.Frames[0].New = []Ref{memBlob("", new).Ref}
		err := h.Patch(t.Context(), 0, bytes.NewReader(tt.payload), func(int) (File, error) { return memBlob("", tt.old).Open() },
			func(Ref) (Output, error) { return discard{io.Discard}, nil })
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	// An error of the caller comes back as it is.
	err := h.Patch(t.Context(), 0, bytes.NewReader(good), func(int) (File, error) { return memBlob("", old).Open() },
		func(Ref) (Output, error) { return discard{brokenWriter{}}, nil })
	if !errors.Is(err, errTest) {
		t.Errorf("want the error of the output, got %v", err)
	}
}

// A form beyond its memory goes to a file, and reads alike.
func TestFormSpills(t *testing.T) {
	notRacing(t)
	old, new := text(300_000, 0), text(300_000, 3)
	checkRoundTrip(t, memBlobs(gzipped(t, old)), memBlobs(gzipped(t, new)), Options{Level: Fast})
	if len(old) < formMemory {
		t.Errorf("%d bytes do not spill", len(old))
	}
}

func FuzzUnpackedFrame(f *testing.F) {
	old, new := gzipped(f, text(200, 0)), gzipped(f, text(200, 3))
	pack, _ := writePack(f, memBlobs(old), memBlobs(new), Options{})
	head := readHead(f, pack)
	f.Add(pack[head.Frames[0].Offset:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		h := frameOf(KindUnpacked, payload, old, int64(len(new)))
		n := 0
		h.Patch(t.Context(), 0, bytes.NewReader(payload), func(int) (File, error) { return memBlob("", old).Open() },
			func(Ref) (Output, error) { return discard{writerFunc(func(p []byte) { n += len(p) })}, nil })
		if n > len(new) {
			t.Errorf("made %d bytes, want at most %d", n, len(new))
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errTest }
