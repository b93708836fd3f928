package publisher

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// world is a repository in a folder, with the keys and the clock of whoever
// publishes there.
type world struct {
	t                 testing.TB
	recovery, release *trust.Key
	dir               string
	store             store.Store // may be wrapped
	root              []byte
	start, now        time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	// The rehearsal is by a client with a clock of its own, to which nothing
	// may have expired.
	w := &world{t: t, start: time.Now().Add(-24 * time.Hour)}
	for _, k := range []**trust.Key{&w.recovery, &w.release} {
		var err error
		*k, err = trust.GenerateKey(trust.Ed25519)
		must(t, err)
	}
	w.init()
	return w
}

// twin is another repository with the same keys.
func (w *world) twin() *world {
	w.t.Helper()
	o := &world{t: w.t, recovery: w.recovery, release: w.release, start: w.start}
	o.init()
	return o
}

func (w *world) init() {
	w.t.Helper()
	w.dir, w.now = w.t.TempDir(), w.start
	var err error
	w.store, err = store.OpenDir(w.dir)
	must(w.t, err)
	w.root, err = Init(context.Background(), w.options(), w.recovery, w.release)
	must(w.t, err)
}

func (w *world) options() Options {
	return Options{Store: w.store, Root: w.root, Signers: []trust.Signer{w.release}, Rehearse: rehearse,
		Now: func() time.Time { return w.now }}
}

func (w *world) publisher(edit func(*Options)) *Publisher {
	w.t.Helper()
	o := w.options()
	if edit != nil {
		edit(&o)
	}
	p, err := New(o)
	must(w.t, err)
	return p
}

// rehearse is the real client.
func rehearse(ctx context.Context, r Rehearsal) error {
	return client.Rehearse(ctx, client.Rehearsal{Store: r.Store, Root: r.Root, Product: r.Release.Product,
		Version: r.Release.Version, Channel: r.Channel, Platform: r.Release.Platform, From: r.From, Seed: r.Seed})
}

// tree writes a tree into a new folder.
func (w *world) tree(t treetest.Tree) string {
	w.t.Helper()
	dir := w.t.TempDir()
	t.Write(w.t, dir)
	return dir
}

// publish publishes a tree as a version of the product "app".
func (w *world) publish(version string, t treetest.Tree, edit func(*Release)) (*Report, error) {
	w.t.Helper()
	w.now = w.now.Add(time.Hour)
	r := Release{Facts: manifest.Release{Product: "app", Version: version}, Tree: w.tree(t), Delta: delta.Options{Level: delta.Fast}}
	if edit != nil {
		edit(&r)
	}
	return w.publisher(nil).Publish(context.Background(), r)
}

func (w *world) mustPublish(version string, t treetest.Tree, edit func(*Release)) *Report {
	w.t.Helper()
	r, err := w.publish(version, t, edit)
	must(w.t, err)
	return r
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files returns the repository's files, without those of the store itself.
func (w *world) files() treetest.Tree {
	w.t.Helper()
	files := treetest.Tree{}
	for p, e := range treetest.Read(w.t, w.dir) {
		if e.Kind == 0 && !strings.HasPrefix(p, ".") && !strings.Contains(p, "/.") {
			files[p] = e
		}
	}
	return files
}

// seen returns what a client sees: the listings that verify from the root on.
func (w *world) seen() []string {
	w.t.Helper()
	items, err := w.publisher(nil).List(context.Background(), "")
	must(w.t, err)
	all := []string{}
	for _, i := range items {
		all = append(all, fmt.Sprintf("%s %s %s %d %v", i.Product, i.Version, i.Platform, i.Sequence, i.Channels))
	}
	return all
}

// verify fails the test unless the repository is whole.
func (w *world) verify() {
	w.t.Helper()
	faults, err := w.publisher(nil).Verify(context.Background(), true)
	must(w.t, err)
	for _, f := range faults {
		w.t.Errorf("%s: %s", f.Path, f.Reason)
	}
}

// flip changes one byte of a file of the repository, and returns a function
// that mends it.
func (w *world) flip(name string, at int) func() {
	w.t.Helper()
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	must(w.t, err)
	write := func() {
		b[at] ^= 1
		must(w.t, os.WriteFile(path, b, 0o644))
	}
	write()
	return write
}

// words returns text that compresses about as well as text does.
func words(seed uint64, n int) string {
	random := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%x ", random.Uint32N(1<<20))
	}
	return b.String()[:n]
}

// releases returns three trees with everything that trees may hold.
func threeReleases() [3]treetest.Tree {
	app := words(1, 60_000)
	first := treetest.Tree{
		"bin/app":      treetest.Exec(app),
		"bin/twin":     treetest.Exec(app),
		"doc/guide":    treetest.File(words(2, 20_000)),
		"doc/gone":     treetest.File(words(3, 9_000)),
		"empty.txt":    treetest.File(""),
		"empty2.txt":   treetest.File(""),
		"nothing":      treetest.Dir(0o755),
		"private":      treetest.Dir(0o700),
		"private/key":  {Mode: 0o600, Content: "key"},
		"current":      treetest.Symlink("bin/app"),
		"one":          treetest.File("x"),
		"ünïcode/☃.md": treetest.File(words(4, 500)),
	}
	second := first.Clone(func(t treetest.Tree) {
		t["bin/app"] = treetest.Exec(app[:30_000] + "changed" + app[30_000:])
		t["bin/twin"] = t["bin/app"]
		t["doc/manual"] = t["doc/guide"]
		delete(t, "doc/guide")
		delete(t, "doc/gone")
		t["doc/new"] = treetest.File(words(5, 7_000))
		t["current"] = treetest.Symlink("bin/twin")
		t["one"] = treetest.Exec("x")
	})
	third := second.Clone(func(t treetest.Tree) {
		t["bin/app"] = treetest.Exec("v3 " + t["bin/app"].Content)
		t["nothing"] = treetest.File("a file now")
		delete(t, "empty2.txt")
	})
	return [3]treetest.Tree{first, second, third}
}

// watched is a store that notes writes, tells of them, and fails from some
// write on.
type watched struct {
	store.Store
	failAt  int  // the first write that fails, from 1; 0: none does
	partial bool // that write has taken effect all the same
	before  func(name string) error

	mu    sync.Mutex
	begun int
	names []string // of the writes that took effect
}

var errStopped = fmt.Errorf("the store has stopped")

func (s *watched) write(ctx context.Context, name string, r io.Reader, size int64, to pushFunc) error {
	s.mu.Lock()
	s.begun++
	stop := s.failAt > 0 && s.begun >= s.failAt
	last := stop && s.partial && s.begun == s.failAt
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(name); err != nil {
			return err
		}
	}
	if !stop || last {
		if err := to(ctx, name, r, size); err != nil {
			return err
		}
		s.mu.Lock()
		s.names = append(s.names, name)
		s.mu.Unlock()
	}
	if stop {
		return errStopped
	}
	return nil
}

func (s *watched) Push(ctx context.Context, name string, r io.Reader, size int64) error {
	return s.write(ctx, name, r, size, s.Store.Push)
}

func (s *watched) PushNew(ctx context.Context, name string, r io.Reader, size int64) error {
	return s.write(ctx, name, r, size, s.Store.PushNew)
}

func (s *watched) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return s.Store.List(ctx, prefix)
}

// readAll returns what a file holds, and closes it.
func readAll(t testing.TB, f delta.File) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	must(t, err)
	must(t, f.Close())
	return string(b)
}
