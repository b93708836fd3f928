package container

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goProgram builds a small program for Linux.
func goProgram(t testing.TB, arch, flags string) []byte {
	t.Helper()
	dir := t.TempDir()
	source := "package main\nimport \"os\"\nfunc main() { os.Stdout.WriteString(os.Args[0]) }\n"
	for name, content := range map[string]string{"go.mod": "module example.com/small\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "small", "-ldflags="+flags)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "small"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// packedELF returns an ELF file of compressed sections, with numbers of 64 bits
// or of 32.
func packedELF(t testing.TB, wide bool, sections ...[]byte) []byte {
	t.Helper()
	le := binary.LittleEndian
	number := func(b []byte, n int) []byte {
		if wide {
			return le.AppendUint64(b, uint64(n))
		}
		return le.AppendUint32(b, uint32(n))
	}
	file := append([]byte(elfMagic+"\x01\x01\x01"), make([]byte, 57)...)
	var table []byte
	for _, content := range sections {
		at := len(file)
		file = le.AppendUint32(file, 1)
		if wide {
			file = le.AppendUint32(file, 0)
		}
		file = number(number(file, len(content)), 1)
		var packed bytes.Buffer
		w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
		if err == nil {
			_, err = w.Write(content)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, packed.Bytes()...)
		row := number(number(le.AppendUint32(make([]byte, 4), 1), 1<<11), 0) // name, type, flags, address
		row = le.AppendUint64(number(number(row, at), len(file)-at), 0)
		table = number(number(append(table, row...), 1), 0)
	}
	if wide {
		file[4] = 2
		le.PutUint64(file[40:], uint64(len(file)))
		file[58], file[60] = 64, byte(len(sections))
	} else {
		le.PutUint32(file[32:], uint32(len(file)))
		file[46], file[48] = 40, byte(len(sections))
	}
	return append(file, table...)
}

// TestPackedELF wants files without names of sections to be read.
func TestPackedELF(t *testing.T) {
	one, two := text(5, 100_000), text(6, 70_000)
	for _, wide := range []bool{true, false} {
		form := wantRoundTrip(t, packedELF(t, wide, one, two))
		if !bytes.Contains(form, one) || !bytes.Contains(form, two) || len(form) > 170_500 {
			t.Errorf("the form of %d bytes has not both sections", len(form))
		}
	}
}

// debugSections returns the content of the debug sections of an ELF file, and
// how many bytes they have there.
func debugSections(t testing.TB, file []byte) (content [][]byte, packed int) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") && !strings.HasPrefix(s.Name, ".zdebug_") {
			continue
		}
		var r io.Reader = s.Open()
		if raw := file[s.Offset:][:s.FileSize]; string(raw[:4]) == "ZLIB" {
			if r, err = zlib.NewReader(bytes.NewReader(raw[12:])); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, b)
		packed += int(s.FileSize)
	}
	return content, packed
}

// wantSections wants a form that holds all debug sections in one piece each,
// and little else beside the file.
func wantSections(t *testing.T, file []byte) {
	t.Helper()
	form := wantRoundTrip(t, file)
	sections, packed := debugSections(t, file)
	least := len(file) - packed
	for _, s := range sections {
		if !bytes.Contains(form, s) {
			t.Errorf("the form has no section of %d bytes in one piece", len(s))
		}
		least += len(s)
	}
	if len(sections) < 5 || len(form) > least+least/1000 {
		t.Errorf("the form of %d sections has %d bytes, want hardly more than %d", len(sections), len(form), least)
	}
}

// TestELF wants Go's debug sections to be unpacked, whose compressor is
// predicted without a fault.
func TestELF(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "386"} {
		t.Run(arch, func(t *testing.T) { wantSections(t, goProgram(t, arch, "")) })
	}
	for name, file := range map[string][]byte{
		"not compressed": goProgram(t, "amd64", "-compressdwarf=false"),
		"no sections":    []byte(elfMagic + "\x02\x01\x01" + strings.Repeat("\x00", 2000)),
		"big-endian":     []byte(elfMagic + "\x02\x02\x01" + strings.Repeat("\x00", 2000)),
		"short":          []byte(elfMagic + "\x02\x01"),
	} {
		if form, err := unpack(t, file); !errors.Is(err, ErrPlain) {
			t.Errorf("%s: got a form of %d bytes and %v, want ErrPlain", name, len(form), err)
		}
	}
}

// TestObjcopy wants the sections of binutils to be unpacked, in both formats.
func TestObjcopy(t *testing.T) {
	file := goProgram(t, "amd64", "-compressdwarf=false")
	for _, format := range []string{"zlib-gabi", "zlib-gnu"} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "small")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			command(t, nil, "objcopy", "--compress-debug-sections="+format, path)
			packed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			wantSections(t, packed)
		})
	}
}

// TestBrokenELF wants a section that is not what it says to stay as it is, and
// the others to be unpacked.
func TestBrokenELF(t *testing.T) {
	file := goProgram(t, "amd64", "")
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	whole := wantRoundTrip(t, file)
	for name, edit := range map[string]func(file []byte, s *elf.Section){
		"no zlib":      func(b []byte, s *elf.Section) { b[s.Offset+24] ^= 1 },
		"other kind":   func(b []byte, s *elf.Section) { b[s.Offset] = 2 },
		"cut off":      func(b []byte, s *elf.Section) { b[s.Offset+26] |= 6 },
		"wrong sum":    func(b []byte, s *elf.Section) { b[s.Offset+s.FileSize-1] ^= 1 },
		"out of place": func(b []byte, s *elf.Section) { binary.LittleEndian.PutUint64(b[sectionHeader(b, s)+24:], 1<<63) },
		"too long":     func(b []byte, s *elf.Section) { binary.LittleEndian.PutUint64(b[sectionHeader(b, s)+32:], 1<<40) },
	} {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Clone(file)
			edit(broken, f.Section(".debug_info"))
			form := wantRoundTrip(t, broken)
			if name != "wrong sum" && len(form) >= len(whole) {
				t.Errorf("the form has %d bytes, want fewer than the %d of the whole file", len(form), len(whole))
			}
			if len(form) <= len(broken) {
				t.Errorf("the form has %d bytes, want more than the file's %d", len(form), len(broken))
			}
		})
	}
}

// TestSectionsOnce wants sections that overlap to be tried once: a file of many
// must not take more than it is long.
func TestSectionsOnce(t *testing.T) {
	content := noise(8, 1<<20)
	const n = 2000
	file := packedELF(t, true, content)
	at := int(binary.LittleEndian.Uint64(file[40:])) // of the table
	row := bytes.Clone(file[at:])
	file[at-1] ^= 1 // the sum is wrong
	// The last block says that another follows, so the stream has no end.
	broken := bytes.Clone(file[:at])
	binary.LittleEndian.PutUint16(broken[60:], n)
	broken = append(broken[:at-9], make([]byte, 9)...)
	for range n {
		broken = append(broken, row...)
	}
	reads := &countingReader{r: bytes.NewReader(broken)}
	u := &unpacker{ctx: t.Context(), src: reads, size: int64(len(broken)), ledger: newLedger(), out: bufio.NewWriter(io.Discard)}
	if err := u.run((*unpacker).elf); err != nil && !errors.Is(err, ErrPlain) {
		t.Fatal(err)
	}
	if most := int64(5 * len(broken)); reads.n > most {
		t.Errorf("%d bytes are read of a file of %d", reads.n, len(broken))
	}
}

type countingReader struct {
	r io.ReaderAt
	n int64
}

func (c *countingReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.r.ReadAt(b, at)
	c.n += int64(n)
	return n, err
}

// sectionHeader returns where the header of a section is.
func sectionHeader(file []byte, s *elf.Section) int {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], s.Offset)
	binary.LittleEndian.PutUint64(key[8:], s.FileSize)
	return bytes.Index(file, key[:]) - 24
}
