package delta

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// shiftAt looks a position up in regions.
func shiftAt(list []region, pos int) (int, bool) {
	i := sort.Search(len(list), func(i int) bool { return list[i].end > pos })
	if i == len(list) || list[i].start > pos {
		return 0, false
	}
	return list[i].shift, true
}

func TestRegionsTakeTheLongestCover(t *testing.T) {
	list := newRegions([]cover{{0, 0, 1000}, {400, 3000, 20}, {990, 2000, 500}, {100, 5000, 100}})
	for pos, want := range map[int]int{0: 0, 150: 0, 410: 0, 989: 0, 995: 0, 1000: 1010, 1489: 1010} {
		if got, ok := shiftAt(list, pos); !ok || got != want {
			t.Errorf("%d is shifted by %d, %v; want %d", pos, got, ok, want)
		}
	}
	if _, ok := shiftAt(list, 1490); ok {
		t.Error("no cover, no region")
	}
}

// Regions must answer as a look at all covers would.
func TestRegionsRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var covers []cover
		new := 0
		for range rapid.IntRange(0, 12).Draw(t, "covers") {
			c := cover{rapid.IntRange(0, 100).Draw(t, "old"), new, rapid.IntRange(1, 60).Draw(t, "n")}
			new += c.n + rapid.IntRange(0, 9).Draw(t, "gap")
			covers = append(covers, c)
		}
		list := newRegions(covers)
		for pos := range 160 {
			longest := cover{}
			for _, c := range covers {
				if c.old <= pos && pos < c.old+c.n && c.n > longest.n {
					longest = c
				}
			}
			got, ok := shiftAt(list, pos)
			if ok != (longest.n > 0) || ok && got != longest.new-longest.old {
				t.Fatalf("%d is shifted by %d, %v; want by %+v", pos, got, ok, longest)
			}
		}
	})
}

// lawOf returns a predictor of one old blob of a size.
func lawOf(t testing.TB, m module, size int, covers []cover, old []byte) *predictor {
	t.Helper()
	p, err := newPredictor([]module{m}, covers, space{starts: []int64{0, int64(size)}}, func(b []byte, at int64) error {
		copy(b, old[at:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// predictAt predicts n old bytes from pos on, which become new ones from position new on.
func predictAt(p *predictor, w *prediction, old []byte, pos, new, n int) (pred, class []byte) {
	pred, class = slices.Clone(old[pos:pos+n]), make([]byte, n)
	lo := max(0, pos-windowMargin)
	p.start(w, cover{pos, new, n}, 0, n)
	w.predict(pred, class, &window{old: old[lo:min(len(old), pos+n+windowMargin)], base: pos - lo}, 0, n)
	return pred, class
}

func TestPredictCall(t *testing.T) {
	// A call at 100 to 1000; new has 50 more bytes between the two.
	old := bytes.Repeat([]byte{0x90}, 2000)
	copy(old[100:], []byte{0xE8, 0x7F, 0x03, 0, 0}) // 105 + 895 = 1000
	m := module{old: []exe.Map{{Size: 2000}}, new: []exe.Map{{Size: 2050}}, areas: []area{{Area: exe.Area{Size: 2000, Kind: exe.X86}}}}
	p := lawOf(t, m, 2000, []cover{{0, 0, 500}, {500, 550, 1500}}, old)
	var w prediction
	pred, class := predictAt(p, &w, old, 90, 90, 30)
	if want := []byte{0xE8, 0x7F + 50, 0x03, 0, 0}; !bytes.Equal(pred[10:15], want) {
		t.Errorf("call is predicted as % x, want % x", pred[10:15], want)
	}
	if want := []byte{0, 8, 9, 10, 11, 0}; !bytes.Equal(class[10:16], want) {
		t.Errorf("classes are % x, want % x", class[10:16], want)
	}
	// The same, when no area covers the call.
	m.areas[0].Pos, m.areas[0].Size = 200, 1800
	if pred, _ := predictAt(lawOf(t, m, 2000, []cover{{0, 0, 500}, {500, 550, 1500}}, old), &w, old, 90, 90, 30); !bytes.Equal(pred, old[90:120]) {
		t.Error("a call outside all areas is predicted")
	}
}

// Where a reference turns out to point elsewhere, the next one follows.
func TestPredictLearns(t *testing.T) {
	old := bytes.Repeat([]byte{0x90}, 2000)
	copy(old[100:], []byte{0xE8, 0x7F, 0x03, 0, 0}) // to 1000
	copy(old[200:], []byte{0xE8, 0x1B, 0x03, 0, 0}) // to 1000 as well
	m := module{old: []exe.Map{{Size: 2000}}, new: []exe.Map{{Size: 2000}}, areas: []area{{Area: exe.Area{Size: 2000, Kind: exe.X86}}}}
	p := lawOf(t, m, 2000, []cover{{0, 0, 2000}}, old)
	var w prediction
	pred, _ := predictAt(p, &w, old, 0, 0, 150)
	new := slices.Clone(pred)
	new[101] += 77
	w.learn(pred, new, 104)
	if pred, _ := predictAt(p, &w, old, 150, 150, 100); pred[51] != 0x1B {
		t.Error("learned from a reference that was not complete")
	}
	predictAt(p, &w, old, 0, 0, 150)
	w.learn(pred, new, 150)
	if pred, _ := predictAt(p, &w, old, 150, 150, 100); pred[51] != 0x1B+77 {
		t.Errorf("second call is predicted as % x, want %x first", pred[50:55], 0x1B+77)
	}
}

// Where exceptions turn out to be just that, the law is believed again; where
// they hold, they are.
func TestPredictTrust(t *testing.T) {
	const pairs = 10 // of calls to one target each
	old := bytes.Repeat([]byte{0x90}, 2000)
	call := func(at, target int) {
		old[at] = 0xE8
		binary.LittleEndian.PutUint32(old[at+1:], uint32(target-at-5))
	}
	for i := range pairs { // not in the first bytes: no reader looks there
		call(20*i+20, 1000+i)
		call(20*i+30, 1000+i)
	}
	m := module{old: []exe.Map{{Size: 2000}}, new: []exe.Map{{Size: 2000}}, areas: []area{{Area: exe.Area{Size: 2000, Kind: exe.X86}}}}
	for name, holds := range map[string]bool{"exceptions": false, "rules": true} {
		p := lawOf(t, m, 2000, []cover{{0, 0, 2000}}, old)
		var w prediction
		for i := range pairs {
			// The first of a pair goes elsewhere.
			pred, _ := predictAt(p, &w, old, 20*i+20, 20*i+20, 10)
			new := slices.Clone(pred)
			new[2]++
			w.learn(pred, new, 10)
			pred, _ = predictAt(p, &w, old, 20*i+30, 20*i+30, 10)
			new = slices.Clone(old[20*i+30 : 20*i+40])
			if holds {
				new[2]++
			}
			if got := bytes.Equal(pred, new); got != (holds || i > 0) {
				t.Errorf("%s: pair %d: the second call is predicted as % x, becomes % x", name, i, pred[:5], new[:5])
			}
			w.learn(pred, new, 10)
		}
	}
}

// Addresses, offsets from a base, offsets from here, and addresses without
// content; old and new are loaded at different places.
func TestPredictTable(t *testing.T) {
	old := make([]byte, 4096)
	le := binary.LittleEndian
	le.PutUint64(old[1000:], 0x10000+3000) // an address
	le.PutUint32(old[1008:], 200)          // from a base: that of 0x10000+2000
	here := int32(100 - 1012)              // from here: to 100
	le.PutUint32(old[1012:], uint32(here)) //
	le.PutUint64(old[1016:], 0x80000+4)    // in a blank
	fields := []exe.Field{{Offset: 0, Width: 8, Base: exe.FromZero}, {Offset: 8, Width: 4, Base: 0}, {Offset: 12, Width: 4, Base: exe.FromHere}, {Offset: 16, Width: 8, Base: exe.FromZero}}
	m := module{
		old: []exe.Map{{Size: 4096, Addr: 0x10000}}, new: []exe.Map{{Size: 5000, Addr: 0x20000}},
		blanks: []moved{{0x80000, 0x100, 0x90000}},
		areas:  []area{{Area: exe.Area{Pos: 1000, Size: 24, Kind: exe.Table, Stride: 24, Fields: fields, Bases: []uint64{0x10000 + 2000}}, to: []uint64{0x20000 + 2016}}},
	}
	p := lawOf(t, m, 4096, []cover{{0, 0, 500}, {500, 516, 1700}, {2200, 2200 + 20, 1800}}, old)
	var w prediction
	got, _ := predictAt(p, &w, old, 980, 996, 60)
	got = got[20:]
	if v := le.Uint64(got); v != 0x20000+3020 {
		t.Errorf("address is predicted as %#x", v)
	}
	if v := le.Uint32(got[8:]); v != 204 {
		t.Errorf("offset is predicted as %d, want 204", v)
	}
	if v := int32(le.Uint32(got[12:])); v != 100-1028 {
		t.Errorf("offset from here is predicted as %d, want %d", v, 100-1028)
	}
	if v := le.Uint64(got[16:]); v != 0x90004 {
		t.Errorf("address without content is predicted as %#x", v)
	}
}

// worstLayout is one that takes as much memory as a layout of the largest size
// can: mostly maps.
func worstLayout(t *testing.T) ([]byte, space) {
	var list []module
	old := space{starts: []int64{0}}
	for i := range maxModules {
		m := module{blob: i, old: make([]exe.Map, 15), new: make([]exe.Map, 15)}
		for range maxAllAreas / maxModules {
			m.areas = append(m.areas, area{Area: exe.Area{Kind: exe.Table, Stride: 1}})
		}
		list = append(list, m)
		old.starts = append(old.starts, int64(i)+1)
	}
	b := appendModules(nil, list)
	if len(b) > maxLayout || len(b) < maxLayout*9/10 {
		t.Fatalf("layout has %d bytes, want a little less than %d", len(b), maxLayout)
	}
	return b, old
}

// worstPredictor returns the largest one that a frame may ask for.
func worstPredictor(t *testing.T, covers []cover) *predictor {
	size := uint64(1 << 32)
	old := make([]byte, 64<<10)
	for i := 0; i+4 <= len(old); i += 16 { // the shortest records
		binary.LittleEndian.PutUint32(old[i:], 12)
		binary.LittleEndian.PutUint32(old[i+4:], 1)
	}
	m := module{old: []exe.Map{{Size: size}}, new: []exe.Map{{Size: size}}, areas: []area{{Area: exe.Area{Size: size, Kind: exe.EhFrame}}}}
	p, err := newPredictor([]module{m}, covers, space{starts: []int64{0, int64(size)}}, func(b []byte, at int64) error {
		copy(b, old[at%16:])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Readers may look outside of an area, but see nothing of other blobs.
func TestInBlob(t *testing.T) {
	old := []byte("oneTWOthree")
	read := inBlob(func(p []byte, pos int64) error {
		copy(p, old[pos:])
		return nil
	}, 3, 6, 1)
	for at, want := range map[uint64]string{0: "WO\x00\x00", 1: "O\x00\x00\x00", 2: "\x00\x00\x00\x00", 1 << 63: "\x00\x00\x00\x00", ^uint64(0): "TWO\x00", ^uint64(1): "\x00\x00\x00\x00"} {
		b := []byte("....")
		if err := read(b, at); err != nil || string(b) != want {
			t.Errorf("at %d: got %q, %v, want %q", at, b, err, want)
		}
	}
}
