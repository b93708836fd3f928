package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConflicts(t *testing.T) {
	file := func(p string) Entry { return Entry{Path: p, Kind: File, Mode: 0o644, Digest: Sum([]byte(p))} }
	dir := func(p string, mode uint32) Entry {
		e := Entry{Path: p, Kind: Dir, Mode: DirMode}
		if mode != 0 {
			e.Mode = 0o700
		}
		return e
	}
	for name, tt := range map[string]struct {
		mine, theirs []Entry
		want         []string
	}{
		"apart":                {[]Entry{file("a/x")}, []Entry{file("a/y"), file("b")}, nil},
		"nothing":              {nil, []Entry{file("a")}, nil},
		"the same file":        {[]Entry{file("a")}, []Entry{file("a")}, []string{"a"}},
		"by case":              {[]Entry{file("A")}, []Entry{file("a")}, []string{"A"}},
		"folders by case":      {[]Entry{file("Mod/x")}, []Entry{file("mod/y")}, []string{"Mod"}},
		"below their file":     {[]Entry{file("a/b")}, []Entry{file("a")}, []string{"a"}},
		"above their file":     {[]Entry{file("a")}, []Entry{file("a/b/c")}, []string{"a"}},
		"the same folder":      {[]Entry{dir("d", 0)}, []Entry{dir("d", 0)}, nil},
		"a folder implied":     {[]Entry{dir("d", 0)}, []Entry{file("d/x")}, nil},
		"folders of two modes": {[]Entry{dir("d", 0)}, []Entry{dir("d", 1)}, []string{"d"}},
		"all at once":          {[]Entry{file("a"), file("b"), file("c/d")}, []Entry{file("a"), file("b/x"), file("c/d")}, []string{"a", "b", "c/d"}},
	} {
		var got []string
		for _, f := range Conflicts(tt.mine, tt.theirs) {
			got = append(got, f.Path)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: want -, got +\n%s", name, diff)
		}
	}
}
