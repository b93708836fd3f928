package delta

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

var layoutSpace = space{starts: []int64{0, 5000, 15_000}}

func goodModules() []module {
	return []module{{
		blob: 1, old: []exe.Map{{Pos: 64, Size: 4000, Addr: 0x400040}, {Pos: 5000, Size: 5000, Addr: exe.Unloaded}},
		new: []exe.Map{{Pos: 2000, Size: 6000, Addr: 0x500000}}, blanks: []moved{{0x600000, 100, 0x700000}},
		areas: []area{
			{Area: exe.Area{Pos: 64, Size: 1000, Kind: exe.X86, Bases: []uint64{}}, to: []uint64{}},
			{Area: exe.Area{Pos: 5000, Size: 480, Kind: exe.Table, Stride: 24, Bases: []uint64{1 << 40},
				Fields: []exe.Field{{Offset: 0, Width: 4, Base: 0}, {Offset: 8, Width: 8, Base: exe.FromZero}}}, to: []uint64{5}},
		},
		addends: []exe.Addends{{Pos: 2100, Size: 240, Info: 8}, {Pos: 2400, Size: 100, Info: 1027}},
	}}
}

func TestModulesRoundTrip(t *testing.T) {
	want := goodModules()
	got, err := readModules(appendModules(nil, want), layoutSpace, 9000)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHostileModules(t *testing.T) {
	for name, change := range map[string]func(m *module){
		"no such blob":          func(m *module) { m.blob = 2 },
		"map beyond old":        func(m *module) { m.old[1].Size++ },
		"map beyond new":        func(m *module) { m.new[0].Size = 7001 },
		"area beyond old":       func(m *module) { m.areas[1].Size = 5001 },
		"unknown kind":          func(m *module) { m.areas[0].Kind = 77 },
		"no stride":             func(m *module) { m.areas[1].Stride = 0 },
		"field outside":         func(m *module) { m.areas[1].Fields[1].Offset = 17 },
		"field of three":        func(m *module) { m.areas[1].Fields[0].Width = 3 },
		"no such base":          func(m *module) { m.areas[1].Fields[0].Base = 1 },
		"no such special base":  func(m *module) { m.areas[1].Fields[0].Base = -3 },
		"blank without an end":  func(m *module) { m.blanks[0].size = 1 << 63 },
		"addends beyond new":    func(m *module) { m.addends[1].Size = 6601 },
		"addends overlap":       func(m *module) { m.addends[1].Pos = 2339 },
		"too many addends":      func(m *module) { m.addends = make([]exe.Addends, maxAddendTables+1) },
		"Go functions, no base": func(m *module) { m.areas[0].Kind = exe.GoFuncs },
	} {
		list := goodModules()
		change(&list[0])
		got, err := readModules(appendModules(nil, list), layoutSpace, 9000)
		if err == nil {
			_, err = newPredictor(got, nil, layoutSpace, func([]byte, int64) error { return nil })
		}
		var format *FormatError
		if !errors.As(err, &format) {
			t.Errorf("%s: want a format error, got %v", name, err)
		}
	}
}

func TestHostileLists(t *testing.T) {
	one := module{old: []exe.Map{}, new: []exe.Map{}, blanks: []moved{}}
	other := one
	other.blob = 1
	many := func(blob int) module {
		m := module{blob: blob}
		for range maxAreas {
			m.areas = append(m.areas, area{Area: exe.Area{Kind: exe.X86}})
		}
		return m
	}
	var areas []module
	old := space{starts: []int64{0}}
	for i := range maxAllAreas/maxAreas + 1 {
		areas = append(areas, many(i))
		old.starts = append(old.starts, int64(i+1))
	}
	for name, tt := range map[string]struct {
		list []module
		ok   bool
	}{
		"in order":       {[]module{one, other}, true},
		"out of order":   {[]module{other, one}, false},
		"twice":          {[]module{one, one}, false},
		"addends back":   {[]module{{addends: []exe.Addends{{Pos: 10, Size: 50}}}, {blob: 1, addends: []exe.Addends{{Pos: 59, Size: 50}}}}, false},
		"addends on":     {[]module{{addends: []exe.Addends{{Pos: 10, Size: 50}}}, {blob: 1, addends: []exe.Addends{{Pos: 60, Size: 50}}}}, true},
		"most areas":     {areas[1:], true},
		"too many areas": {areas, false},
	} {
		_, err := readModules(appendModules(nil, tt.list), old, 9000)
		var format *FormatError
		if err != nil && !errors.As(err, &format) || (err == nil) != tt.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Whatever a layout says, predicting must end, and stay inside the window.
func FuzzModules(f *testing.F) {
	f.Add(appendModules(nil, goodModules()))
	old := program(5, 15_000)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readModules(b, layoutSpace, 9000)
		if err != nil {
			return
		}
		covers := []cover{{64, 2000, 3000}, {5064, 5100, 3000}, {9000, 8200, 700}}
		p, err := newPredictor(list, covers, layoutSpace, func(b []byte, at int64) error {
			copy(b, old[at:])
			return nil
		})
		if err != nil {
			return
		}
		var w prediction
		for _, c := range covers {
			pred, _ := predictAt(p, &w, old, c.old, c.new, c.n)
			w.learn(pred, old[c.old:c.old+c.n], c.n)
		}
	})
}

func TestReplaceCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := func(name string, at, end int) (covers []cover) {
			for at < end {
				at += rapid.IntRange(0, 9).Draw(t, name)
				n := rapid.IntRange(1, 20).Draw(t, name)
				if at+n > end {
					break
				}
				covers = append(covers, cover{rapid.IntRange(0, 99).Draw(t, name), at, n})
				at += n
			}
			return covers
		}
		covers := list("covers", 0, 200)
		from := rapid.IntRange(0, 200).Draw(t, "from")
		to := rapid.IntRange(from, 200).Draw(t, "to")
		by := list("by", from, to)
		// For each place in new: its place in old.
		var want, got [200]int
		mark := func(m *[200]int, list []cover, ok func(int) bool) {
			end := 0
			for _, c := range list {
				if c.new < end || c.n <= 0 {
					t.Fatalf("cover %+v is not behind %d", c, end)
				}
				end = c.new + c.n
				for i := range c.n {
					if ok(c.new + i) {
						m[c.new+i] = c.old + i + 1
					}
				}
			}
		}
		mark(&want, covers, func(i int) bool { return i < from || i >= to })
		mark(&want, by, func(int) bool { return true })
		mark(&got, replaceCovers(covers, from, to, by), func(int) bool { return true })
		if got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
