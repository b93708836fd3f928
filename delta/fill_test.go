package delta

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// records returns a table of rising offsets with a few fixed bytes each: where
// all offsets move, hardly more than half of the bytes stay.
func records(n int, add uint32) (b []byte) {
	r := rand.New(rand.NewPCG(5, 6))
	at := uint32(1000)
	for range n {
		at += 16 + r.Uint32N(200)
		b = binary.LittleEndian.AppendUint32(b, at+add)
		b = append(b, byte(r.Uint32N(4)), 0, byte(r.Uint32N(3)), 1)
	}
	return b
}

// What stands between two covers is looked for beside their diagonals.
func TestFill(t *testing.T) {
	front, back := noise(1, 300), noise(2, 300)
	old := slices.Concat(front, records(500, 0), back)
	added := []byte{1, 2, 3, 4, 5, 6, 7, 8} // a record in the middle
	table := records(500, 0x1111)
	new := slices.Concat(front, table[:2000], added, table[2000:], back)
	given := []cover{{0, 0, 300}, {4300, 4308, 300}}
	x := newIndex(old)
	filled := x.fill(new, 0, len(new), slices.Clone(given))
	if got := checkCovers(t, filled, len(old), len(new)); got < len(new)-100 {
		t.Errorf("%d of %d bytes are covered", got, len(new))
	}
	for _, c := range filled {
		if diag := c.old - c.new; c.new < 2300 && diag != 0 || c.new > 2400 && diag != -8 {
			t.Errorf("cover %+v is on the diagonal %d", c, diag)
		}
	}
	// Nothing is made up: noise between covers stays without.
	new = slices.Concat(front, noise(3, 4000), back)
	given[1].new = 4300
	if filled := x.fill(new, 0, len(new), slices.Clone(given)); len(filled) != 2 {
		t.Errorf("noise is covered: %+v", filled)
	}
	// No covers, nothing beside them.
	if filled := x.fill(new, 0, len(new), nil); len(filled) != 0 {
		t.Errorf("got %+v", filled)
	}
}

// A filled cover stays in its gap, and inside old.
func TestFillStaysInside(t *testing.T) {
	old := records(300, 0)
	x := newIndex(old)
	for _, given := range [][]cover{
		{{0, 0, 8}}, {{len(old) - 8, 0, 8}}, {{0, len(old) - 8, 8}}, {{0, 100, 8}, {len(old) - 8, 2000, 8}}, {{800, 0, 8}, {0, 1600, 8}},
	} {
		new := records(300, 0x2222)
		checkCovers(t, x.fill(new, 0, len(new), slices.Clone(given)), len(old), len(new))
	}
}
