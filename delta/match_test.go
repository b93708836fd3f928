package delta

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// checkCovers fails a test for covers that are not in order and inside.
func checkCovers(t testing.TB, covers []cover, old, new int) (covered int) {
	t.Helper()
	end := 0
	for i, c := range covers {
		if c.n <= 0 || c.new < end || c.new+c.n > new || c.old < 0 || c.old+c.n > old {
			t.Fatalf("cover %d is %+v, after %d, for %d old and %d new bytes", i, c, end, old, new)
		}
		end = c.new + c.n
		covered += c.n
	}
	return covered
}

func findCovers(t testing.TB, old, new []byte, hints []hint, workers int) []cover {
	t.Helper()
	a := &arena{index: newIndex(old), extents: []extent{{n: len(old)}}}
	covers, err := a.covers(t.Context(), new, hints, workers, 0)
	if err != nil {
		t.Fatal(err)
	}
	return covers
}

func TestCovers(t *testing.T) {
	b := noise(1, 10_000)
	x := noise(2, 100)
	for _, tt := range []struct {
		name string
		new  []byte
		want []cover
	}{
		{"same", b, []cover{{0, 0, 10_000}}},
		{"end", b[4_001:], []cover{{4_001, 0, 5_999}}},
		{"start", b[:3_000], []cover{{0, 0, 3_000}}},
		{"inserted", slices.Concat(b[:5_000], x, b[5_000:]), []cover{{0, 0, 5_000}, {5_000, 5_100, 5_000}}},
		{"removed", slices.Concat(b[:5_000], b[5_003:]), []cover{{0, 0, 5_000}, {5_003, 5_000, 4_997}}},
		{"swapped", slices.Concat(b[5_000:], b[:5_000]), []cover{{5_000, 0, 5_000}, {0, 5_000, 5_000}}},
		{"sparse changes", every(b, 40), []cover{{0, 0, 10_000}}},
		{"a short part", slices.Concat(x, b[70:90], x), []cover{{70, 100, 20}}},
		{"nothing", x, nil},
		{"empty", nil, nil},
	} {
		got := findCovers(t, b, tt.new, nil, 1)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i, w := range tt.want {
			// By chance a byte beside a border is the same.
			g := got[i]
			if d := g.new - w.new; max(d, -d) > 3 || g.old-g.new != w.old-w.new || max(g.n-w.n, w.n-g.n) > 4 {
				t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
				break
			}
		}
	}
}

func TestCoversAreValid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Few different bytes make matches everywhere.
		draw := func(name string) []byte {
			return rapid.SliceOfN(rapid.SampledFrom([]byte("aab")), 0, 3000).Draw(rt, name)
		}
		old := draw("old")
		new := slices.Concat(draw("new"), old[rapid.IntRange(0, len(old)).Draw(rt, "cut"):], draw("more"))
		var hints []hint
		if len(old) > 0 {
			hints = append(hints, hint{rapid.IntRange(0, len(new)).Draw(rt, "at"), rapid.IntRange(0, len(old)-1).Draw(rt, "from")})
		}
		covers := findCovers(t, old, new, hints, 1)
		checkCovers(t, covers, len(old), len(new))
		// What they describe must be new again.
		cols := dataColumns(covers, old, new)
		if len(cols[colExtra]) > len(new) || len(cols[colValue]) > len(new) {
			rt.Fatalf("columns are longer than new")
		}
	})
}

func TestHintsDecideBetweenEqualFiles(t *testing.T) {
	b := noise(1, 5_000)
	old := slices.Concat(b, b)
	got := findCovers(t, old, b, []hint{{new: 0, old: 5_000}}, 1)
	if want := []cover{{5_000, 0, 5_000}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStretchesAreJoined(t *testing.T) {
	b := noise(1, 2*stretch+99)
	for _, workers := range []int{1, 3} {
		got := findCovers(t, b, b, nil, workers)
		if want := []cover{{0, 0, len(b)}}; !slices.Equal(got, want) {
			t.Errorf("%d workers: got %v, want %v", workers, got, want)
		}
	}
}

func TestByteCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.ByteRange(0, 1), 0, 70).Draw(t, "a")
		b := rapid.SliceOfN(rapid.ByteRange(0, 1), 0, 70).Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = slices.Clone(a)
			if len(b) > 0 {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "by")
			}
		}
		n := min(len(a), len(b))
		front, back, equal := 0, 0, 0
		for front < n && a[front] == b[front] {
			front++
		}
		for back < n && a[len(a)-1-back] == b[len(b)-1-back] {
			back++
		}
		for i := range n {
			if a[i] == b[i] {
				equal++
			}
		}
		if got := [3]int{matchLen(a, b), matchLenBack(a, b), equalBytes(a, b)}; got != [3]int{front, back, equal} {
			t.Errorf("got %v, want %v", got, [3]int{front, back, equal})
		}
	})
}

func TestSpace(t *testing.T) {
	s := newSpace([]Ref{{Size: 10}, {Size: 0}, {Size: 5}, {Size: 7}})
	if s.size() != 22 || s.at(0) != 0 || s.at(9) != 0 || s.at(10) != 2 || s.at(21) != 3 {
		t.Error("positions are found in the wrong blobs")
	}
	mark := make([]bool, 4)
	covers := []cover{{old: 12, new: 0, n: 5}, {old: 15, new: 9, n: 7}}
	s.used(covers, mark)
	if want := []bool{false, false, true, true}; !slices.Equal(mark, want) {
		t.Errorf("used blobs are %v, want %v", mark, want)
	}
	got := s.narrow(covers, []int{2, 3})
	if want := []cover{{old: 2, new: 0, n: 5}, {old: 5, new: 9, n: 7}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestArenaMapsExtents(t *testing.T) {
	a := &arena{extents: []extent{{pos: 100, at: 0, n: 10}, {pos: 500, at: 10, n: 20}}}
	got := a.toOld([]cover{{old: 2, new: 0, n: 5}, {old: 8, new: 5, n: 6}, {old: 14, new: 11, n: 3}})
	want := []cover{{102, 0, 5}, {108, 5, 2}, {500, 7, 7}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if at, ok := a.find(505); !ok || at != 15 {
		t.Errorf("505 is at %d, %v", at, ok)
	}
	if _, ok := a.find(110); ok {
		t.Error("110 is in no extent")
	}
}

func TestPairing(t *testing.T) {
	var old []Blob
	for i, name := range []string{"lib/a.js", "lib/app-3f9c.js", "x/a.js", "bin/tool", "lib/app-77aa.css"} {
		old = append(old, memBlob(name, make([]byte, 100*i)))
	}
	p := newPairing(old)
	for name, want := range map[string]int{
		"x/a.js": 2, "lib/a.js": 0, "y/tool": 3, "lib/app-0000.js": 1, "dist/app-1-2-3.css": 4, "y/a.js": 2, "other": -1,
	} {
		b := memBlob(name, make([]byte, 150))
		got, ok := p.find(&b)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s is paired with %d, want %d", name, got, want)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	old := program(1, 8<<20)
	for _, edits := range []int{10, 1000} {
		list, new := memBlobs(old), memBlobs(editSpread(old, edits))
		for codec, o := range map[string]Options{"small": {}, "fast": {Level: Fast}} {
			b.Run(fmt.Sprintf("%d-edits/%s", edits, codec), func(b *testing.B) {
				b.SetBytes(int64(len(old)))
				var size int64
				for b.Loop() {
					_, r := writePack(b, list, new, o)
					size = r.Size
				}
				b.ReportMetric(float64(size), "pack-bytes")
			})
		}
	}
}

// editSpread inserts n times four bytes, evenly.
func editSpread(b []byte, n int) []byte {
	var out []byte
	for i := range n {
		out = append(out, b[len(b)*i/n:len(b)*(i+1)/n]...)
		out = append(out, noise(uint64(i), 4)...)
	}
	return out
}

func BenchmarkPatch(b *testing.B) {
	old := program(1, 8<<20)
	list, new := memBlobs(old), memBlobs(every(editSpread(old, 1000), 50))
	for codec, o := range map[string]Options{"small": {}, "fast": {Level: Fast}} {
		pack, _ := writePack(b, list, new, o)
		h := readHead(b, pack)
		b.Run(codec, func(b *testing.B) {
			b.SetBytes(new[0].Size)
			for b.Loop() {
				if _, err := patchAll(pack, h, list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIndex(b *testing.B) {
	old := program(1, 8<<20)
	b.SetBytes(int64(len(old)))
	for b.Loop() {
		newIndex(old)
	}
}

func FuzzCovers(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), []byte("aaaaaaaaaaaaaaaaaaaaaaabaaaaaaaaaaaa"))
	f.Add(program(1, 300), edit(1, program(1, 300), 4))
	f.Fuzz(func(t *testing.T, old, new []byte) {
		o, n := memBlobs(old), memBlobs(new)
		covers := findCovers(t, old, new, nil, 1)
		checkCovers(t, covers, len(old), len(new))
		checkRoundTrip(t, o, n, Options{Level: Fast})
		if bytes.Equal(old, new) && len(old) >= 64 && (len(covers) != 1 || covers[0].n != len(old)) {
			t.Errorf("same content has covers %v", covers)
		}
	})
}
