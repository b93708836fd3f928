package container

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

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
		file = append(file, zlibbed(t, content)...)
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

// TestObjcopy wants the sections of binutils to be unpacked, in both formats.
func TestObjcopy(t *testing.T) {
	file := goProgram(t, "linux/amd64", "-compressdwarf=false")
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
	file := goProgram(t, "linux/amd64", "")
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

// sectionHeader returns where the header of a section is.
func sectionHeader(file []byte, s *elf.Section) int {
	var key [16]byte
	binary.LittleEndian.PutUint64(key[:], s.Offset)
	binary.LittleEndian.PutUint64(key[8:], s.FileSize)
	return bytes.Index(file, key[:]) - 24
}
