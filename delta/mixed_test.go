package delta

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Two contexts that share a place keep their lines; a third takes that which
// has seen less.
func TestLineTable(t *testing.T) {
	const size = 4
	t.Run("pairs", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			table := newLineTable(size)
			type context struct {
				place uint32
				check cell
			}
			seen := map[context]int{}
			at := map[uint32][]context{} // by pair of places
			for range rapid.IntRange(1, 300).Draw(t, "look-ups") {
				place, check := table.place(rapid.Uint32().Draw(t, "hash"))
				if place >= 1<<size || check == 0 {
					t.Fatalf("place %d, mark %#x", place, check)
				}
				c := context{place, check}
				pair := place &^ 1
				if !slices.Contains(at[pair], c) && len(at[pair]) == 2 {
					continue // no room
				}
				l := table.find(place, check)
				if !slices.Contains(at[pair], c) {
					if *l != (line{check}) {
						t.Fatalf("a new line is %v", *l)
					}
					at[pair] = append(at[pair], c)
				}
				if int(l[5]) != seen[c] {
					t.Fatalf("line of %v was seen %d times, want %d", c, l[5], seen[c])
				}
				l[5]++
				l[1].adapt(0) // every look-up does, so that it is known to be in use
				seen[c]++
			}
		})
	})
	table := newLineTable(size)
	often := table.find(2, 7)
	for range 5 {
		often[1].adapt(1)
	}
	table.find(2, 9)[1].adapt(1)
	table.find(3, 11)
	if l := table.find(2, 7); l != often || l[1]&cellCount != 5 {
		t.Error("the line that has seen more is gone")
	}
	if l := table.find(2, 9); l[1] != 0 {
		t.Error("the line that has seen less is still there")
	}
}

// A cell moves towards what it sees, and back, and never out of its range.
func TestCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c cell
		for _, bit := range rapid.SliceOf(rapid.IntRange(0, 1)).Draw(t, "bits") {
			before := c.stretched(tables())
			c.adapt(bit)
			after := c.stretched(tables())
			if bit == 1 && after < before || bit == 0 && after > before {
				t.Fatalf("after %d, %d becomes %d", bit, before, after)
			}
		}
		for range 100 {
			c.adapt(1)
		}
		if got := c.stretched(tables()); got < 1000 {
			t.Fatalf("after a hundred ones: %d", got)
		}
	})
}

func TestTeach(t *testing.T) {
	gaps := func(n int) (covers []cover) {
		for i := range n {
			covers = append(covers, cover{0, 10*i + 5, 5})
		}
		return covers
	}
	for name, tt := range map[string]struct {
		coding coding
		covers []cover
		want   int
	}{
		"no cover":           {codingMixed | codingExtra, nil, maxLesson},
		"few gaps":           {codingMixed | codingExtra, gaps(10), maxLesson},
		"covers without gap": {codingMixed | codingExtra, []cover{{0, 0, 5}, {9, 5, 5}}, maxLesson},
		"many gaps":          {codingMixed | codingExtra, gaps(999), lessons / 1000},
		"too many gaps":      {codingMixed | codingExtra, gaps(lessons / minLesson), 0},
		"just not too many":  {codingMixed | codingExtra, gaps(lessons/minLesson - 1), minLesson},
		"no model":           {codingMixed, nil, 0},
	} {
		m := newMixedCoder(newEncoder(), tt.coding, minTables, 100)
		m.teach(tt.covers)
		if m.lesson != tt.want {
			t.Errorf("%s: a lesson has %d bytes, want %d", name, m.lesson, tt.want)
		}
	}
}

// A lesson is of bytes around the place, of one blob, and none is learned twice
// in a row.
func TestLearnReads(t *testing.T) {
	type part struct{ from, n int }
	for name, tt := range map[string]struct {
		learned, oldEnd int
		want            []part
	}{
		"in the middle":          {0, 5000, []part{{4980, 60}}},
		"at the start of old":    {0, 7, []part{{0, 60}}},
		"at the start of a blob": {0, 3005, []part{{3000, 60}}},
		"at the end of a blob":   {0, 3000, []part{{2980, 20}}},
		"at the end of old":      {0, 9990, []part{{9970, 30}}},
		"partly known":           {5010, 5000, []part{{5010, 30}}},
		"known before":           {4980, 5000, []part{{4980, 60}}},
		"known, but not all":     {5040, 5000, []part{{4980, 60}}}, // it ends where this one does
		"nothing before":         {0, 0, nil},
	} {
		var got []part
		m := newMixedCoder(newEncoder(), codingMixed|codingExtra, minTables, 100)
		m.space = space{starts: []int64{0, 3000, 10_000}}
		m.read = func(p []byte, at int64) error {
			got = append(got, part{int(at), len(p)})
			return nil
		}
		m.lesson, m.learned = 60, tt.learned
		if err := m.learn(tt.oldEnd); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: read %v, want %v", name, got, tt.want)
		}
	}
	// An error of reading comes back.
	m := newMixedCoder(newEncoder(), codingMixed|codingExtra, minTables, 100)
	m.space, m.lesson = space{starts: []int64{0, 100}}, 60
	m.read = func([]byte, int64) error { return errTest }
	if err := m.gap(50, 0, make([]byte, 10)); !errors.Is(err, errTest) {
		t.Errorf("got %v", err)
	}
}

// sectionFrame returns the frame of a pack, taken apart.
func sectionFrame(t *testing.T, old, new []byte, l Level) (s section, cols [numColumns][]byte) {
	t.Helper()
	pack, _ := writePack(t, memBlobs(old), memBlobs(new), Options{Level: l})
	h := readHead(t, pack)
	f := &h.Frames[0]
	r := section0(pack[f.Offset : f.Offset+f.Size])
	list, _, err := readSections(r, f.newSize())
	if err != nil || len(list) != 1 || f.Kind != KindNative {
		t.Fatalf("want one section, got %d: %v", len(list), err)
	}
	for c, size := range list[0].cols {
		cr, err := openColumn(column(c), io.NewSectionReader(r, size.at, size.stored), size.raw)
		if err != nil {
			t.Fatal(err)
		}
		cols[c] = make([]byte, size.raw)
		if err := cr.fill(cols[c]); err != nil {
			t.Fatal(err)
		}
		cr.close()
	}
	return list[0], cols
}

// frameFrom makes a frame of a section with such columns, uncompressed.
func frameFrom(s section, cols [numColumns][]byte) []byte {
	var data []byte
	for c, b := range cols {
		s.cols[c] = columnSize{raw: int64(len(b)), stored: int64(len(b))}
		data = append(data, b...)
	}
	return append(appendSections(nil, []section{s}, nil), data...)
}

// patchFrame patches one with what must be made of it, and counts the bytes.
func patchFrame(t *testing.T, frame, old, new []byte) (n int, err error) {
	t.Helper()
	h := frameOf(KindNative, frame, old, int64(len(new)))
	h.Frames[0].New = []Ref{memBlob("", new).Ref}
	err = h.Patch(t.Context(), 0, bytes.NewReader(frame), func(int) (File, error) { return memBlob("", old).Open() },
		func(Ref) (Output, error) { return discard{writerFunc(func(p []byte) { n += len(p) })}, nil })
	return n, err
}

// Streams and columns that were tampered with give an error, and never more
// bytes than were announced.
func TestHostileColumns(t *testing.T) {
	old, _ := called(20_000, 64)
	_, new := called(20_000, 64)
	new = slices.Concat(new[:5000], noise(9, 700), new[5000:])
	for level, name := range map[Level]string{Small: "mixed", Balanced: "predicted", Fast: "plain"} {
		s, cols := sectionFrame(t, old, new, level)
		if n, err := patchFrame(t, frameFrom(s, cols), old, new); err != nil || n != len(new) {
			t.Fatalf("%s: good frame: %d bytes, %v", name, n, err)
		}
		for c := range numColumns {
			if len(cols[c]) == 0 {
				continue
			}
			middle := len(cols[c]) / 2
			for what, b := range map[string][]byte{
				"empty":         nil,
				"cut":           cols[c][:len(cols[c])-1],
				"longer":        append(slices.Clone(cols[c]), 1, 2, 3, 4, 5),
				"byte changed":  slices.Concat(cols[c][:middle], []byte{cols[c][middle] ^ 1}, cols[c][middle+1:]),
				"noise":         noise(uint64(c), len(cols[c])),
				"largest":       bytes.Repeat([]byte{255}, len(cols[c])),
				"without value": make([]byte, len(cols[c])),
			} {
				if bytes.Equal(b, cols[c]) {
					continue
				}
				changed := cols
				changed[c] = b
				n, err := patchFrame(t, frameFrom(s, changed), old, new)
				if err == nil || n > len(new) {
					t.Errorf("%s, %v %s: %d bytes of %d, error %v", name, c, what, n, len(new), err)
				}
			}
		}
	}
}

// Every bit of a short stream matters, or does nothing.
func TestEveryBitOfMixed(t *testing.T) {
	notRacing(t)
	old := text(40, 0)
	new := bytes.Replace(slices.Concat(old, []byte("and a line of its own\n")), []byte("line 7 "), []byte("Line 7 "), 1)
	s, cols := sectionFrame(t, old, new, Small)
	if s.coding != codingMixed|codingExtra || len(cols[colMixed]) > 100 {
		t.Fatalf("coding %d, %d bytes", s.coding, len(cols[colMixed]))
	}
	for i := range 8 * len(cols[colMixed]) {
		changed := cols
		changed[colMixed] = slices.Clone(cols[colMixed])
		changed[colMixed][i/8] ^= 1 << (i % 8)
		if n, err := patchFrame(t, frameFrom(s, changed), old, new); n > len(new) || err == nil && n != len(new) {
			t.Errorf("bit %d: %d bytes of %d, error %v", i, n, len(new), err)
		}
	}
}
