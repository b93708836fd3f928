package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
)

// install is an install of the product "app".
type install struct {
	t     *testing.T
	world *world
	dir   string
}

// client installs the newest release.
func (w *world) client(t *testing.T, f store.Fetcher) *install {
	t.Helper()
	i := &install{t, w, filepath.Join(t.TempDir(), "tree")}
	_, err := i.open(f).Install(t.Context(), client.UpdateOptions{})
	must(t, err)
	return i
}

func (i *install) open(f store.Fetcher) *client.Client {
	i.t.Helper()
	c, err := client.New(client.Options{Dir: i.dir, Store: f, Root: i.world.root, Product: "app"})
	must(i.t, err)
	return c
}

func (i *install) update(f store.Fetcher) error {
	_, err := i.open(f).Update(i.t.Context(), client.UpdateOptions{})
	return err
}

// is compares the tree with what it should be.
func (i *install) is(want treetest.Tree) {
	i.t.Helper()
	got := treetest.Read(i.t, i.dir)
	maps.DeleteFunc(got, func(path string, _ treetest.Entry) bool { return strings.HasPrefix(path, ".treegraft") })
	if diff := treetest.Diff(want, got); diff != "" {
		i.t.Errorf("installed: %s", diff)
	}
}

// TestClientsAfterCollect has an install of each release, most of them not listed
// any more. All go on, and a new one comes.
func TestClientsAfterCollect(t *testing.T) {
	w := newWorld(t)
	var installs []*install
	var tree treetest.Tree
	for i := range 4 {
		tree = treetest.Tree{"text": treetest.File(words(2, 20_000) + fmt.Sprint(i)), "own": treetest.File(words(uint64(10+i), 3000))}
		w.mustPublish(fmt.Sprintf("1.%d.0", i), tree, nil)
		installs = append(installs, w.client(t, w.store))
	}
	_, err := w.publisher(nil).Prune(t.Context(), "app", 1)
	must(t, err)
	if done := w.mustCollect(Collection{Grace: -1}); len(done.Files) < 12 {
		t.Errorf("only %d files went", len(done.Files))
	}
	for _, i := range append(installs, w.client(t, w.store)) {
		must(t, i.update(w.store))
		i.is(tree)
		if drift, err := i.open(w.store).Verify(t.Context()); err != nil || len(drift) > 0 {
			t.Errorf("verify: %v, %v", drift, err)
		}
	}
	w.verify()
}

// TestCollectUnderAClient publishes, prunes and collects while a client has read
// the old timestamp, and nothing else yet. Within the grace that client ends where
// it was going; without, it says that files are missing, and its tree is as before.
func TestCollectUnderAClient(t *testing.T) {
	for _, tt := range []struct {
		name  string
		c     Collection
		whole bool
	}{
		{"within the grace", Collection{}, true},
		{"without a grace", Collection{Grace: -1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			trees := threeReleases()
			w.mustPublish("1.0.0", trees[0], nil)
			i := w.client(t, w.store)
			w.mustPublish("1.1.0", trees[1], nil)
			err := i.update(&meanwhile{Fetcher: w.store, do: func() {
				w.mustPublish("1.2.0", trees[2], func(r *Release) { r.Keep, r.Packs = 1, -1 })
				w.mustCollect(tt.c)
			}})
			if tt.whole {
				must(t, err)
				i.is(trees[1])
			} else {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("got %v, want what is missing", err)
				}
				i.is(trees[0])
			}
			must(t, i.update(w.store))
			i.is(trees[2])
			w.verify()
		})
	}
}

// meanwhile does something once, when a timestamp has been read.
type meanwhile struct {
	store.Fetcher
	do func()
}

func (m *meanwhile) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := m.Fetcher.Fetch(ctx, name, offset, length)
	if name == timestampName && m.do != nil {
		m.do()
		m.do = nil
	}
	return body, err
}

// TestMergeAfterCollect collects what a proposed release has stored. Merging it
// would make a release live that nobody can install.
func TestMergeAfterCollect(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	var proposal []byte
	propose := func(o *Options) { o.Propose = func(b []byte) error { proposal = b; return nil } }
	next := Release{Tree: w.tree(treetest.Tree{"f": treetest.File("two")})}
	next.Facts.Product, next.Facts.Version = "app", "1.1.0"
	_, err := w.publisher(propose).Publish(t.Context(), next)
	must(t, err)
	before := w.seen()
	w.mustCollect(Collection{Grace: -1})
	if _, err := w.publisher(nil).Merge(t.Context(), proposal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want what is missing", err)
	}
	if got := w.seen(); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("clients see %v", got)
	}
	_, err = w.publisher(propose).Publish(t.Context(), next)
	must(t, err)
	_, err = w.publisher(nil).Merge(t.Context(), proposal)
	must(t, err)
	if len(w.seen()) != 2 {
		t.Errorf("clients see %v", w.seen())
	}
	w.verify()
}
