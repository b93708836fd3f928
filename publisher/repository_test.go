package publisher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/store/storetest"
	"github.com/treegraft-dev/treegraft/trust"
)

func TestNewWants(t *testing.T) {
	w := newWorld(t)
	for _, o := range []Options{{}, {Store: w.store}, {Root: w.root}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestInitWantsAnEmptyStore(t *testing.T) {
	w := newWorld(t)
	before := w.files()
	if _, err := Init(t.Context(), w.options(), w.recovery, w.release); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if diff := treetest.Diff(before, w.files()); diff != "" {
		t.Error(diff)
	}
	if _, err := Init(t.Context(), Options{}, w.recovery, w.release); err == nil {
		t.Error("no store: no error")
	}
}

// TestInitStopped lets each of its writes fail, before and after it took effect:
// the store is empty again, and the next attempt succeeds.
func TestInitStopped(t *testing.T) {
	total := len(newWorld(t).files())
	for k := 1; k <= total; k++ {
		for _, partial := range []bool{false, true} {
			w := newWorld(t)
			w.dir = t.TempDir()
			dir, err := store.OpenDir(w.dir)
			must(t, err)
			w.store = &watched{Store: dir, failAt: k, partial: partial}
			if _, err := Init(t.Context(), w.options(), w.recovery, w.release); !errors.Is(err, errStopped) {
				t.Fatalf("got %v", err)
			}
			if left := w.files(); len(left) != 0 {
				t.Errorf("write %d failed, partial %v: %d files are left", k, partial, len(left))
			}
			w.store = dir
			_, err = Init(t.Context(), w.options(), w.recovery, w.release)
			must(t, err)
		}
	}
}

// TestInitIsDurable goes by what a store promises: files of PushNew may be lost in
// a power cut until the next Push has returned.
func TestInitIsDurable(t *testing.T) {
	w := newWorld(t)
	dir, err := store.OpenDir(t.TempDir())
	must(t, err)
	s := &forgetful{Store: dir}
	w.store = s
	_, err = Init(t.Context(), w.options(), w.recovery, w.release)
	must(t, err)
	if len(s.waiting) > 0 {
		t.Errorf("a power cut would take %v", s.waiting)
	}
}

// forgetful is a store that notes which files a power cut could take.
type forgetful struct {
	store.Store
	waiting []string
}

func (s *forgetful) PushNew(ctx context.Context, name string, r io.Reader, size int64) error {
	s.waiting = append(s.waiting, name)
	return s.Store.PushNew(ctx, name, r, size)
}

func (s *forgetful) Push(ctx context.Context, name string, r io.Reader, size int64) error {
	err := s.Store.Push(ctx, name, r, size)
	if err == nil {
		s.waiting = nil
	}
	return err
}

func TestReplaceKey(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	stolen, oldRoot := w.release, w.root
	fresh, err := trust.GenerateKey(trust.ECDSA)
	must(t, err)
	old, err := stolen.PublicKey()
	must(t, err)
	pub, err := fresh.PublicKey()
	must(t, err)
	root, err := w.publisher(func(o *Options) { o.Signers = []trust.Signer{w.recovery, fresh} }).ReplaceKey(t.Context(), old, pub)
	must(t, err)
	if bytes.Equal(root, oldRoot) {
		t.Error("the root is the same")
	}
	if _, err := w.publish("1.1.0", trees[1], nil); err == nil || !strings.Contains(err.Error(), "sign") {
		t.Errorf("the stolen key signs: got %v", err)
	}
	w.release = fresh
	w.mustPublish("1.1.0", trees[1], nil) // from the old root on
	w.root = root
	w.mustPublish("1.2.0", trees[2], nil) // and from the new one
	w.verify()
}

// TestReplaceKeyStopped stops the replacement at each of its writes: called
// again it comes to its end, and an install of the old root follows.
func TestReplaceKeyStopped(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	fresh, err := trust.GenerateKey(trust.Ed25519)
	must(t, err)
	old, err := w.release.PublicKey()
	must(t, err)
	pub, err := fresh.PublicKey()
	must(t, err)
	stuck := 0
	for k := 1; ; k++ {
		w := w.copyOf(t)
		replace := func(s store.Store) error {
			w.now = w.now.Add(3600e9)
			_, err := w.publisher(func(o *Options) { o.Store, o.Signers = s, []trust.Signer{w.recovery, fresh} }).ReplaceKey(t.Context(), old, pub)
			return err
		}
		broken := &watched{Store: w.store, failAt: k}
		if err := replace(broken); err == nil {
			if k < 5 {
				t.Errorf("only %d writes", k-1)
			}
			break
		} else if !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		var unsigned *trust.SignatureError
		if _, err := w.publisher(nil).List(t.Context(), ""); errors.As(err, &unsigned) {
			stuck++
		} else if err != nil {
			t.Errorf("stopped at write %d: %v", k, err)
		}
		must(t, replace(w.store))
		w.release = fresh
		w.mustPublish("1.1.0", trees[1], nil)
		w.verify()
	}
	if stuck != 1 {
		t.Errorf("clients wait after %d of the stops, want 1", stuck)
	}
}

func TestReadingNeedsNoKeys(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", threeReleases()[0], nil)
	p := w.publisher(func(o *Options) { o.Signers = nil })
	if items, err := p.List(t.Context(), ""); err != nil || len(items) != 1 {
		t.Errorf("list: got %v, %v", items, err)
	}
	if faults, err := p.Verify(t.Context(), true); err != nil || len(faults) != 0 {
		t.Errorf("verify: got %v, %v", faults, err)
	}
	if _, err := p.Inspect(t.Context(), "app", "9.9.9"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inspect what is not there: got %v", err)
	}
	if items, err := p.List(t.Context(), "nothing"); err != nil || len(items) != 0 {
		t.Errorf("list of no product: got %v, %v", items, err)
	}
	w.now = w.now.Add(1)
	if err := p.Refresh(t.Context()); err == nil {
		t.Error("refresh without keys: no error")
	}
}

func TestRefreshOnlyRenews(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", threeReleases()[0], nil)
	before, seen := w.files(), w.seen()
	w.now = w.now.Add(3600e9)
	must(t, w.publisher(nil).Refresh(t.Context()))
	changed := []string{}
	for name, e := range w.files() {
		if before[name] != e {
			changed = append(changed, name)
		}
	}
	if !slices.Equal(changed, []string{timestampName}) || !slices.Equal(w.seen(), seen) {
		t.Errorf("changed: %v", changed)
	}
}

func TestReleasesRefusesBadListings(t *testing.T) {
	target := func(name, custom string) trust.Target { return trust.NewTarget(name, nil, []byte(custom)) }
	good := target("manifests/app/1.0.0/any.zst", `{"product":"app","version":"1.0.0","platform":"any"}`)
	index := target("indexes/app/1.0.0/any.json", "")
	cases := []struct {
		name    string
		targets []trust.Target
		ok      bool
	}{
		{"good", []trust.Target{good, index}, true},
		{"not JSON", []trust.Target{target(good.Name, `{`), index}, false},
		{"of another product", []trust.Target{target(good.Name, `{"product":"other","version":"1.0.0","platform":"any"}`), index}, false},
		{"of another version", []trust.Target{target(good.Name, `{"product":"app","version":"1.0.1","platform":"any"}`), index}, false},
		{"without an index", []trust.Target{good}, false},
	}
	for _, c := range cases {
		all, err := releases("app", c.targets)
		if (err == nil) != c.ok || c.ok && len(all) != 1 {
			t.Errorf("%s: got %v, %v", c.name, all, err)
		}
	}
}

// TestPreview is the suite for stores, on one whose files are half pending.
func TestPreview(t *testing.T) {
	storetest.TestFetcher(t, func(t *testing.T, files map[string][]byte) store.Fetcher {
		dir, err := store.OpenDir(t.TempDir())
		must(t, err)
		var pending []trust.File
		half := false
		for name, b := range files {
			if half = !half; half {
				pending = append(pending, trust.File{Name: name, Data: b})
				b = []byte("what will be replaced")
			}
			must(t, dir.Push(context.Background(), name, bytes.NewReader(b), int64(len(b))))
		}
		return newPreview(dir, pending)
	})
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{0, 1, maxInMemory, maxInMemory + 1, 3*maxInMemory + 7} {
		s := &spool{dir: dir}
		want := []byte(words(uint64(n), n))
		for rest := want; len(rest) > 0; {
			k, err := s.Write(rest[:min(len(rest), 100_003)])
			must(t, err)
			rest = rest[k:]
		}
		for range 2 {
			got, err := io.ReadAll(s.reader())
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: got %d, %v", n, len(got), err)
			}
		}
		must(t, s.close())
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestNothingIsLeftBehind looks into the temporary folder after publishes that
// went well and that did not.
func TestNothingIsLeftBehind(t *testing.T) {
	w, next := crashWorld(t)
	temp := t.TempDir()
	for _, fail := range []bool{true, false} {
		_, err := w.publisher(func(o *Options) {
			o.Temp = temp
			o.Rehearse = func(context.Context, Rehearsal) error {
				if left, _ := os.ReadDir(temp); len(left) == 0 {
					t.Error("the folder is not used")
				}
				if fail {
					return errStopped
				}
				return nil
			}
		}).Publish(t.Context(), next)
		if (err != nil) != fail {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}
