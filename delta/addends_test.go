package delta

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
	"pgregory.net/rapid"
)

// relocations makes a list of them, of which every third is of another kind.
func relocations(words []word) (b []byte) {
	for i, w := range words {
		info := uint64(8)
		if i%3 == 2 {
			info = 6
		}
		for _, v := range []uint64{uint64(w.at) + 0x1000, info, w.value} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	return b
}

// Words are known from the row on that tells them, however the bytes of the
// rows come, and predicted as far as they are in a block.
func TestAddends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var words []word
		at := 2000
		for i := range rapid.IntRange(0, 40).Draw(t, "words") {
			at += rapid.IntRange(8, 30).Draw(t, "place")
			words = append(words, word{at, uint64(i+1) * 0x0101010101010101})
		}
		table := relocations(words)
		new := make([]byte, 4000)
		copy(new[100:], table)
		// A list that is cut in two, the second with what is left of a row.
		cut := rapid.IntRange(0, len(words)).Draw(t, "cut") * exe.AddendSize
		m := module{new: []exe.Map{{Pos: 0, Size: 4000, Addr: 0x1000}}, addends: []exe.Addends{
			{Pos: 100, Size: uint64(cut), Info: 8}, {Pos: uint64(100 + cut), Size: uint64(len(table) - cut + 5), Info: 8}}}
		a := newAddends([]module{m})
		pieces(t, new[:2000], a.made)
		want := make([]byte, 2000)
		class := make([]byte, 2000)
		for i, w := range words {
			if i%3 != 2 {
				binary.LittleEndian.PutUint64(want[w.at-2000:], w.value)
				for k := range 8 {
					class[w.at-2000+k] = addendClass<<3 | byte(k)
				}
			}
		}
		got, kinds := make([]byte, 2000), make([]byte, 2000)
		at = 2000
		pieces(t, got, func(p []byte) {
			a.predict(p, kinds[at-2000:][:len(p)], at)
			at += len(p)
		})
		if !bytes.Equal(got, want) || !bytes.Equal(kinds, class) {
			t.Fatalf("got\n%x, want\n%x", got, want)
		}
	})
}

// Rows may say anything: words that do not rise, or are nowhere, do not count.
func TestHostileAddends(t *testing.T) {
	table := relocations([]word{{500, 1}, {507, 2}, {0, 9}, {499, 3}, {508, 4}, {0, 9}, {1 << 40, 5}, {600, 6}})
	m := module{new: []exe.Map{{Pos: 0, Size: 1000, Addr: 0x1000}}, addends: []exe.Addends{{Size: uint64(len(table)), Info: 8}}}
	a := newAddends([]module{m})
	a.made(table)
	if want := []word{{500, 1}, {508, 4}, {600, 6}}; !slices.Equal(a.words, want) {
		t.Errorf("got %v, want %v", a.words, want)
	}
	m.addends[0].Size = 1 << 40
	if a := newAddends([]module{m}); cap(a.words) > maxWords {
		t.Errorf("room for %d words", cap(a.words))
	}
}

// Two modules of one new file have the same lists: one of them tells.
func TestAddendsAreInOrder(t *testing.T) {
	first, second := exe.Addends{Pos: 10, Size: 48}, exe.Addends{Pos: 100, Size: 24}
	list := []module{{addends: []exe.Addends{first}}, {addends: []exe.Addends{first}}, {addends: []exe.Addends{second}}}
	inOrder(list)
	if len(list[0].addends) != 1 || len(list[1].addends) != 0 || len(list[2].addends) != 1 {
		t.Errorf("got %+v", list)
	}
}
