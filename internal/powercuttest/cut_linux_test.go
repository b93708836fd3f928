package powercuttest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// page is a write of one page full of b.
func page(n int64, b byte) event {
	return event{off: n * pageSize, data: slices.Repeat([]byte{b}, pageSize)}
}

// Whatever was flushed is there, nothing later is, and of the rest each page
// is there or is not.
func TestCutsKeepWhatWasFlushed(t *testing.T) {
	events := []event{
		{kind: marked, mark: "a"}, page(0, 1), page(1, 1), {kind: flushed},
		{kind: marked, mark: "b"}, page(0, 2), page(2, 2), {kind: flushed}, {kind: marked, mark: "c"}, page(3, 3),
	}
	seen := map[string]bool{}
	for c := range cuts(newImage(8*pageSize), events, rand.New(rand.NewPCG(1, 1)), 400) {
		var got [4]byte
		for n := range got {
			var b [1]byte
			c.Image.read(b[:], int64(n)*pageSize)
			got[n] = b[0]
		}
		seen[c.Mark+string('0'+got[0])+string('0'+got[1])+string('0'+got[2])+string('0'+got[3])] = true
	}
	want := []string{
		"0000", "a0000", "a0100", "a1000", "a1100", // before and after the first writes
		"b1100", "b2100", "b1120", "b2120", // page 0 old or new
		"c2120", "c2123",
	}
	for _, s := range want {
		if !seen[s] {
			t.Errorf("want the state %s, it was not made", s)
		}
		delete(seen, s)
	}
	// Between a flush and the next mark, the last mark is the one before.
	for s := range seen {
		if s != "b2120" && s != "a1100" {
			t.Errorf("impossible state %s", s)
		}
	}
}

func TestImage(t *testing.T) {
	im := newImage(4 * pageSize)
	im.write([]byte("abc"), pageSize-1)
	old := im.clone()
	im.write([]byte("XY"), pageSize)
	var got, before [5]byte
	im.read(got[:], pageSize-2)
	old.read(before[:], pageSize-2)
	if string(got[:]) != "\x00aXY\x00" || string(before[:]) != "\x00abc\x00" {
		t.Errorf("got %q, and %q in the clone", got, before)
	}
}
