package exe

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Relocations of a program lead to words that are addresses.
func TestPERelocs(t *testing.T) {
	b := build(t, "windows", "amd64")
	l, ok := Parse(b)
	if !ok {
		t.Fatal("not understood")
	}
	right, all, pages := 0, 0, map[uint64]bool{}
	for _, s := range sitesOf(t, l, ".reloc", b) {
		if s.Form == Page32 {
			pages[s.Target>>12] = true
			continue
		}
		if !pages[s.Target>>12] {
			t.Fatalf("address %x is in no page", s.Target)
		}
		all++
		if at, ok := l.place(s.Target); ok {
			if v := binary.LittleEndian.Uint64(b[at:]); v>>32 != 0 && v>>40 == 0 {
				right++
			}
		}
	}
	if all < 1000 || right*100 < all*98 {
		t.Errorf("%d of %d words are addresses", right, all)
	}
}

// blocks makes relocations of words, in pages of so many.
func blocks(words []uint32) (b []byte) {
	for i := 0; i < len(words); {
		page, start := words[i]&^0xfff, len(b)
		b = binary.LittleEndian.AppendUint32(b, page)
		b = append(b, 0, 0, 0, 0)
		for ; i < len(words) && words[i]&^0xfff == page; i++ {
			b = binary.LittleEndian.AppendUint16(b, 0xa000|uint16(words[i]&0xfff))
		}
		if len(b)%4 != 0 {
			b = append(b, 0, 0)
		}
		binary.LittleEndian.PutUint32(b[start+4:], uint32(len(b)-start))
	}
	return b
}

// Parts of a block find as much as all of it, and each word is found once.
func TestPERelocsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.Uint32Range(0x1000, 0x8000), 1, 60, rapid.ID[uint32]).Draw(t, "words")
		slices.Sort(words)
		b := blocks(words)
		whole := len(b)
		b = append(b, rapid.SliceOfN(rapid.Just(byte(0)), 0, 12).Draw(t, "behind")...)
		records := 100
		r, err := newPERelocs(&Area{Kind: PERelocs, Size: uint64(len(b)), Bases: []uint64{1 << 32}}, &records, func(p []byte, pos uint64) error {
			copy(p, b[pos:])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if end := r.starts[len(r.starts)-1]; int(end) != whole || 100-records != len(r.pages) {
			t.Fatalf("%d blocks end at %d, want %d", len(r.pages), end, whole)
		}
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		sites := r.Find(nil, b, 0, len(b), 0, 0)
		if parts := append(r.Find(nil, b, 0, cut, 0, 0), r.Find(nil, b, cut, len(b), 0, 0)...); !slices.Equal(parts, sites) {
			t.Fatalf("cut at %d:\n%v\nin all:\n%v", cut, parts, sites)
		}
		// What was in front of a window is known all the same.
		behind := r.Find(nil, b[cut:], 0, len(b)-cut, uint64(cut), 0)
		var got []uint32
		for _, s := range sites {
			if s.Form == Page12 {
				got = append(got, uint32(s.Target-1<<32))
			}
			if s.At >= cut {
				s.At -= cut
				if len(behind) == 0 || behind[0] != s {
					t.Fatalf("window from %d: want %+v, got %+v", cut, s, behind)
				}
				behind = behind[1:]
			}
		}
		if !slices.Equal(got, words) || len(behind) > 0 {
			t.Fatalf("got %x, want %x", got, words)
		}
	})
}

// Blocks of a size that cannot be end the list.
func TestHostilePERelocs(t *testing.T) {
	for _, size := range []uint32{0, 7, 10, 100, 1<<32 - 4} {
		b := blocks([]uint32{0x1000, 0x2000})
		binary.LittleEndian.PutUint32(b[16:], size)
		a := &Area{Kind: PERelocs, Size: uint64(len(b)), Bases: []uint64{0}}
		if sites := find(t, a, b, 0); len(sites) != 2 {
			t.Errorf("size %d: got %+v", size, sites)
		}
	}
}
