package exe

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/treegraft-dev/treegraft/container"
)

// smallELF is a file of debug sections, each compressed: names and contents in
// turns.
func smallELF(t testing.TB, sections ...string) []byte {
	t.Helper()
	var body, names bytes.Buffer
	const header, row = 64, 64
	table := make([]elf.Section64, 1, len(sections)/2+2)
	names.WriteByte(0)
	add := func(name string, kind elf.SectionType, flags elf.SectionFlag, content []byte) {
		table = append(table, elf.Section64{Name: uint32(names.Len()), Type: uint32(kind), Flags: uint64(flags),
			Off: uint64(header + body.Len()), Size: uint64(len(content))})
		names.WriteString(name + "\x00")
		body.Write(content)
	}
	for i := 0; i < len(sections); i += 2 {
		var packed bytes.Buffer
		head := elf.Chdr64{Type: uint32(elf.COMPRESS_ZLIB), Size: uint64(len(sections[i+1])), Addralign: 1}
		err := binary.Write(&packed, binary.LittleEndian, &head)
		w := zlib.NewWriter(&packed)
		if err == nil {
			_, err = w.Write([]byte(sections[i+1]))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		add(sections[i], elf.SHT_PROGBITS, elf.SHF_COMPRESSED, packed.Bytes())
	}
	add(".shstrtab", elf.SHT_STRTAB, 0, append(names.Bytes(), ".shstrtab\x00"...))
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: uint64(header + body.Len()),
		Ehsize: header, Shentsize: row, Shnum: uint16(len(table)), Shstrndx: uint16(len(table) - 1)}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	var file bytes.Buffer
	for _, part := range []any{&h, body.Bytes(), table} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func formOf(t testing.TB, file []byte) []byte {
	t.Helper()
	var form bytes.Buffer
	if err := container.Unpack(t.Context(), &form, bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	return form.Bytes()
}

// TestSmallForm wants the sections of a form to be areas that have their
// content, of which abbreviations are found too.
func TestSmallForm(t *testing.T) {
	unit := debugUnit(4, 8)
	at := int(unit[6])
	abbrevs := string(unit[at:])
	unit[6] = 0 // they are in a section of their own
	form := formOf(t, smallELF(t, ".debug_info", string(unit), ".debug_abbrev", abbrevs, ".zdebug_line", string(lineAddress(0x401000)),
		".debug_frame", string(frames()), ".debug_addr", string(make([]byte, 24))))
	l, ok := Parse(form)
	if !ok || len(l.Areas) != 4 {
		t.Fatalf("%d areas, want 4: %+v", len(l.Areas), l.Areas)
	}
	a := &l.Areas[0]
	if a.Name != ".debug_info" || !bytes.Equal(form[a.Pos:][:a.Size], unit) {
		t.Fatalf("area %s is not the unit", a.Name)
	}
	if sites := debugSites(t, l, a, form); len(sites) != 5 {
		t.Errorf("%d references, want 5: %+v", len(sites), sites)
	}
	for i, kind := range []Kind{DebugInfo, DebugMarked, DebugFrame, Table} {
		if l.Areas[i].Kind != kind {
			t.Errorf("area %s is of kind %d, want %d", l.Areas[i].Name, l.Areas[i].Kind, kind)
		}
	}
}
