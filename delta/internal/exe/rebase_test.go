package exe

import (
	"encoding/binary"
	"testing"
)

// Opcodes of a program lead to words that are addresses.
func TestRebases(t *testing.T) {
	b := build(t, "darwin", "arm64")
	l, ok := Parse(b)
	if !ok {
		t.Fatal("not understood")
	}
	sites := sitesOf(t, l, "rebases", b)
	right := 0
	for _, s := range sites {
		if at, ok := l.place(s.Target); ok {
			if _, ok := l.place(binary.LittleEndian.Uint64(b[at:])); ok {
				right++
			}
		}
	}
	// The last word of each may be in .bss, which has no place.
	if len(sites) < 1000 || right*100 < len(sites)*95 {
		t.Errorf("%d of %d words are addresses", right, len(sites))
	}
}

// What only looks like opcodes is none, and parts of a block find as much as
// all of it.
func TestRebasesInParts(t *testing.T) {
	list := []byte{0x11, 0x22, 0x80, 0x81, 0x02, 0x51, 0x21, 0xff, 0xff, 0x7f, 0x51,
		0x25, 0x80, 0x81, 0x02, 0x51, // no such segment
		0x22, 0x80, 0x01, 0x51, // two bytes
		0x22, 0x80, 0x81, 0x82, 0x02, 0x51, // four
		0x22, 0x80, 0x81, 0x02, 0x52, // twice
		0x22, 0x80, 0x81, 0x02} // cut off
	a := &Area{Kind: Rebases, Size: uint64(len(list)), Bases: []uint64{0, 1 << 32, 2 << 32}}
	whole := find(t, a, list, 0)
	if len(whole) != 2 || whole[0].At != 2 || whole[0].Target != 2<<32+2<<14+1<<7 || whole[1].Target != 1<<32+1<<21-1 {
		t.Fatalf("got %+v", whole)
	}
	r := &rebaseReader{a}
	for cut := range list {
		if parts := append(r.Find(nil, list, 0, cut, 0, 0), r.Find(nil, list, cut, len(list), 0, 0)...); len(parts) != 2 {
			t.Errorf("cut at %d: got %+v", cut, parts)
		}
	}
}
