package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// fourReleases publishes four releases, each with content of its own, of which
// one stays listed.
func fourReleases(t *testing.T) (w *world, trees []treetest.Tree) {
	w = newWorld(t)
	for i := range 4 {
		tree := treetest.Tree{
			"always": treetest.File(words(1, 9000)),
			"text":   treetest.File(words(2, 20_000) + fmt.Sprint(i)),
			"own":    treetest.File(words(uint64(10+i), 3000)),
		}
		trees = append(trees, tree)
		w.mustPublish(fmt.Sprintf("1.%d.0", i), tree, nil)
	}
	n, err := w.publisher(nil).Prune(t.Context(), "app", 1)
	must(t, err)
	if n != 3 {
		t.Fatalf("%d pruned, want 3", n)
	}
	return w, trees
}

// collect collects at the time of the file system.
func (w *world) collect(c Collection) (*Collected, error) {
	return w.publisher(func(o *Options) { o.Now = time.Now }).Collect(context.Background(), c)
}

func (w *world) mustCollect(c Collection) *Collected {
	w.t.Helper()
	done, err := w.collect(c)
	must(w.t, err)
	return done
}

// age makes files look as if they had been written so long ago. Newer ones stay
// a moment newer, so that their order stays.
func (w *world) age(d time.Duration) {
	w.t.Helper()
	for name := range w.files() {
		path := filepath.Join(w.dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		must(w.t, err)
		then := info.ModTime().Add(-d)
		must(w.t, os.Chtimes(path, then, then))
	}
}

// TestCollectLeavesWhatVerifyReads is how a new kind of file that releases name
// would be noticed here.
func TestCollectLeavesWhatVerifyReads(t *testing.T) {
	w, _ := fourReleases(t)
	read := &reads{Store: w.store, names: map[string]bool{}}
	faults, err := w.publisher(func(o *Options) { o.Store = read }).Verify(t.Context(), true)
	must(t, err)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	before := w.files()
	done := w.mustCollect(Collection{Grace: -1})
	after := w.files()
	if want := slices.Sorted(maps.Keys(after)); len(done.Files) == 0 || done.Used != len(want) || done.Young != 0 {
		t.Errorf("got %d files deleted, %d in use, %d young", len(done.Files), done.Used, done.Young)
	}
	for name := range after {
		if !read.names[name] {
			t.Errorf("%s stayed, and nobody reads it", name)
		}
	}
	for _, file := range done.Files {
		if read.names[file.Name] {
			t.Errorf("%s went, and Verify reads it", file.Name)
		}
		if _, there := after[file.Name]; there || int64(len(before[file.Name].Content)) != file.Size {
			t.Errorf("%s: told as deleted with %d bytes", file.Name, file.Size)
		}
	}
	w.verify()
	if done := w.mustCollect(Collection{Grace: -1}); len(done.Files) > 0 {
		t.Errorf("the second time: got %v", done.Files)
	}
}

type reads struct {
	store.Store
	mu    sync.Mutex
	names map[string]bool
}

func (r *reads) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := r.Store.Fetch(ctx, name, offset, length)
	if err == nil {
		r.mu.Lock()
		r.names[name] = true
		r.mu.Unlock()
	}
	return body, err
}

func TestCollectDryRun(t *testing.T) {
	w, _ := fourReleases(t)
	before := w.files()
	would := w.mustCollect(Collection{Grace: -1, DryRun: true})
	if diff := treetest.Diff(before, w.files()); diff != "" {
		t.Errorf("something has changed: %s", diff)
	}
	did := w.mustCollect(Collection{Grace: -1})
	if !slices.Equal(would.Files, did.Files) || would.Bytes != did.Bytes || did.Bytes == 0 {
		t.Errorf("would: %v\ndid: %v", would, did)
	}
}

// TestCollectGrace moves the clock: young files stay, and what went out of use
// within the grace, with all that it names.
func TestCollectGrace(t *testing.T) {
	w, _ := fourReleases(t)
	if done := w.mustCollect(Collection{}); len(done.Files) > 0 || done.Young+done.Used != len(w.files()) {
		t.Errorf("at once: got %+v", done)
	}
	w.age(6 * 24 * time.Hour)
	if done := w.mustCollect(Collection{}); len(done.Files) > 0 {
		t.Errorf("after 6 days: got %v", done.Files)
	}
	// The files are 30 days old, and the newest metadata is one day old: that took
	// the place of what clients may have begun with.
	w.age(24 * 24 * time.Hour)
	w.mustPublish("1.4.0", treetest.Tree{"own": treetest.File("4")}, func(r *Release) { r.Keep = 1 })
	for name := range w.files() {
		if info, err := os.Stat(filepath.Join(w.dir, name)); err == nil && time.Since(info.ModTime()) < time.Hour {
			then := time.Now().Add(-24 * time.Hour)
			must(t, os.Chtimes(filepath.Join(w.dir, name), then, then))
		}
	}
	done := w.mustCollect(Collection{})
	var gone []string
	for _, f := range done.Files {
		if f.Name == "metadata/5.app.json" || f.Name == "metadata/6.snapshot.json" || strings.Contains(f.Name, "app/1.3.0/") {
			t.Errorf("%s was in use a day ago", f.Name)
		}
		if strings.HasPrefix(f.Name, "metadata/") || strings.HasPrefix(f.Name, "manifests/") {
			gone = append(gone, f.Name[:strings.LastIndex(f.Name, ".")])
		}
	}
	for _, want := range []string{"metadata/1.app", "metadata/4.app", "metadata/1.snapshot"} {
		if !slices.Contains(gone, want) {
			t.Errorf("%s.json is still there; gone are %v", want, gone)
		}
	}
	w.verify()
	w.age(8 * 24 * time.Hour)
	if done := w.mustCollect(Collection{}); len(done.Files) == 0 {
		t.Error("8 days later: nothing went")
	}
	w.verify()
	for name := range w.files() {
		if strings.Contains(name, "1.3.0") {
			t.Errorf("%s is still there", name)
		}
	}
}

// TestCollectLeavesTheRest keeps roots, and what publishers do not write.
func TestCollectLeavesTheRest(t *testing.T) {
	w, _ := fourReleases(t)
	old, err := w.release.PublicKey()
	must(t, err)
	next, pub := w.key(trust.Ed25519)
	_, err = w.publisher(func(o *Options) { o.Signers = []trust.Signer{w.recovery, next} }).ReplaceKey(t.Context(), old, pub)
	must(t, err)
	strange := []string{"index.html", "metadata/README.md", "metadata/0.snapshot.json", "metadata/x.app.json", "metadata/01.app.json", "other/file"}
	for _, name := range strange {
		must(t, w.store.Push(t.Context(), name, strings.NewReader("x"), 1))
	}
	w.mustCollect(Collection{Grace: -1})
	after := w.files()
	for _, name := range append(strange, "metadata/1.root.json", "metadata/2.root.json") {
		if _, there := after[name]; !there {
			t.Errorf("%s went", name)
		}
	}
}

// TestCollectLeftovers takes away what stopped publishes have left, once it is
// old enough, but not what the next publish needs.
func TestCollectLeftovers(t *testing.T) {
	w, next := crashWorld(t)
	w.mustCollect(Collection{Grace: -1})
	before := w.files()
	_, err := w.publisher(func(o *Options) {
		o.Rehearse = nil
		o.Store = &watched{Store: o.Store, before: func(name string) error {
			if name == timestampName {
				return errStopped
			}
			return nil
		}}
	}).Publish(t.Context(), next)
	if !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	if done := w.mustCollect(Collection{}); len(done.Files) > 0 || done.Young < 8 {
		t.Errorf("young leftovers: got %+v", done)
	}
	w.age(8 * 24 * time.Hour)
	w.mustCollect(Collection{})
	if diff := treetest.Diff(before, w.files()); diff != "" {
		t.Errorf("not as before the publish: %s", diff)
	}
	_, err = w.publisher(nil).Publish(t.Context(), next)
	must(t, err)
	w.verify()
}

// TestCollectNeedsAllReleases takes one file after the other that says what
// releases are made of.
func TestCollectNeedsAllReleases(t *testing.T) {
	treetest.NotRacing(t)
	w, _ := fourReleases(t)
	w.mustPublish("1.4.0", treetest.Tree{"own": treetest.File("4")}, nil)
	tried := 0
	for name := range w.files() {
		if !strings.HasPrefix(name, "objects/lists/") && !strings.HasPrefix(name, "manifests/") && !strings.HasPrefix(name, "indexes/") {
			continue
		}
		w := w.copyOf(t)
		must(t, w.store.Delete(t.Context(), name))
		faults, err := w.publisher(nil).Verify(t.Context(), false)
		must(t, err)
		if len(faults) == 0 { // of a release that is not listed
			continue
		}
		tried++
		before := w.files()
		if _, err := w.collect(Collection{Grace: -1}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: got %v", name, err)
		}
		if diff := treetest.Diff(before, w.files()); diff != "" {
			t.Errorf("without %s: something has changed: %s", name, diff)
		}
	}
	if tried != 6 {
		t.Errorf("tried %d files, want 3 of 2 releases", tried)
	}
}

// TestCollectStopped stops at each deletion, or in the middle of it. Clients are
// served all the time, and the next one brings the same repository about as an
// undisturbed one, without empty folders.
func TestCollectStopped(t *testing.T) {
	treetest.NotRacing(t)
	w, trees := fourReleases(t)
	clean := w.copyOf(t)
	total := len(clean.mustCollect(Collection{Grace: -1}).Files)
	want := clean.files()
	for k := 1; k <= total; k++ {
		w := w.copyOf(t)
		_, err := w.publisher(func(o *Options) {
			o.Now = time.Now
			o.Store = &deletes{Store: w.store, left: k - 1, stopping: func(name string) {
				if k%2 == 0 { // before its folder goes
					must(t, os.Remove(filepath.Join(w.dir, filepath.FromSlash(name))))
				}
			}}
		}).Collect(t.Context(), Collection{Grace: -1})
		if !errors.Is(err, errStopped) {
			t.Fatalf("%d of %d: got %v", k, total, err)
		}
		if k%5 == 0 || k == total {
			w.verify()
			w.client(t, w.store).is(trees[3])
		}
		w.mustCollect(Collection{Grace: -1})
		if diff := treetest.Diff(want, w.files()); diff != "" {
			t.Errorf("%d of %d: not the same repository: %s", k, total, diff)
		}
		must(t, filepath.WalkDir(w.dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				if inside, _ := os.ReadDir(name); len(inside) == 0 {
					t.Errorf("%d of %d: empty: %s", k, total, name)
				}
			}
			return err
		}))
	}
}

// deletes is a store that stops after some deletions.
type deletes struct {
	store.Store
	mu   sync.Mutex
	left int

	then, stopping func(name string) // may be nil; one at a time
}

func (d *deletes) Delete(ctx context.Context, name string) error {
	d.mu.Lock()
	d.left--
	stop := d.left < 0
	if d.then != nil {
		d.then(name)
	}
	if d.left == -1 && d.stopping != nil {
		d.stopping(name)
	}
	d.mu.Unlock()
	if stop {
		return errStopped
	}
	return d.Store.Delete(ctx, name)
}

// TestCollectLosesTheLock has another publisher come between: nothing of what that
// one may use again is deleted.
func TestCollectLosesTheLock(t *testing.T) {
	w, _ := fourReleases(t)
	gone := 0
	_, err := w.publisher(func(o *Options) {
		o.Now = time.Now
		o.Store = &deletes{Store: unlocked{w.store}, left: 1 << 30, then: func(name string) {
			if gone++; gone == 1 {
				w.mustPublish("1.4.0", treetest.Tree{"own": treetest.File(words(10, 3000))}, nil)
			}
		}}
	}).Collect(t.Context(), Collection{Grace: -1})
	if err == nil || !strings.Contains(err.Error(), "another publisher") {
		t.Errorf("got %v", err)
	}
	w.verify()
	w.client(t, w.store).is(treetest.Tree{"own": treetest.File(words(10, 3000))})
}
