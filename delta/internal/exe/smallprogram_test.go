package exe

import (
	"bytes"
	"compress/zlib"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// headed compresses a section as Go's linker does.
func headed(t testing.TB, content string) []byte {
	t.Helper()
	packed := bytes.NewBuffer(binary.BigEndian.AppendUint64([]byte("ZLIB"), uint64(len(content))))
	w := zlib.NewWriter(packed)
	_, err := w.Write([]byte(content))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func written(t testing.TB, parts ...any) []byte {
	t.Helper()
	var file bytes.Buffer
	for _, part := range parts {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

// smallPE is a program for Windows of debug sections, names and contents in
// turns. Those named .zdebug_ are compressed. Names are in the string table.
func smallPE(t testing.TB, sections ...string) []byte {
	t.Helper()
	const start, page, base = 2048, 0x1000, 1 << 32
	var body, names bytes.Buffer
	table := make([]pe.SectionHeader32, 0, len(sections)/2)
	for i := 0; i < len(sections); i += 2 {
		content := []byte(sections[i+1])
		if strings.HasPrefix(sections[i], ".z") {
			content = headed(t, sections[i+1])
		}
		s := pe.SectionHeader32{VirtualSize: uint32(len(content)), VirtualAddress: uint32(i/2+1) * page, PointerToRawData: uint32(start + body.Len())}
		copy(s.Name[:], fmt.Sprintf("/%d", 4+names.Len()))
		names.WriteString(sections[i] + "\x00")
		body.Write(content)
		body.Write(make([]byte, -len(content)&511))
		s.SizeOfRawData = uint32(start+body.Len()) - s.PointerToRawData
		table = append(table, s)
	}
	stub := make([]byte, 64)
	copy(stub, "MZ")
	stub[60] = 64
	optional := pe.OptionalHeader64{Magic: 0x20b, ImageBase: base, NumberOfRvaAndSizes: 16}
	head := written(t, stub, []byte("PE\x00\x00"), &pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: uint16(len(table)),
		PointerToSymbolTable: uint32(start + body.Len()), SizeOfOptionalHeader: uint16(binary.Size(optional))}, &optional, table)
	return written(t, append(head, make([]byte, start-len(head))...), body.Bytes(), uint32(4+names.Len()), names.Bytes())
}

// smallMachO is the same for macOS, without a symbol. Names begin with two
// underscores.
func smallMachO(t testing.TB, sections ...string) []byte {
	t.Helper()
	n := uint32(len(sections) / 2)
	segment := macho.Segment64{Cmd: macho.LoadCmdSegment64, Len: 72 + 80*n, Nsect: n, Addr: 1 << 32}
	copy(segment.Name[:], debugSegment)
	start := 32 + segment.Len
	var body bytes.Buffer
	var table []macho.Section64
	for i := 0; i < len(sections); i += 2 {
		content := []byte(sections[i+1])
		if strings.HasPrefix(sections[i], "__z") {
			content = headed(t, sections[i+1])
		}
		s := macho.Section64{Size: uint64(len(content)), Offset: start + uint32(body.Len())}
		copy(s.Name[:], sections[i])
		copy(s.Seg[:], debugSegment)
		table = append(table, s)
		body.Write(content)
	}
	segment.Offset, segment.Filesz = uint64(start), uint64(body.Len())
	head := macho.FileHeader{Magic: macho.Magic64, Cpu: macho.CpuArm64, Type: macho.TypeExec, Ncmd: 1, Cmdsz: segment.Len}
	return written(t, &head, uint32(0), &segment, table, body.Bytes())
}

// TestSmallPrograms wants debug sections of PE and Mach-O to be areas, whether
// they are compressed or not.
func TestSmallPrograms(t *testing.T) {
	unit := debugUnit(4, 8)
	at := int(unit[6])
	abbrevs := string(unit[at:])
	unit[6] = 0 // they are in a section of their own
	sections := func(dot, packed string) []string {
		return []string{packed + "debug_abbrev", abbrevs, packed + "debug_info", string(unit), packed + "debug_line", string(lineAddress(0x401000)),
			dot + "debug_frame", string(frames()), packed + "debug_addr", string(make([]byte, 24)), dot + "debug_gdb_scripts"[:14], "no area"}
	}
	for name, file := range map[string][]byte{
		"PE":                smallPE(t, sections(".", ".")...),
		"compressed PE":     formOf(t, smallPE(t, sections(".", ".z")...)),
		"Mach-O":            smallMachO(t, sections("__", "__")...),
		"compressed Mach-O": formOf(t, smallMachO(t, sections("__", "__z")...)),
	} {
		l, ok := Parse(file)
		if !ok || len(l.Areas) != 4 {
			t.Errorf("%s: %d areas, want 4: %+v", name, len(l.Areas), l.Areas)
			continue
		}
		for i, want := range []struct {
			name string
			kind Kind
		}{{".debug_info", DebugInfo}, {".debug_line", DebugMarked}, {".debug_frame", DebugFrame}, {".debug_addr", Table}} {
			if a := &l.Areas[i]; a.Name != want.name || a.Kind != want.kind {
				t.Errorf("%s: area %s is of kind %d, want %s of kind %d", name, a.Name, a.Kind, want.name, want.kind)
			}
		}
		a := &l.Areas[0]
		if !bytes.Equal(file[a.Pos:][:len(unit)], unit) {
			t.Errorf("%s: area %s is not the unit", name, a.Name)
		}
		if sites := debugSites(t, l, a, file); len(sites) != 5 {
			t.Errorf("%s: %d references, want 5: %+v", name, len(sites), sites)
		}
	}
	// Without a program to unpack it, what is compressed is no area.
	for name, file := range map[string][]byte{"PE": smallPE(t, sections(".", ".z")...), "Mach-O": smallMachO(t, sections("__", "__z")...)} {
		if l, ok := Parse(file); !ok || len(l.Areas) != 1 || l.Areas[0].Name != ".debug_frame" {
			t.Errorf("%s: areas of compressed sections: %+v", name, l.Areas)
		}
	}
}

// TestDebugAddresses wants the addresses in debug sections to be those of the
// loaded program.
func TestDebugAddresses(t *testing.T) {
	for _, tt := range []struct{ goos, goarch, area string }{
		{"windows", "amd64", ".debug_addr"}, {"windows", "amd64", ".debug_line"}, {"windows", "386", ".debug_addr"}, {"darwin", "arm64", ".debug_line"},
	} {
		file := build(t, tt.goos, tt.goarch, "-ldflags=-compressdwarf=false")
		l, _ := Parse(file)
		right, all := 0, 0
		for _, s := range sitesOf(t, l, tt.area, file) {
			if s.Base != FromZero {
				continue
			}
			all++
			for _, a := range l.Areas {
				if addr, ok := Addr(l.Maps, a.Pos); ok && (a.Kind == X86 || a.Kind == ARM64) && s.Target-addr < a.Size {
					right++
				}
			}
		}
		if all < 500 || right < all*8/10 {
			t.Errorf("%s %s: %d of %d addresses are in the code", tt.goos, tt.area, right, all)
		}
	}
}
