package container

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apple "github.com/treegraft-dev/treegraft/internal/macho"
)

// goProgram builds a small program for a system and a machine, such as
// "linux/amd64".
func goProgram(t testing.TB, system, flags string) []byte {
	t.Helper()
	dir := t.TempDir()
	source := "package main\nimport \"os\"\nfunc main() { os.Stdout.WriteString(os.Args[0]) }\n"
	for name, content := range map[string]string{"go.mod": "module example.com/small\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goos, arch, _ := strings.Cut(system, "/")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "small", "-ldflags="+flags)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "small"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// zlibbed compresses as Go's linker does.
func zlibbed(t testing.TB, content []byte) []byte {
	t.Helper()
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
	return packed.Bytes()
}

// headed is a compressed section that says what it is by its first bytes.
func headed(t testing.TB, content []byte) []byte {
	t.Helper()
	return append(binary.BigEndian.AppendUint64([]byte("ZLIB"), uint64(len(content))), zlibbed(t, content)...)
}

// packedPE returns a program for Windows of compressed sections, each of which
// is filled up to 512 bytes.
func packedPE(t testing.TB, sections ...[]byte) []byte {
	t.Helper()
	le := binary.LittleEndian
	const stub, optional = 128, 16
	head := append([]byte(peMagic), make([]byte, stub-2)...)
	le.PutUint32(head[60:], stub)
	head = append(le.AppendUint16(append(head, "PE\x00\x00\x64\x86"...), uint16(len(sections))), make([]byte, 12)...)
	head = append(le.AppendUint16(head, optional), make([]byte, 2+optional)...)
	body := []byte{}
	for _, content := range sections {
		at := 4096 + len(body)
		packed := headed(t, content)
		body = append(append(body, packed...), make([]byte, -len(packed)&511)...)
		row := le.AppendUint32(make([]byte, 8), uint32(len(packed)))
		row = le.AppendUint32(le.AppendUint32(le.AppendUint32(row, 0), uint32(4096+len(body)-at)), uint32(at))
		head = append(head, append(row, make([]byte, 16)...)...)
	}
	return append(append(head, make([]byte, 4096-len(head))...), body...)
}

// packedMachO returns a program for macOS of compressed sections.
func packedMachO(t testing.TB, sections ...[]byte) []byte {
	t.Helper()
	le := binary.LittleEndian
	const header, segment, row = 32, 72, 80
	size := segment + row*len(sections)
	var head []byte
	for _, v := range []int{0, 0x0100000c, 0, 2, 2, 8 + size, 0, 0, 0x1b, 8, 0x19, size} { // an empty command first
		head = le.AppendUint32(head, uint32(v))
	}
	copy(head, apple.Magic)
	head = append(head, make([]byte, segment-8)...)
	head[len(head)-8] = byte(len(sections))
	body := []byte{}
	for _, content := range sections {
		packed := headed(t, content)
		head = le.AppendUint64(append(head, make([]byte, 40)...), uint64(len(packed)))
		head = append(le.AppendUint32(head, uint32(header+8+size+len(body))), make([]byte, row-52)...)
		body = append(body, packed...)
	}
	return append(head, body...)
}

// universal joins programs for macOS.
func universal(programs ...[]byte) []byte {
	be := binary.BigEndian
	file := be.AppendUint32([]byte(apple.FatMagic), uint32(len(programs)))
	at := 4096
	for _, p := range programs {
		for _, v := range []int{0x0100000c, 0, at, len(p), 12} {
			file = be.AppendUint32(file, uint32(v))
		}
		at += (len(p) + 4095) &^ 4095
	}
	for _, p := range programs {
		file = append(append(file, make([]byte, -len(file)&4095)...), p...)
	}
	return file
}

// TestPackedSections wants files that have no names of sections to be read.
func TestPackedSections(t *testing.T) {
	one, two := text(5, 100_000), text(6, 70_000)
	for name, file := range map[string][]byte{
		"ELF with 64 bits": packedELF(t, true, one, two),
		"ELF with 32 bits": packedELF(t, false, one, two),
		"PE":               packedPE(t, one, two),
		"Mach-O":           packedMachO(t, one, two),
		"universal":        universal(packedMachO(t, one), packedMachO(t, two)),
	} {
		if !Known(bytes.NewReader(file), int64(len(file))) {
			t.Errorf("%s: not known", name)
		}
		form := wantRoundTrip(t, file)
		if !bytes.Contains(form, one) || !bytes.Contains(form, two) || len(form) > 180_000 {
			t.Errorf("%s: the form of %d bytes has not both sections", name, len(form))
		}
	}
}

// section is one of a program.
type section struct {
	name    string
	content []byte // as it is in the file
}

// sectionsOf returns all sections of a program that have content.
func sectionsOf(t testing.TB, file []byte) (list []section) {
	t.Helper()
	r := bytes.NewReader(file)
	add := func(name string, at, size uint64) { list = append(list, section{name, file[at:][:size]}) }
	if f, err := elf.NewFile(r); err == nil {
		for _, s := range f.Sections {
			if s.Type != elf.SHT_NOBITS {
				add(s.Name, s.Offset, s.FileSize)
			}
		}
	} else if f, err := pe.NewFile(r); err == nil {
		for _, s := range f.Sections {
			add(s.Name, uint64(s.Offset), uint64(min(s.Size, s.VirtualSize)))
		}
	} else if f, err := macho.NewFile(r); err == nil {
		for _, s := range f.Sections {
			if s.Offset > 0 {
				add(s.Name, uint64(s.Offset), s.Size)
			}
		}
	} else {
		t.Fatalf("no program: %v", err)
	}
	return list
}

// debugSections returns the content of the debug sections of a program, and
// how many bytes they have there.
func debugSections(t testing.TB, file []byte) (content [][]byte, packed int) {
	t.Helper()
	for _, s := range sectionsOf(t, file) {
		if !strings.HasPrefix(strings.TrimLeft(s.name, "._z"), "debug_") {
			continue
		}
		b := s.content
		for _, head := range []int{12, 24} { // "ZLIB" and a size, or an Elf64_Chdr; an Elf32_Chdr has 12 bytes too
			r, err := zlib.NewReader(bytes.NewReader(b[min(head, len(b)):]))
			if err != nil {
				continue
			}
			if b, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
			break
		}
		content = append(content, b)
		packed += len(s.content)
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
	if len(sections) < 5 || len(form) <= len(file) || len(form) > least+least/1000 {
		t.Errorf("the form of %d sections has %d bytes, want hardly more than %d", len(sections), len(form), least)
	}
}

// TestSections wants Go's debug sections to be unpacked, whose compressor is
// predicted without a fault.
func TestSections(t *testing.T) {
	for _, system := range []string{"linux/amd64", "linux/arm64", "linux/386", "windows/amd64", "windows/386", "darwin/amd64", "darwin/arm64"} {
		t.Run(system, func(t *testing.T) { wantSections(t, goProgram(t, system, "")) })
	}
}

// TestPlainPrograms wants programs without compressed sections, and what only
// begins like one, to have no form.
func TestPlainPrograms(t *testing.T) {
	zeros := strings.Repeat("\x00", 2000)
	edited := func(file []byte, at int, b ...byte) []byte {
		copy(file[at:], b)
		return file
	}
	content := text(5, 1000)
	for name, file := range map[string][]byte{
		"not compressed":       goProgram(t, "linux/amd64", "-compressdwarf=false"),
		"not compressed PE":    goProgram(t, "windows/amd64", "-compressdwarf=false"),
		"not compressed Mach":  goProgram(t, "darwin/arm64", "-compressdwarf=false"),
		"no sections":          []byte(elfMagic + "\x02\x01\x01" + zeros),
		"big-endian":           []byte(elfMagic + "\x02\x02\x01" + zeros),
		"short":                []byte(elfMagic + "\x02\x01"),
		"short PE":             []byte(peMagic),
		"no PE":                []byte(peMagic + zeros),
		"PE out of place":      edited(packedPE(t, content), 60, 0xff, 0xff, 0xff, 0xff),
		"PE of no sections":    edited(packedPE(t, content), 128+6, 0),
		"PE at the end":        packedPE(t, content)[:128+24],
		"short Mach":           []byte(apple.Magic),
		"Mach of no commands":  []byte(apple.Magic + zeros),
		"many commands":        edited(packedMachO(t, content), 20, 1, 0, 0x10),
		"commands beyond":      edited(packedMachO(t, content), 20, 0, 0, 1),
		"command of no size":   edited(packedMachO(t, content), 36, 0),
		"command beyond":       edited(packedMachO(t, content), 44, 0xff, 0xff),
		"section beyond":       edited(packedMachO(t, content), 112+40, 0, 0, 1),
		"section of no size":   edited(packedMachO(t, content), 112+40, 0, 0),
		"huge section":         edited(packedMachO(t, content), 112+47, 0x80),
		"universal of nothing": []byte(apple.FatMagic + "\x00\x00\x00\x00" + zeros),
		"program beyond":       edited(universal(packedMachO(t, content)), 8+12, 0xff),
		"Java":                 []byte(apple.FatMagic + "\x00\x00\x00\x41" + zeros),
	} {
		if Known(bytes.NewReader(file), int64(len(file))) {
			t.Errorf("%s: is known", name)
		}
		if form, err := unpack(t, file); !errors.Is(err, ErrPlain) {
			t.Errorf("%s: got a form of %d bytes and %v, want ErrPlain", name, len(form), err)
		}
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
	if err := u.run((*unpacker).sections); err != nil && !errors.Is(err, ErrPlain) {
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
