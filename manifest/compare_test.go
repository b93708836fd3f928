package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// describe tells changes in short: "+a" added, "-a" deleted, "*a" changed.
func describe(changes []Change) string {
	var words []string
	for _, c := range changes {
		switch {
		case c.From == nil:
			words = append(words, "+"+c.Path)
		case c.To == nil:
			words = append(words, "-"+c.Path)
		default:
			words = append(words, "*"+c.Path)
		}
	}
	return strings.Join(words, " ")
}

func TestCompare(t *testing.T) {
	// Each word is a path and, behind "=", its content; "@" makes a symlink
	// to it, "/" a folder with that mode.
	for _, c := range []struct{ name, from, to, want string }{
		{"nothing", "", "", ""},
		{"same", "a=1 b@a c/755", "a=1 b@a c/755", ""},
		{"first release", "", "a=1 b=2", "+a +b"},
		{"last release", "a=1 b=2", "", "-a -b"},
		{"content", "a=1 b=2 c=3", "a=1 b=x c=3", "*b"},
		{"size alone", "a=1", "a=11", "*a"},
		{"added before, between, behind", "b=1 d=1", "a=1 b=1 c=1 d=1 e=1", "+a +c +e"},
		{"deleted before, between, behind", "a=1 b=1 c=1 d=1 e=1", "b=1 d=1", "-a -c -e"},
		{"renamed", "a=1 b=2", "a=1 c=2", "-b +c"},
		{"swapped", "a=1 b=2", "a=2 b=1", "*a *b"},
		{"retargeted", "a@x", "a@y", "*a"},
		{"folder's mode", "a/755", "a/700", "*a"},
		{"file to symlink", "a=1", "a@b", "*a"},
		{"file to folder", "a=1", "a/755", "*a"},
		{"file to full folder", "a=1", "a/b=1 a/c=1", "-a +a/b +a/c"},
		{"full folder to file", "a/b=1 a/c=1", "a=1", "+a -a/b -a/c"},
		{"case of a name", "readme=1", "README=1", "+README -readme"},
		{"everything at once", "a=1 b=1 d@a f/755", "a=2 c=1 d@b f/755", "*a -b +c *d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := parseList(c.from), parseList(c.to)
			changes := Compare(from, to)
			if got := describe(changes); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			// There and back again name the same paths.
			back := strings.NewReplacer("+", "-", "-", "+").Replace(c.want)
			if got := describe(Compare(to, from)); got != back {
				t.Errorf("backwards: got %q, want %q", got, back)
			}
		})
	}
}

func TestCompareSeesModeAndConfig(t *testing.T) {
	from := []Entry{file("a", 0o644, "1"), file("b", 0o644, "1")}
	to := []Entry{file("a", 0o755, "1"), withConfig(file("b", 0o644, "1"), KeepConfig)}
	if got := describe(Compare(from, to)); got != "*a *b" {
		t.Errorf("got %q", got)
	}
}

func parseList(s string) (list []Entry) {
	for word := range strings.FieldsSeq(s) {
		i := strings.LastIndexAny(word, "=@")
		switch {
		case i < 0:
			path, _, _ := strings.Cut(word, "/")
			e := Entry{Path: path, Kind: Dir}
			fmt.Sscanf(word[len(path):], "/%o", &e.Mode)
			list = append(list, e)
		case word[i] == '@':
			list = append(list, Entry{Path: word[:i], Kind: Symlink, Link: word[i+1:]})
		default:
			list = append(list, file(word[:i], 0o644, word[i+1:]))
		}
	}
	return list
}

// TestCompareApplied applies the changes between any two lists, and wants the
// second one.
func TestCompareApplied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawEntries(t), drawEntries(t)
		// Lists that have much in common.
		for _, e := range from {
			if rapid.Bool().Draw(t, "in both") {
				if longer := insert(to, e); ValidateEntries(longer) == nil {
					to = longer
				}
			}
		}
		changes := Compare(from, to)
		got := map[string]Entry{}
		for _, e := range from {
			got[e.Path] = e
		}
		for i, c := range changes {
			if i > 0 && c.Path <= changes[i-1].Path {
				t.Fatalf("%q after %q", c.Path, changes[i-1].Path)
			}
			if old, had := got[c.Path]; had != (c.From != nil) || had && old != *c.From {
				t.Fatalf("%q: from %v, but it was %v", c.Path, c.From, old)
			}
			delete(got, c.Path)
			if c.To != nil {
				got[c.Path] = *c.To
			}
		}
		var list []Entry
		for _, e := range got {
			list = insert(list, e)
		}
		if !slices.Equal(list, to) {
			t.Fatalf("got %v, want %v", list, to)
		}
		if len(changes) > 0 != (TreeDigest(from) != TreeDigest(to)) {
			t.Fatalf("%d changes, but tree digests say otherwise", len(changes))
		}
	})
}

func TestLookup(t *testing.T) {
	m := synthetic()
	for i := range m.Entries {
		if got := m.Lookup(m.Entries[i].Path); got != &m.Entries[i] {
			t.Fatalf("%s: got %v", m.Entries[i].Path, got)
		}
	}
	for _, p := range []string{"", "a", "src", "src/pkg000", m.Entries[7].Path + "x", "zzz"} {
		if got := m.Lookup(p); got != nil {
			t.Errorf("%q: got %v", p, got)
		}
	}
	if got := small().Lookup("a"); got != nil {
		t.Errorf("in an empty manifest: got %v", got)
	}
}

func TestContent(t *testing.T) {
	if got := small(file("a", 0, "12345"), Entry{Path: "b", Kind: Dir}, file("c", 0, ""), file("d", 0, "12345")).Content(); got != 10 {
		t.Errorf("got %d bytes, want 10", got)
	}
}
