package manifest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// TestConflictsAsInOneTree wants two lists to conflict exactly if they cannot
// be one list, but for folders that both have.
func TestConflictsAsInOneTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawEntries(t), drawEntries(t)
		joined := a
		for _, e := range b {
			if i := slices.Index(a, e); i < 0 || e.Kind != Dir {
				joined = insert(joined, e)
			}
		}
		if got, want := Conflicts(a, b), ValidateEntries(joined); len(got) > 0 != (want != nil) {
			t.Errorf("conflicts %v, but as one list: %v", got, want)
		}
		if got, back := Conflicts(a, b), Conflicts(b, a); len(got) > 0 != (len(back) > 0) {
			t.Errorf("conflicts %v, the other way round %v", got, back)
		}
	})
}
