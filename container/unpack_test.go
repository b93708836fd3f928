package container

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// text is content with words that repeat, as programs and pages have.
func text(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var words []string
	for range 600 {
		var w []byte
		for range 2 + r.IntN(9) {
			w = append(w, "etaoinshrdlucmfw"[min(r.IntN(16), r.IntN(16))])
		}
		words = append(words, string(w))
	}
	var b []byte
	for len(b) < size {
		switch r.IntN(40) {
		case 0:
			b = append(b, "\n\t\t"...)
		case 1:
			b = strconv.AppendInt(b, r.Int64N(100000), 10)
		case 2: // something from before, with an edit
			if len(b) > 400 {
				at := r.IntN(len(b) - 300)
				b = append(b, b[at:at+20+r.IntN(280)]...)
			}
		default:
			b = append(append(b, words[min(r.IntN(600), r.IntN(600))]...), ' ')
		}
	}
	return b[:size]
}

func noise(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func unpack(t testing.TB, file []byte) ([]byte, error) {
	t.Helper()
	var form bytes.Buffer
	err := Unpack(t.Context(), &form, bytes.NewReader(file), int64(len(file)))
	return form.Bytes(), err
}

// wantRoundTrip unpacks and repacks, and returns the form.
func wantRoundTrip(t testing.TB, file []byte) []byte {
	t.Helper()
	form, err := unpack(t, file)
	if err != nil {
		t.Fatalf("unpack: %v", err)
	}
	var again bytes.Buffer
	if err := Repack(t.Context(), &again, bytes.NewReader(form)); err != nil {
		t.Fatalf("repack: %v", err)
	}
	if !bytes.Equal(again.Bytes(), file) {
		t.Fatalf("repacked %d bytes differ from the file's %d", again.Len(), len(file))
	}
	return form
}

func gzipped(t testing.TB, level int, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Name = "content"
	for i, part := range parts {
		if i > 0 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// command runs a program on stdin, and skips the test where it is missing.
func command(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// TestGo wants Go's compressor to be predicted without a fault but where it
// is flushed, and its tables at all levels.
func TestGo(t *testing.T) {
	for _, size := range []int{1, 3, 300, 70_000, 1_200_000} {
		content := text(1, size)
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			if size > segmentContent && level%3 != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d bytes level %d", size, level), func(t *testing.T) {
				form := wantRoundTrip(t, gzipped(t, level, content))
				if extra := len(form) - size; extra > 64+size/10_000 {
					t.Errorf("form is %d bytes larger than the content", extra)
				}
			})
		}
	}
}

// TestGzip does the same with GNU gzip, whose matcher is zlib's.
func TestGzip(t *testing.T) {
	for _, size := range []int{10, 20_000, 1_200_000} {
		content := text(2, size)
		for level := 1; level <= 9; level++ {
			if size > segmentContent && level%3 != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d bytes level %d", size, level), func(t *testing.T) {
				form := wantRoundTrip(t, command(t, content, "gzip", fmt.Sprintf("-%dn", level)))
				if extra := len(form) - size; extra > 64+size/1000 {
					t.Errorf("form is %d bytes larger than the content", extra)
				}
			})
		}
	}
}

// TestPython runs zlib itself, with the parameters that change its tokens.
func TestPython(t *testing.T) {
	const script = `
import sys, zlib
level, wbits, mem, strategy = map(int, sys.argv[1:])
z = zlib.compressobj(level, zlib.DEFLATED, wbits, mem, strategy)
sys.stdout.buffer.write(z.compress(sys.stdin.buffer.read()) + z.flush())`
	content := append(text(3, 300_000), noise(3, 70_000)...)
	for _, args := range []string{"6 31 8 0", "9 31 9 0", "6 31 1 0", "9 25 8 0", "6 31 8 1", "6 31 8 2", "6 31 8 3", "6 31 8 4", "0 31 8 0"} {
		t.Run(args, func(t *testing.T) {
			wantRoundTrip(t, command(t, content, "python3", append([]string{"-c", script}, strings.Fields(args)...)...))
		})
	}
}

// TestZip runs the zip command over a small tree.
func TestZip(t *testing.T) {
	for _, args := range []string{"-q -r", "-q -9 -r", "-q -1 -r", "-q -0 -r", "-q -fd -r", "-q -P secret -r"} {
		t.Run(args, func(t *testing.T) {
			folder := t.TempDir()
			for i := range 5 {
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), text(uint64(i), 1<<(4*i)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(t.TempDir(), "a.zip")
			command(t, nil, "zip", append(strings.Fields(args), file, folder)...)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			form, err := unpack(t, b)
			if strings.Contains(args, "-0") || strings.Contains(args, "-P") {
				if !errors.Is(err, ErrPlain) {
					t.Fatalf("got %v, want %v", err, ErrPlain)
				}
				return
			}
			wantRoundTrip(t, b)
			if most := 1<<16 + 1<<12 + 1<<8 + 1<<4 + 1 + 5*512; len(form) > most {
				t.Errorf("form has %d bytes, want at most %d", len(form), most)
			}
		})
	}
}

func zipped(t testing.TB, names []string, content func(i int) []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if i%5 == 4 {
			h.Method = zip.Store
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment("a comment"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEditIsSmall wants an edit of a member to change little of the form: its
// own bytes, sizes and checksum, but not what the directory says of others.
func TestEditIsSmall(t *testing.T) {
	names := strings.Fields("a/1 a/2 a/3 a/4 a/5 b/6 b/7 b/8 b/9")
	content := func(i int) []byte { return text(uint64(i), 5000*i) }
	old := wantRoundTrip(t, zipped(t, names, content))
	now := wantRoundTrip(t, zipped(t, names, func(i int) []byte {
		if i == 2 {
			return append(content(i), "more, and more"...)
		}
		return content(i)
	}))
	head := 0
	for head < len(old) && old[head] == now[head] {
		head++
	}
	tail := 0
	for tail < len(old)-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	middle := len(now) - head - tail
	if middle > 10_100 { // from the member's sizes to its end
		t.Errorf("an edit of 14 bytes changed %d bytes of the form", middle)
	}
	if content := len(old) - head - tail; content > 10_100 {
		t.Errorf("an edit of 14 bytes changed %d bytes of the old form", content)
	}
}

func TestPNG(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 300, 200))
	for i := range 300 * 200 {
		m.Set(i%300, i/300, color.NRGBA{uint8(i), uint8(i / 300), uint8(i * i >> 8), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	if form := wantRoundTrip(t, file); len(form) < 300*200*3 {
		t.Errorf("the form has only %d bytes", len(form))
	}
	at := bytes.Index(file, []byte("IDAT"))
	broken := bytes.Clone(file)
	broken[at+30] ^= 1 // the chunk's checksum is wrong
	if _, err := unpack(t, broken); !errors.Is(err, ErrPlain) {
		t.Errorf("broken chunk: got %v, want %v", err, ErrPlain)
	}
	wantRoundTrip(t, file[:len(file)-5]) // the end is missing
	wantRoundTrip(t, rechunk(file, 100))
	wantRoundTrip(t, rechunk(file, 1))
}

// rechunk cuts the IDAT chunks of a PNG file anew.
func rechunk(file []byte, size int) []byte {
	at := bytes.Index(file, []byte("IDAT")) - 4
	var data []byte
	out := bytes.Clone(file[:at])
	for string(file[at+4:at+8]) == "IDAT" {
		n := int(file[at])<<24 | int(file[at+1])<<16 | int(file[at+2])<<8 | int(file[at+3])
		data = append(data, file[at+8:at+8+n]...)
		at += 12 + n
	}
	for len(data) > 0 {
		n := min(size, len(data))
		chunk := append([]byte("IDAT"), data[:n]...)
		sum := crc32.ChecksumIEEE(chunk)
		out = append(out, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		out = append(out, chunk...)
		out = append(out, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
		data = data[n:]
	}
	return append(out, file[at:]...)
}

// TestOdd has gzip files that are unusual or broken, but come back.
func TestOdd(t *testing.T) {
	content := text(4, 100_000)
	good := gzipped(t, 6, content)
	wrongSum := bytes.Clone(good)
	wrongSum[len(wrongSum)-5] ^= 1
	middle := bytes.Clone(good)
	middle[len(middle)/2] ^= 4
	blank := gzipped(t, 9, make([]byte, 12<<20))
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"several members", bytes.Join([][]byte{good, gzipped(t, 1, content), gzipped(t, 9, nil), good}, nil)},
		{"flushed", gzipped(t, 6, content[:1000], nil, content[1000:1001], content[1001:])},
		{"stored", gzipped(t, 0, content)},
		{"noise", gzipped(t, 6, noise(1, 200_000), content)},
		{"bytes behind", append(bytes.Clone(good), "more"...)},
		{"wrong checksum", wrongSum},
		{"no trailer", good[:len(good)-8]},
		{"cut in a block", gzipped(t, 6, content, content)[:len(good)*3/2]},
		{"a bit flipped", middle},
		{"12 MiB of zeros", blank},
		{"empty", gzipped(t, 6, nil)},
	} {
		t.Run(c.name, func(t *testing.T) { wantRoundTrip(t, c.file) })
	}
}

// TestPlain has files that are left alone.
func TestPlain(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(text(5, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"empty":             "",
		"a byte":            "P",
		"text":              "package container",
		"zlib without name": z.String(),
		"gzip header only":  "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
		"gzip of nothing":   "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x07\x07\x07",
		"gzip name, no end": "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff" + strings.Repeat("x", 100_000),
		"zip start only":    "PK\x03\x04" + strings.Repeat("\x00", 100),
		"png start only":    "\x89PNG\r\n\x1a\n",
		"tail alone":        "PK\x03\x04PK\x05\x06" + strings.Repeat("\xff", 18),
	} {
		if _, err := unpack(t, []byte(file)); !errors.Is(err, ErrPlain) {
			t.Errorf("%s: got %v, want %v", name, err, ErrPlain)
		}
	}
}

// TestErrors wants faults of reading, writing and the context to come back.
func TestErrors(t *testing.T) {
	file := gzipped(t, 6, text(6, 3_000_000))
	failure := errors.New("no")
	if err := Unpack(t.Context(), io.Discard, failingReaderAt{bytes.NewReader(file), 5000, failure}, int64(len(file))); !errors.Is(err, failure) {
		t.Errorf("read: got %v", err)
	}
	if err := Unpack(t.Context(), failingWriter{failure}, bytes.NewReader(file), int64(len(file))); !errors.Is(err, failure) {
		t.Errorf("write: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Unpack(ctx, io.Discard, bytes.NewReader(file), int64(len(file))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: got %v", err)
	}
	form := wantRoundTrip(t, file)
	if err := Repack(ctx, io.Discard, bytes.NewReader(form)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel repack: got %v", err)
	}
	if err := Repack(t.Context(), failingWriter{failure}, bytes.NewReader(form)); !errors.Is(err, failure) {
		t.Errorf("write: got %v", err)
	}
	r := io.MultiReader(bytes.NewReader(form[:5000]), failingReader{failure})
	if err := Repack(t.Context(), io.Discard, r); !errors.Is(err, failure) {
		t.Errorf("read: got %v", err)
	}
}

type failingReaderAt struct {
	io.ReaderAt
	from int64
	err  error
}

func (r failingReaderAt) ReadAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > r.from {
		return 0, r.err
	}
	return r.ReaderAt.ReadAt(b, at)
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestRandom packs random content in random ways.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var content []byte
		for range rapid.IntRange(1, 6).Draw(r, "parts") {
			size := rapid.IntRange(0, 15_000).Draw(r, "size")
			seed := rapid.Uint64Range(0, 9).Draw(r, "seed")
			switch rapid.IntRange(0, 3).Draw(r, "kind") {
			case 0:
				content = append(content, text(seed, size)...)
			case 1:
				content = append(content, noise(seed, size/8)...)
			case 2:
				content = append(content, bytes.Repeat([]byte{byte(seed)}, size)...)
			case 3:
				content = append(content, rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(r, "bytes")...)
			}
		}
		cut := rapid.IntRange(0, len(content)).Draw(r, "flush")
		level := rapid.IntRange(-2, 9).Draw(r, "level")
		wantRoundTrip(t, gzipped(t, level, content[:cut], content[cut:]))
	})
}

// seeds are small files of all kinds.
func seeds(t testing.TB) (files [][]byte) {
	small := text(7, 2000)
	for _, level := range []int{-2, 0, 1, 6} {
		files = append(files, gzipped(t, level, small, small[:100]))
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 20, 20))); err != nil {
		t.Fatal(err)
	}
	return append(files, rechunk(picture.Bytes(), 9), packedELF(t, true, small, small[:100]), packedELF(t, false, small),
		packedPE(t, small, small[:100]), packedMachO(t, small, small[:100]), universal(packedMachO(t, small)),
		zipped(t, strings.Fields("a b c d e f"), func(i int) []byte { return small[:i*10] }))
}

// FuzzUnpack wants a file to be plain, or to come back.
func FuzzUnpack(f *testing.F) {
	for _, file := range seeds(f) {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := unpack(t, file); !errors.Is(err, ErrPlain) {
			wantRoundTrip(t, file)
		}
	})
}
