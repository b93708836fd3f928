package publisher

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
)

// Extras are signed with a release, found, verified, bundled and pruned with it.
func TestExtras(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	sbom := func(content string) func(*Release) {
		return func(r *Release) {
			r.Extras = []Extra{{"sbom.json", []byte(content)}, {"provenance.json", []byte("{}")}}
		}
	}
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, sbom("one"))
	w.mustPublish("1.1.0", treetest.Tree{"f": treetest.File("two")}, sbom("two"))
	p := w.publisher(nil)
	details, err := p.Inspect(ctx, "app", "1.1.0")
	must(t, err)
	extras := details[0].Extras
	if len(extras) != 2 || extras[1].Name != "indexes/app/1.1.0/any.sbom.json" {
		t.Fatalf("got %+v", extras)
	}
	if b, err := p.Extra(ctx, extras[1]); err != nil || string(b) != "two" {
		t.Errorf("got %q, %v", b, err)
	}

	dir := t.TempDir()
	to, err := store.OpenDir(dir)
	must(t, err)
	_, err = p.Bundle(ctx, to, Bundle{Product: "app"})
	must(t, err)
	if _, err := os.Stat(filepath.Join(dir, extras[1].File())); err != nil {
		t.Errorf("not in the bundle: %v", err)
	}
	n, err := p.Prune(ctx, "app", 1)
	must(t, err)
	editor, err := p.open(ctx, w.store, w.root)
	must(t, err)
	if left := editor.Targets("app"); n != 1 || len(left) != 4 {
		t.Errorf("pruned %d, left %d targets", n, len(left))
	}
	if faults, err := p.Verify(ctx, true); err != nil || len(faults) > 0 {
		t.Errorf("verify: %v, %v", faults, err)
	}
	must(t, os.WriteFile(filepath.Join(w.dir, extras[1].File()), []byte("owt"), 0o644))
	if faults, err := p.Verify(ctx, true); err != nil || len(faults) != 1 || !strings.Contains(faults[0].Path, "sbom") {
		t.Errorf("verify a changed extra: %v, %v", faults, err)
	}
}

func TestBadExtras(t *testing.T) {
	w := newWorld(t)
	for _, bad := range [][]Extra{
		{{"../sbom.json", []byte("x")}}, {{"json", []byte("x")}}, {{"", []byte("x")}}, {{"SBOM", []byte("x")}},
		{{"sbom", nil}}, {{"sbom", []byte("x")}, {"sbom", []byte("y")}}, {{"sbom", make([]byte, extraLimit+1)}},
	} {
		_, err := w.publish("1.0.0", treetest.Tree{"f": treetest.File("one")}, func(r *Release) { r.Extras = bad })
		if err == nil || !strings.Contains(err.Error(), "extra") {
			t.Errorf("%.20q: got %v", bad[0].Name, err)
		}
	}
}
