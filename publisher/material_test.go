package publisher

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// entriesOf reads lines of "path content", or "path size content" for files
// that pretend to be that big.
func entriesOf(text string) (entries []manifest.Entry) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := manifest.Entry{Path: f[0], Mode: 0o644}
		switch content := f[len(f)-1]; {
		case strings.HasPrefix(content, "->"):
			e.Kind, e.Mode, e.Link = manifest.Symlink, 0, content[2:]
		default:
			e.Size, e.Digest = int64(len(content)), manifest.Sum([]byte(content))
			if len(f) == 3 {
				fmt.Sscan(f[1], &e.Size)
			}
		}
		entries = append(entries, e)
	}
	sortEntries(entries)
	return entries
}

func sortEntries(entries []manifest.Entry) {
	slices.SortFunc(entries, func(a, b manifest.Entry) int { return strings.Compare(a.Path, b.Path) })
}

func pathsOf(entries []*manifest.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Path)
	}
	return strings.Join(all, " ")
}

func TestMaterial(t *testing.T) {
	cases := []struct{ name, old, new, from, to string }{
		{"nothing changes", "a A\n b B", "a A\n b B", "", ""},
		{"a change", "a A\n b B", "a A\n b B2", "b", "b"},
		{"a rename", "a A\n b B", "c A\n b B", "", ""},
		{"a copy", "a A", "a A\n b A", "", ""},
		{"a swap", "a A\n b B", "a B\n b A", "", ""},
		{"a deletion can be a seed", "a A\n b B", "a A2", "a b", "a"},
		{"added and nothing alike", "bin/a A", "bin/a A\n lib/b.so B", "", "lib/b.so"},
		{"added beside its like", "lib/a.so A\n lib/c.js C", "lib/a.so A\n lib/b.so B\n lib/c.js C", "lib/a.so", "lib/b.so"},
		{"added with a name that is elsewhere", "x/main.go M\n x/b.txt B", "x/b.txt B\n x/main.go M\n y/main.go N", "x/main.go", "y/main.go"},
		{"moved away, and changed where it was", "a A", "a A2\n b A", "a", "a"},
		{"the same content twice", "a A\n b A", "a B\n b B", "a", "a"},
		{"a file in the place of a symlink", "a ->b\n b B", "a A\n b B", "b", "a"},
		{"a symlink in the place of a file", "a A\n b B", "a ->b\n b B2", "a b", "b"},
		{"from nothing", "", "a A", "", "a"},
		{"to nothing", "a A", "", "a", ""},
	}
	for _, c := range cases {
		from, to := material(entriesOf(c.old), entriesOf(c.new))
		if pathsOf(from) != c.from || pathsOf(to) != c.to {
			t.Errorf("%s: want from %q to %q, got from %q to %q", c.name, c.from, c.to, pathsOf(from), pathsOf(to))
		}
	}
}

// TestAlikeIsBounded adds files beside very many, and very big, ones.
func TestAlikeIsBounded(t *testing.T) {
	var old strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&old, "d/f%04d.js %d content%d\n", i, 1000+i*100, i)
	}
	fmt.Fprintf(&old, "big/x.bin %d big\n", 1<<30)
	added := "d/f2000x.js 50000 n1\n d/f2001x.js 70000 n2\n big/y.bin 1000000 n3"
	from, to := material(entriesOf(old.String()), entriesOf(old.String()+added))
	if len(to) != 3 || len(from) < 2 || len(from) > 3*2*neighbours {
		t.Errorf("got from %s to %s", pathsOf(from), pathsOf(to))
	}
	total := int64(0)
	for _, e := range from {
		total += e.Size
		if e.Path == "big/x.bin" {
			t.Error("a file of 1 GiB for one of 1 MB")
		}
	}
	if total > extraFactor*1_120_000+alwaysExtra {
		t.Errorf("%d bytes of old content", total)
	}
	if !strings.Contains(pathsOf(from), "d/f2000.js") || !strings.Contains(pathsOf(from), "d/f2001.js") {
		t.Errorf("the nearest names are missing: %s", pathsOf(from))
	}
}
