package publisher

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
)

func TestCosts(t *testing.T) {
	w := newWorld(t)
	big := words(1, 1<<20)
	changed := big[:1<<19] + "something new in the middle" + big[1<<19:]
	w.mustPublish("1.0.0", treetest.Tree{"big": treetest.File(big), "same": treetest.File("same"), "gone": treetest.File("gone")}, nil)
	w.mustPublish("1.1.0", treetest.Tree{"big": treetest.File(changed), "copy": treetest.File(changed), "same": treetest.File("same"),
		"fresh": treetest.File(words(2, 1<<16))}, nil)
	all, err := w.publisher(nil).Costs(t.Context(), "app", "1.1.0")
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("want one pack, got %+v", all)
	}
	c := all[0]
	if c.From.Version != "1.0.0" || c.Unchanged != int64(len("same")) || c.Content != int64(2*len(changed)+1<<16+len("same")) {
		t.Errorf("got %+v", c)
	}
	stored := c.Head
	for _, p := range c.Parts {
		stored += p.Stored
	}
	if stored != c.Size {
		t.Errorf("head and parts have %d bytes, the pack %d", stored, c.Size)
	}
	if first := c.Parts[0]; !slices.Equal(first.Paths, []string{"fresh"}) || first.Stored < 1<<14 {
		t.Errorf("want the new file first, got %+v", first)
	}
	if !slices.ContainsFunc(c.Parts, func(p Part) bool { return slices.Equal(p.Paths, []string{"big", "copy"}) && p.Stored < 1000 }) {
		t.Errorf("want big and copy in one small part, got %+v", c.Parts)
	}

	packs, err := filepath.Glob(filepath.Join(w.dir, "packs", "*", "*", "*"))
	must(t, err)
	if len(packs) == 0 {
		packs, err = filepath.Glob(filepath.Join(w.dir, "packs", "*"))
		must(t, err)
	}
	for _, p := range packs {
		if b, err := os.ReadFile(p); err == nil {
			b[20] ^= 1
			must(t, os.WriteFile(p, b, 0o644))
		}
	}
	var mismatch *store.MismatchError
	if _, err := w.publisher(nil).Costs(t.Context(), "app", "1.1.0"); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "packs/") {
		t.Errorf("a flipped bit: want a mismatch, got %v", err)
	}
}
