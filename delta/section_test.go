package delta

import (
	"errors"
	"reflect"
	"testing"
)

func goodSections() []section {
	plain := section{size: 1000, covers: 3}
	plain.cols = [numColumns]columnSize{
		colSkip: {raw: 3, stored: 3}, colLength: {raw: 6, stored: 5}, colJump: {raw: 4, stored: 4},
		colZeros: {raw: 2, stored: 2}, colRun: {raw: 1, stored: 1}, colValue: {raw: 9, stored: 9}, colExtra: {raw: 100, stored: 40},
	}
	mixed := section{size: 500, covers: 1, coding: codingMixed | codingExtra, tables: 14}
	mixed.cols = [numColumns]columnSize{
		colSkip: {raw: 1, stored: 1}, colLength: {raw: 2, stored: 2}, colJump: {raw: 1, stored: 1},
		colMixed: {raw: 70, stored: 70},
	}
	return []section{plain, mixed}
}

// frameBytes returns a frame of sections with columns of zeros.
func frameBytes(list []section) []byte {
	b := appendSections(nil, list, nil)
	for _, s := range list {
		for _, c := range s.cols {
			b = append(b, make([]byte, max(c.stored, 0))...)
		}
	}
	return b
}

func TestSectionsRoundTrip(t *testing.T) {
	want := goodSections()
	b := frameBytes(want)
	got, _, err := readSections(section0(b), 1500)
	if err != nil {
		t.Fatal(err)
	}
	// Control columns of both come before data columns of both.
	first, last := got[0].cols[colZeros].at, got[1].cols[colJump]
	if first != last.at+last.stored {
		t.Errorf("data columns start at %d, want %d", first, last.at+last.stored)
	}
	for i := range got {
		for c := range got[i].cols {
			got[i].cols[c].at = 0
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHostileSections(t *testing.T) {
	for name, change := range map[string]func(plain, mixed *section){
		"size zero":            func(p, m *section) { p.size, m.size = 0, 1500 },
		"too much new":         func(p, m *section) { p.size++ },
		"too little new":       func(p, m *section) { p.size-- },
		"more covers than new": func(p, m *section) { p.covers = 1001 },
		"unknown coding":       func(p, m *section) { m.coding = codingInvalid },
		"no mixed coding":      func(p, m *section) { m.coding = codingExtra },
		"mixed, but plain":     func(p, m *section) { p.cols[colMixed] = columnSize{raw: 1, stored: 1} },
		"plain, but mixed":     func(p, m *section) { m.cols[colValue] = columnSize{raw: 1, stored: 1} },
		"extra twice":          func(p, m *section) { m.cols[colExtra] = columnSize{raw: 1, stored: 1} },
		"mixed is compressed":  func(p, m *section) { m.cols[colMixed].raw++ },
		"tables too small":     func(p, m *section) { m.tables = minTables - 1 },
		"tables too large":     func(p, m *section) { m.tables = maxTables + 1 },
		"too many covers":      func(p, m *section) { p.size, m.size, m.covers = 1, 1<<20, maxMixedCovers+1 },
		"plain, but layout":    func(p, m *section) { p.cols[colLayout] = columnSize{raw: 1, stored: 1} },
		"layout too large":     func(p, m *section) { m.cols[colLayout] = columnSize{raw: maxLayout + 1, stored: 1} },
		"predicted and mixed":  func(p, m *section) { m.coding |= codingPredicted },
		"predicted, but mixed": func(p, m *section) { p.coding, p.cols[colMixed] = codingPredicted, columnSize{raw: 1, stored: 1} },
		"stored over raw":      func(p, m *section) { p.cols[colExtra] = columnSize{raw: 40, stored: 41} },
		"value over new":       func(p, m *section) { p.cols[colValue].raw = 1001 },
		"numbers without end":  func(p, m *section) { p.cols[colZeros].raw = 10*1001 + 1 },
	} {
		list := goodSections()
		change(&list[0], &list[1])
		size := int64(1500)
		if name == "too many covers" {
			size = list[0].size + list[1].size
		}
		_, _, err := readSections(section0(frameBytes(list)), size)
		var format *FormatError
		if !errors.As(err, &format) {
			t.Errorf("%s: want a format error, got %v", name, err)
		}
	}
	good := frameBytes(goodSections())
	for name, b := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "cut in header": good[:10], "longer": append(good[:len(good):len(good)], 0),
		"huge header": {0xff, 0xff, 0xff, 0x7f}, "long number": {0x81, 0}, "huge count": {5, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if _, _, err := readSections(section0(b), 1500); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

// A mixed stream that ends early must not go on making bytes out of nothing.
func TestMixedStreamEnds(t *testing.T) {
	s := section{size: 1 << 30, covers: 0, coding: codingMixed | codingExtra, tables: minTables}
	s.cols[colMixed] = columnSize{raw: 10, stored: 10}
	list := []section{s}
	b := frameBytes(list)
	h := frameOf(KindNative, b, nil, s.size)
	n := 0
	err := h.Patch(t.Context(), 0, section0(b), func(int) (File, error) { return memBlob("", nil).Open() },
		func(Ref) (Output, error) { return discard{writerFunc(func(p []byte) { n += len(p) })}, nil })
	if err == nil || n > 1<<20 {
		t.Errorf("%d bytes made of 10, error %v", n, err)
	}
}
