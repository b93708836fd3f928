package delta

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFieldEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		class     []byte
		from, end int
		want      int
	}{
		"four bytes":         {[]byte{0, 8, 9, 10, 11, 0}, 1, 6, 5},
		"eight bytes":        {[]byte{16, 17, 18, 19, 20, 21, 22, 23}, 0, 8, 8},
		"end of the block":   {[]byte{8, 9, 10, 11}, 0, 2, 2},
		"the same behind it": {[]byte{8, 9, 10, 11, 8, 9, 10, 11}, 0, 8, 4},
		"cut by another":     {[]byte{8, 9, 24, 25, 26, 27}, 0, 6, 2},
		"next kind":          {[]byte{16, 17, 18, 19, 20, 21, 22, 23, 24}, 0, 9, 9}, // runs on, but eight bytes are the most
		"one byte":           {[]byte{8}, 0, 1, 1},
	} {
		w := window{class: tt.class}
		if got := w.field(tt.from, tt.end); got != tt.want {
			t.Errorf("%s: ends at %d, want %d", name, got, tt.want)
		}
	}
}

// fieldWindow has references of four bytes every 16 bytes.
func fieldWindow(size int) (w window) {
	w.old = noise(7, size)
	w.pred = slices.Clone(w.old)
	w.class = make([]byte, size)
	for i := 4; i+4 <= size; i += 16 {
		w.pred[i]++
		for k := range 4 {
			w.class[i+k] = byte(3<<3 + k)
		}
	}
	return w
}

// A field that is as predicted takes one decision, and its history is kept by
// kind.
func TestCodeField(t *testing.T) {
	w := fieldWindow(64)
	w.new = slices.Clone(w.pred)
	w.new[20] ^= 1 // in the second field
	m, a := newResidualModel(minTables), newEncoder()
	for i, want := range map[int]int{4: fieldRight, 20: fieldWrong, 36: fieldRight} {
		m.codeField(a, &w, i, 64)
		if m.state != want {
			t.Errorf("field at %d: state %d, want %d", i, m.state, want)
		}
	}
	m = newResidualModel(minTables)
	for _, i := range []int{4, 20, 36} {
		m.codeField(a, &w, i, 64)
	}
	if m.fields[3] != 0b010 {
		t.Errorf("history is %03b, want 010", m.fields[3])
	}
	for k, f := range m.fields {
		if k != 3 && f != 0 {
			t.Errorf("kind %d has a history", k)
		}
	}
	// The block ends inside a field: what is there decides.
	m.codeField(a, &w, 20, 21)
	if m.state != fieldWrong {
		t.Error("a field whose first byte is wrong is right")
	}
	w.new[20] ^= 1
	w.new[21] ^= 1
	m.codeField(a, &w, 20, 21)
	if m.state != fieldRight {
		t.Error("a field is wrong by a byte behind the block")
	}
}

// Fields that are right must be nearly free, and tell nothing about others.
func TestFieldsAreCheap(t *testing.T) {
	const size = 16 << 10
	w := fieldWindow(size)
	code := func(new []byte) int {
		w.new = slices.Clone(new)
		m, a := newResidualModel(14), newEncoder()
		for at := 0; at < size; at += blockSize {
			m.codeBlock(a, &w, at, at+blockSize)
		}
		return len(a.finish())
	}
	if got := code(w.pred); got > 12 {
		t.Errorf("all as predicted: %d bytes", got)
	}
	one := slices.Clone(w.pred)
	one[size/2+4] ^= 0x55
	if got := code(one); got > 40 {
		t.Errorf("one wrong field: %d bytes", got)
	}
	if got := code(w.old); got > size/16 { // a decision and a byte that is always the same
		t.Errorf("all fields wrong: %d bytes for %d fields", got, size/16)
	}
}

// Classes may be anything that overlapping references of a hostile layout give.
func TestClassesRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "size")
		class := make([]byte, n)
		for range rapid.IntRange(0, 200).Draw(t, "references") {
			at, width := rapid.IntRange(0, n-1).Draw(t, "at"), rapid.SampledFrom([]int{4, 8}).Draw(t, "width")
			kind := rapid.IntRange(1, 31).Draw(t, "kind")
			for k := range min(width, n-at) {
				class[at+k] = byte(kind<<3 + k)
			}
		}
		old := noise(rapid.Uint64Range(0, 3).Draw(t, "seed"), n)
		change := func(b []byte, name string) []byte {
			b = slices.Clone(b)
			for range rapid.IntRange(0, 60).Draw(t, name) {
				b[rapid.IntRange(0, n-1).Draw(t, "place")] ^= 1
			}
			return b
		}
		pred := change(old, "predicted")
		want := change(pred, "changed")
		run := func(a *arith, new []byte) {
			m := newResidualModel(minTables)
			w := window{old: old, pred: slices.Clone(pred), new: new, class: class}
			for at := 0; at < n; at += blockSize {
				m.codeBlock(a, &w, at, min(at+blockSize, n))
			}
		}
		e := newEncoder()
		run(e, slices.Clone(want))
		d := decoderOf(e.finish())
		got := make([]byte, n)
		run(d, got)
		if err := d.end(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("byte %d differs; %v", matchLen(got, want), err)
		}
	})
}

func TestGapClasses(t *testing.T) {
	last := uint32(0)
	for g := range uint32(10_000) {
		c := gapClass(g)
		if c != last && c != last+1 || g < 16 && c != g {
			t.Fatalf("distance %d has class %d behind %d", g, c, last)
		}
		last = c
	}
	if got := gapClass(1 << 20); got != last || got != 22 {
		t.Errorf("the last class is %d, want 22", got)
	}
}

// A run of residuals leaves its last three bytes as a word.
func TestPush(t *testing.T) {
	m := newResidualModel(minTables)
	push := func(list ...byte) {
		for _, r := range list {
			m.push(r)
		}
	}
	push(1, 2, 0)
	if m.word != 0x0102 || m.before != 0 || m.gap != 1 {
		t.Errorf("word %#x, before %#x, gap %d", m.word, m.before, m.gap)
	}
	push(0, 0, 3, 4, 5, 6, 0)
	if m.word != 0x040506 || m.before != 0x0102 {
		t.Errorf("word %#x, before %#x", m.word, m.before)
	}
	push(9)
	if m.gap != 0 || m.changed&15 != 0b1101 {
		t.Errorf("gap %d, changed %04b", m.gap, m.changed&15)
	}
	m.skip(5000)
	if m.gap != 5000 || m.changed != 0 || m.past != 0 {
		t.Errorf("after a skip: gap %d, changed %b, past %#x", m.gap, m.changed, m.past)
	}
	m.skip(1 << 30)
	if m.gap != 1<<20 {
		t.Errorf("gap %d grows beyond its bound", m.gap)
	}
}

func BenchmarkResidualModel(b *testing.B) {
	old := program(1, 1<<20)
	new := edit(1, old, 5000)[:len(old)]
	b.SetBytes(int64(len(new)))
	for b.Loop() {
		codeCover(b, old, old, new)
	}
}
