package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// crashWorld has one release; the next is to be published again and again.
func crashWorld(t *testing.T) (w *world, next Release) {
	w = newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	w.now = w.now.Add(1)
	return w, Release{Facts: manifest.Release{Product: "app", Version: "1.1.0"}, Tree: w.tree(trees[1]), Delta: delta.Options{Level: delta.Fast}}
}

// copyOf is the world with a copy of the repository.
func (w *world) copyOf(t *testing.T) *world {
	c := *w
	c.t, c.dir = t, t.TempDir()
	w.files().Write(t, c.dir)
	var err error
	c.store, err = store.OpenDir(c.dir)
	must(t, err)
	return &c
}

// TestStopAtEveryWrite stops a publish at each write to the store, once before
// and once after it took effect. Clients see the old state or the new one; the
// next publish succeeds, makes the very repository that an undisturbed one
// makes, and writes nothing again but metadata. Rehearsals have their own tests.
func TestStopAtEveryWrite(t *testing.T) {
	treetest.NotRacing(t)
	w, next := crashWorld(t)
	clean := w.copyOf(t)
	counted := &watched{Store: clean.store}
	_, err := clean.publisher(func(o *Options) { o.Store, o.Rehearse = counted, nil }).Publish(t.Context(), next)
	must(t, err)
	want, total := clean.files(), len(counted.names)
	if total < 8 || counted.names[total-1] != timestampName {
		t.Fatalf("writes: got %v", counted.names)
	}
	before, after := w.seen(), clean.seen()
	for k := 1; k <= total; k++ {
		for _, partial := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d of %d, partial %v", k, total, partial), func(t *testing.T) {
				w := w.copyOf(t)
				broken := &watched{Store: w.store, failAt: k, partial: partial}
				_, err := w.publisher(func(o *Options) { o.Store, o.Rehearse = broken, nil }).Publish(t.Context(), next)
				if !errors.Is(err, errStopped) {
					t.Fatalf("want the store's error, got %v", err)
				}
				live := k == total && partial
				if got := w.seen(); !slices.Equal(got, before) && !(live && slices.Equal(got, after)) {
					t.Errorf("after the stop clients see %v", got)
				}
				again := &watched{Store: w.store}
				_, err = w.publisher(func(o *Options) { o.Store, o.Rehearse = again, nil }).Publish(t.Context(), next)
				must(t, err)
				if diff := treetest.Diff(want, w.files()); diff != "" {
					t.Errorf("not the same repository: %s", diff)
				}
				for _, name := range again.names {
					if slices.Contains(broken.names, name) && !strings.HasPrefix(name, "metadata/") {
						t.Errorf("%s was written again", name)
					}
				}
			})
		}
	}
}

// TestLeftoversAreVerified leaves files under the names that the next publish
// will use, with other bytes.
func TestLeftoversAreVerified(t *testing.T) {
	treetest.NotRacing(t)
	w, next := crashWorld(t)
	clean := w.copyOf(t)
	_, err := clean.publisher(nil).Publish(t.Context(), next)
	must(t, err)
	want := clean.files()
	added := 0
	for name, e := range want {
		if _, had := w.files()[name]; had {
			continue
		}
		added++
		for _, junk := range []string{"", e.Content + "x", e.Content[:len(e.Content)-1] + "x"} {
			w := w.copyOf(t)
			must(t, w.store.Push(t.Context(), name, strings.NewReader(junk), int64(len(junk))))
			if _, err := w.publisher(func(o *Options) { o.Rehearse = nil }).Publish(t.Context(), next); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if diff := treetest.Diff(want, w.files()); diff != "" {
				t.Errorf("%s with junk %.10q: not the same repository: %s", name, junk, diff)
			}
		}
	}
	if added < 8 {
		t.Fatalf("only %d files were added", added)
	}
}

// TestRehearsalDecides lets the rehearsal fail at its first and at its second
// call: clients see what they saw, and the timestamp is not touched.
func TestRehearsalDecides(t *testing.T) {
	w, next := crashWorld(t)
	before, seen := w.files(), w.seen()
	for fail := 1; fail <= 2; fail++ {
		calls := 0
		_, err := w.publisher(func(o *Options) {
			o.Rehearse = func(ctx context.Context, r Rehearsal) error {
				if calls++; calls == fail {
					return errors.New("not good enough")
				}
				return rehearse(ctx, r)
			}
		}).Publish(t.Context(), next)
		if err == nil || !strings.Contains(err.Error(), "not good enough") || calls != fail {
			t.Errorf("call %d of %d: got %v", calls, fail, err)
		}
		if got := w.seen(); !slices.Equal(got, seen) {
			t.Errorf("clients see %v", got)
		}
		for name, e := range w.files() {
			if strings.HasPrefix(name, "metadata/") && e != before[name] {
				t.Errorf("%s was written", name)
			}
		}
	}
	_, err := w.publisher(nil).Publish(t.Context(), next)
	must(t, err)
	w.verify()
}

// TestRehearsalSeesTheRelease is what the caller's function is given.
func TestRehearsalSeesTheRelease(t *testing.T) {
	w, next := crashWorld(t)
	old := threeReleases()[0]
	var from []string
	_, err := w.publisher(func(o *Options) {
		o.Rehearse = func(ctx context.Context, r Rehearsal) error {
			if r.From == nil {
				from = append(from, "install")
				return nil
			}
			from = append(from, r.From.Release.Version)
			for i := range r.From.Entries {
				e := &r.From.Entries[i]
				if e.Kind != manifest.File {
					continue
				}
				f, err := r.Seed(e.Digest)
				if err != nil {
					return err
				}
				if got := readAll(t, f); got != old[e.Path].Content {
					t.Errorf("seed of %s: got %d bytes", e.Path, len(got))
				}
			}
			if _, err := r.Seed(manifest.Digest{1}); err == nil {
				t.Error("a seed of what no release holds")
			}
			return nil
		}
	}).Publish(t.Context(), next)
	must(t, err)
	if want := []string{"install", "1.0.0"}; !slices.Equal(from, want) {
		t.Errorf("want %v, got %v", want, from)
	}
}

func TestTwoPublishers(t *testing.T) {
	w, next := crashWorld(t)
	var locked *store.LockedError
	_, err := w.publisher(func(o *Options) {
		o.Holder = "the first"
		o.Rehearse = func(ctx context.Context, r Rehearsal) error {
			if r.From != nil {
				return nil
			}
			_, err := w.publisher(nil).Publish(ctx, next)
			if !errors.As(err, &locked) || locked.Holder != "the first" {
				t.Errorf("want a LockedError, got %v", err)
			}
			return nil
		}
	}).Publish(t.Context(), next)
	must(t, err)
	if locked == nil {
		t.Fatal("nobody was locked out")
	}
	w.verify()
}

// TestNoInterleaving takes the lock away: another publisher comes in between,
// and the first must not overwrite what that one made live.
func TestNoInterleaving(t *testing.T) {
	w, next := crashWorld(t)
	trees := threeReleases()
	_, err := w.publisher(func(o *Options) {
		o.Store = unlocked{o.Store}
		o.Rehearse = func(ctx context.Context, r Rehearsal) error {
			if r.From == nil {
				other := w.publisher(func(o *Options) { o.Rehearse = nil })
				_, err := other.Publish(ctx, Release{Facts: manifest.Release{Product: "app", Version: "9.0.0"}, Tree: w.tree(trees[2])})
				return err
			}
			return nil
		}
	}).Publish(t.Context(), next)
	if err == nil || !strings.Contains(err.Error(), "another publisher") {
		t.Errorf("got %v", err)
	}
	want := []string{"app 1.0.0 any 1 [stable]", "app 9.0.0 any 2 [stable]"}
	if got := w.seen(); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

// unlocked is a store whose lock nobody respects.
type unlocked struct{ store.Store }

func (unlocked) Lock(context.Context, string) (func() error, error) {
	return func() error { return nil }, nil
}

// TestTreeChangesMeanwhile changes a file between the scan and its
// compression.
func TestTreeChangesMeanwhile(t *testing.T) {
	w, next := crashWorld(t)
	before := w.seen()
	_, err := w.publisher(func(o *Options) {
		// The first write is that of the biggest object, bin/app.
		o.Workers = 1
		o.Store = &watched{Store: o.Store, before: func(string) error {
			treetest.Tree{"doc/new": treetest.File(words(99, 7000))}.Write(t, next.Tree)
			return nil
		}}
	}).Publish(t.Context(), next)
	if err == nil || !strings.Contains(err.Error(), "doc/new") {
		t.Errorf("got %v", err)
	}
	if got := w.seen(); !slices.Equal(got, before) {
		t.Errorf("clients see %v", got)
	}
}

func TestCancel(t *testing.T) {
	w, next := crashWorld(t)
	before := w.seen()
	for _, phase := range []string{"scan", "objects", "pack from 1.0.0", "sign", "rehearse", "upload"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := w.publisher(func(o *Options) {
			o.Events = func(e Event) {
				if e.Phase == phase {
					cancel()
				}
			}
		}).Publish(ctx, next)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", phase, err)
		}
		if got := w.seen(); !slices.Equal(got, before) {
			t.Errorf("%s: clients see %v", phase, got)
		}
	}
	_, err := w.publisher(nil).Publish(t.Context(), next)
	must(t, err)
	w.verify()
}
