package exe

import (
	"encoding/binary"
	"testing"
)

// TestPESymbols wants symbols to lead into their section, and names of more
// than eight bytes to where one begins.
func TestPESymbols(t *testing.T) {
	b := build(t, "windows", "amd64", "-ldflags=-compressdwarf=false")
	l, _ := Parse(b)
	var code *Area
	for i := range l.Areas {
		if l.Areas[i].Name == ".text" {
			code = &l.Areas[i]
		}
	}
	start, ok := Addr(l.Maps, code.Pos)
	if !ok {
		t.Fatal("no .text")
	}
	places, names, wrong := 0, 0, 0
	for _, s := range sitesOf(t, l, "symbols of .text", b) {
		switch at, ok := l.place(s.Target); {
		case s.Base == 1 && s.Target-start <= code.Size: // one is the end
			places++
		case s.Base == 0 && ok && at > 0 && b[at-1] == 0:
			names++
		default:
			wrong++ // a short name
		}
	}
	if places < 1000 || names < places*9/10 || wrong > places/10 {
		t.Errorf("%d places in the code, %d names, %d others", places, names, wrong)
	}
}

// Symbols that say nonsense have no areas, and neither have too many runs.
func TestHostilePESymbols(t *testing.T) {
	const rows = 2000
	file := func(edit func(head, symbols []byte)) []byte {
		b := smallPE(t, ".debug_line", string(lineAddress(1<<32)))
		at := int(binary.LittleEndian.Uint32(b[64+12:]))
		symbols := make([]byte, rows*18)
		for i := range rows {
			symbols[i*18+12] = 1
		}
		binary.LittleEndian.PutUint32(b[64+16:], rows)
		edit(b[64:], symbols)
		return append(b[:at:at], append(symbols, b[at:]...)...)
	}
	for name, tt := range map[string]struct {
		edit func(head, symbols []byte)
		most int
	}{
		"good":       {func(_, _ []byte) {}, 1},
		"many":       {func(head, _ []byte) { binary.LittleEndian.PutUint32(head[16:], 1<<31) }, 0},
		"no section": {func(_, symbols []byte) { clear(symbols) }, 0},
		"other sections": {func(_, symbols []byte) {
			for i := range rows {
				symbols[i*18+12] = 9
			}
		}, 0},
		"many runs": {func(_, symbols []byte) {
			for i := 0; i < rows; i += 20 {
				symbols[i*18+12] = 0
			}
		}, maxSymbolRuns},
	} {
		l, _ := Parse(file(tt.edit))
		n := 0
		for _, a := range l.Areas {
			if a.Stride == 18 {
				n++
			}
		}
		if n != tt.most {
			t.Errorf("%s: %d areas of symbols, want %d", name, n, tt.most)
		}
	}
}
