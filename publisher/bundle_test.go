package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
)

// A bundle is a whole repository to whoever installs or updates from it, and
// holds no more than that takes.
func TestBundle(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	w.mustPublish("1.1.0", trees[1], nil)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("of another product")}, func(r *Release) { r.Facts.Product = "other" })
	bundle := func(b Bundle) (store.Store, error) {
		to, err := store.OpenDir(t.TempDir())
		must(t, err)
		_, err = w.publisher(nil).Bundle(ctx, to, b)
		return to, err
	}
	for _, b := range []Bundle{{Product: "nope"}, {Product: "app", Version: "9.0.0"}, {Product: "app", Channel: "beta"}, {Product: "app", Platform: "plan9-arm"}} {
		if _, err := bundle(b); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: got %v", b, err)
		}
	}
	to, err := bundle(Bundle{Product: "app"}) // tries an install, by the real client
	must(t, err)
	if _, err := w.publisher(nil).Bundle(ctx, to, Bundle{Product: "app"}); err == nil {
		t.Error("into a bundle: want an error")
	}
	var names []string
	for file, err := range to.List(ctx, "") {
		must(t, err)
		names = append(names, file.Name)
	}
	all := strings.Join(names, "\n")
	for _, want := range []string{"metadata/1.root.json", "metadata/timestamp.json", "manifests/app/1.1.0/", "indexes/app/1.1.0/", "packs/app/any/1.0.0-1.1.0"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing from\n%s", want, all)
		}
	}
	for _, more := range []string{"manifests/app/1.0.0/", "manifests/other/", "metadata/1.app.json"} {
		if strings.Contains(all, more) {
			t.Errorf("%s is in the bundle", more)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ".key") }) {
		t.Error("a key is in the bundle")
	}
	w.now = w.now.Add(time.Hour)
	must(t, w.publisher(nil).Refresh(ctx)) // goes on above the bundle's version
}

// TestBundleHasTheWay wants in a bundle what old installs have to stop at.
func TestBundleHasTheWay(t *testing.T) {
	w := newWorld(t)
	for i, edit := range []func(*Release){nil, nil, barrier, nil, strict} {
		w.mustPublish(fmt.Sprintf("1.%d.0", i), treetest.Tree{"f": treetest.File(fmt.Sprint(i))}, edit)
	}
	yes := true
	w.mustPublish("1.5.0", treetest.Tree{"f": treetest.File("5")}, nil)
	must(t, w.publisher(nil).Mark(t.Context(), Mark{Product: "app", Version: "1.5.0", Unstable: &yes}))
	to, err := store.OpenDir(t.TempDir())
	must(t, err)
	all, err := w.publisher(nil).Bundle(t.Context(), to, Bundle{Product: "app"})
	must(t, err)
	if len(all) != 1 || all[0].Version != "1.4.0" {
		t.Errorf("got %+v", all)
	}
	var got []string
	for file, err := range to.List(t.Context(), "manifests/") {
		must(t, err)
		got = append(got, strings.Split(file.Name, "/")[2])
	}
	slices.Sort(got)
	if want := []string{"1.2.0", "1.3.0", "1.4.0"}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}
