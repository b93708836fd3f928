package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRefreshFindsTargets(t *testing.T) {
	w := newWorld(t)
	want := target("1.0.0")
	got := w.mustUpdate()
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	c := w.client()
	if names := c.Products(); names != nil {
		t.Errorf("products before a refresh: %v", names)
	}
	if _, err := c.Targets(context.Background(), "app"); err == nil {
		t.Error("targets before a refresh: want an error")
	}
	w.must(c.Refresh(context.Background()))
	if names := c.Products(); !reflect.DeepEqual(names, []string{"app"}) {
		t.Errorf("products: %v", names)
	}
	for _, name := range []string{"nope", "targets", "root", "../app", ""} {
		if _, err := c.Targets(context.Background(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("targets of %q: %v", name, err)
		}
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	steps := []struct {
		name string
		do   func()
		want string
	}{
		{"first run", func() {}, "2.root 1.app 1.snapshot 1.targets timestamp"},
		{"nothing new", func() {}, "2.root timestamp"},
		{"new release", func() { w.publish(target("1.1.0")) }, "2.root 2.app 2.snapshot timestamp"},
		{"refreshed timestamp", func() { w.commit() }, "2.root timestamp"},
		{"new key", func() { w.rotate() }, "2.root 3.app 3.snapshot 2.targets timestamp 3.root timestamp"},
		{"nothing new again", func() {}, "3.root timestamp"},
	}
	for _, s := range steps {
		s.do()
		w.requests()
		w.mustUpdate()
		got := map[string]int{}
		for _, name := range w.requests() {
			got[strings.TrimSuffix(strings.TrimPrefix(name, "metadata/"), ".json")]++
		}
		want := map[string]int{}
		for _, name := range strings.Fields(s.want) {
			want[name]++
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", s.name, got, want)
		}
	}
}

// rotate replaces the release key, and returns the old one.
func (w *world) rotate() (old *Key) {
	w.t.Helper()
	old, w.release = w.release, w.key(ECDSA)
	e, err := Open(context.Background(), Options{Root: w.embedded, Fetch: w.Fetch, Now: w.clock},
		EditorOptions{Now: w.clock, Signers: []Signer{w.recovery, w.release}})
	w.must(err)
	w.editor = e
	was, _ := old.PublicKey()
	is, _ := w.release.PublicKey()
	w.must(e.ReplaceKey(was, is))
	w.commit()
	return old
}

func TestNextRequestsAreMadeAtOnce(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	// Each of the two waits for the other, so one after the other never ends.
	both := make(chan struct{}, 2)
	meet := make(chan struct{})
	go func() {
		<-both
		<-both
		close(meet)
	}()
	w.fetch = func(ctx context.Context, name string, max int64) ([]byte, error) {
		both <- struct{}{}
		<-meet
		return w.Fetch(ctx, name, max)
	}
	w.mustUpdate()
}

func TestForbiddenNextRootMeansNone(t *testing.T) {
	w := newWorld(t)
	w.fetch = func(ctx context.Context, name string, max int64) ([]byte, error) {
		b, err := w.Fetch(ctx, name, max)
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrPermission
		}
		return b, err
	}
	w.mustUpdate()
}

func TestFetchErrorsPassThrough(t *testing.T) {
	broken := errors.New("500 internal server error")
	for _, name := range []string{"2.root", "timestamp", "1.snapshot", "1.targets", "1.app"} {
		w := newWorld(t)
		w.fetch = func(ctx context.Context, file string, max int64) ([]byte, error) {
			if file == "metadata/"+name+".json" {
				return nil, fmt.Errorf("fetch %s: %w", file, broken)
			}
			return w.Fetch(ctx, file, max)
		}
		if _, err := w.update(); !errors.Is(err, broken) || strings.Count(err.Error(), name) != 1 {
			t.Errorf("%s: got %v", name, err)
		}
		w.fetch = nil
		w.mustUpdate()
	}
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	w.fetch = func(ctx context.Context, _ string, _ int64) ([]byte, error) { // a server that drips for ever
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := w.client().Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFailedRefreshLeavesTheClientAsItWas(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	w.must(c.Refresh(context.Background()))
	w.publish(target("2.0.0"))
	delete(w.files, "metadata/2.snapshot.json")
	if err := c.Refresh(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	got, err := c.Targets(context.Background(), "app")
	w.must(err)
	if len(got) != 1 || got[0].Name != target("1.0.0").Name {
		t.Errorf("got %+v", got)
	}
}

func TestClientWithoutCacheRemembersWhileItRuns(t *testing.T) {
	w := newWorld(t)
	old := w.files[timestampFile]
	opt := w.options()
	opt.Cache = nil
	c, err := New(opt)
	w.must(err)
	w.publish(target("1.1.0"))
	w.must(c.Refresh(context.Background()))
	w.files[timestampFile] = old
	wantError[*RollbackError](t, c.Refresh(context.Background()))
}

func TestNewNeedsAGoodRoot(t *testing.T) {
	w := newWorld(t)
	opt := w.options()
	opt.Fetch = nil
	if _, err := New(opt); err == nil {
		t.Error("no Fetch: want an error")
	}
	opt = w.options()
	opt.Root = w.files[timestampFile]
	_, err := New(opt)
	wantError[*FormatError](t, err)
	w.forge("metadata/1.root.json", "forged", []*Key{w.release}, nil)
	opt.Root = w.files["forged"]
	_, err = New(opt)
	wantError[*SignatureError](t, err)
}

// A cache that cannot be written would forget what protects against replay.
func TestCacheThatFailsIsAnError(t *testing.T) {
	w := newWorld(t)
	full := errors.New("disk full")
	for n := range 5 { // timestamp, snapshot, targets, time, app
		opt := w.options()
		opt.Cache = &failing{memory{}, n, full}
		c, err := New(opt)
		w.must(err)
		err = c.Refresh(context.Background())
		if err == nil {
			_, err = c.Targets(context.Background(), "app")
		}
		if !errors.Is(err, full) {
			t.Errorf("write %d: got %v", n, err)
		}
	}
}

// Every start of a program refreshes: most of them should not wear the disk.
func TestNothingNewWritesNothing(t *testing.T) {
	w := newWorld(t)
	opt := w.options()
	cache := &failing{memory{}, 5, errors.New("one write too many")}
	opt.Cache = cache
	for range 3 {
		c, err := New(opt)
		w.must(err)
		w.must(c.Refresh(context.Background()))
		must(c.Targets(context.Background(), "app"))
		w.now = w.now.Add(10 * time.Minute)
	}
	if cache.left != 0 {
		t.Errorf("%d writes fewer than there are files and time", cache.left)
	}
}

type failing struct {
	memory
	left int
	err  error
}

func (f *failing) Write(name string, b []byte) error {
	if f.left == 0 {
		return f.err
	}
	f.left--
	return f.memory.Write(name, b)
}

// Damage in the cache costs protection, never the update.
func TestDamagedCacheIsPassedOver(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	w.mustUpdate()
	for name, good := range w.cache.content(t) {
		for _, bad := range []string{"", "{", "null", strings.ToUpper(good), good + "x", good[:len(good)/2]} {
			w.must(os.WriteFile(filepath.Join(string(w.cache), name), []byte(bad), 0o600))
			w.mustUpdate()
			if got := w.cache.content(t)[name]; got != good {
				t.Errorf("%s with %.20q was not put right", name, bad)
			}
			w.must(os.WriteFile(filepath.Join(string(w.cache), name), []byte(good), 0o600))
		}
	}
}

func TestWarnIsToldOfDamage(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	w.mustUpdate()
	for _, name := range []string{"2.root.json", "timestamp.json", "snapshot.json", "time"} {
		w.must(os.WriteFile(filepath.Join(string(w.cache), name), []byte("x"), 0o600))
		var told []string
		opt := w.options()
		opt.Warn = func(err error) { told = append(told, err.Error()) }
		c, err := New(opt)
		w.must(err)
		w.must(c.Refresh(context.Background()))
		if !strings.Contains(strings.Join(told, "\n"), strings.TrimSuffix(name, ".json")) {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

func TestTwoGoroutinesShareAClient(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	errs := make(chan error)
	for range 4 {
		go func() {
			err := c.Refresh(context.Background())
			if err == nil {
				_, err = c.Targets(context.Background(), "app")
			}
			c.Products()
			errs <- err
		}()
	}
	for range 4 {
		w.must(<-errs)
	}
}

func TestTimeIsTheLatestKnown(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate() // at start
	expired := start.Add(91 * 24 * time.Hour)

	t.Run("it does not go back", func(t *testing.T) {
		w.now = start.Add(60 * 24 * time.Hour)
		w.commit()
		w.mustUpdate()
		w.now = start
		w.mustUpdate()
		if got := w.cache.content(t)["time"]; got != start.Add(60*24*time.Hour).Format(time.RFC3339) {
			t.Errorf("remembered time %s went back", got)
		}
	})
	t.Run("clock set back revives nothing", func(t *testing.T) {
		w := newWorld(t)
		w.now = start.Add(80 * 24 * time.Hour)
		w.mustUpdate()
		w.now = start
		w.insider("timestamp", func(s map[string]any) { s["expires"] = start.Add(time.Hour).Format(time.RFC3339) })
		e := wantError[*ExpiredError](t, second(w.update()))
		if !e.Now.Equal(start.Add(80 * 24 * time.Hour)) {
			t.Errorf("judged at %s", e.Now)
		}
	})
	t.Run("clock before the program was built", func(t *testing.T) {
		w := newWorld(t)
		opt := w.options()
		opt.Now = func() time.Time { return time.Unix(0, 0) }
		opt.BuildTime = expired
		c, err := New(opt)
		w.must(err)
		e := wantError[*ExpiredError](t, c.Refresh(context.Background()))
		if e.File != timestampFile || !e.Expired.Equal(start.Add(90*24*time.Hour)) {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("clock 2099 does no lasting harm", func(t *testing.T) {
		w := newWorld(t)
		w.mustUpdate()
		w.now = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
		wantError[*ExpiredError](t, second(w.update()))
		w.now = start.Add(time.Hour)
		w.mustUpdate()
	})
	t.Run("remembered time from nowhere is passed over", func(t *testing.T) {
		w := newWorld(t)
		w.mustUpdate()
		w.must(w.cache.Write("time", []byte("2099-01-01T00:00:00Z")))
		w.mustUpdate()
	})
}

func second[T any](_ T, err error) error { return err }

func TestExpiredIsToldWithFileAndDate(t *testing.T) {
	for _, tt := range []struct {
		role string
		file string
	}{
		{"timestamp", "metadata/timestamp.json"},
		{"snapshot", "metadata/2.snapshot.json"},
		{"targets", "metadata/2.targets.json"},
		{"app", "metadata/2.app.json"},
	} {
		t.Run(tt.role, func(t *testing.T) {
			w := newWorld(t)
			past := start.Add(-time.Second)
			w.insider(tt.role, func(s map[string]any) { s["expires"] = past.Format(time.RFC3339) })
			e := wantError[*ExpiredError](t, second(w.update()))
			if e.File != tt.file || !e.Expired.Equal(past) {
				t.Errorf("got %+v, want %s expired on %s", e, tt.file, past)
			}
			opt := w.options()
			opt.LiftExpiry = true
			c, err := New(opt)
			w.must(err)
			if err = c.Refresh(context.Background()); err == nil {
				_, err = c.Targets(context.Background(), "app")
			}
			lifted := tt.role == "timestamp" || tt.role == "snapshot"
			if lifted != (err == nil) {
				t.Errorf("with LiftExpiry: got %v", err)
			}
			if _, ok := w.cache.content(t)["time"]; ok && lifted {
				t.Error("a lifted expiry must not be remembered as the time")
			}
		})
	}
	t.Run("root", func(t *testing.T) {
		w := newWorld(t)
		w.now = start.Add(6 * year)
		e := wantError[*ExpiredError](t, second(w.update()))
		if e.File != "metadata/1.root.json" {
			t.Errorf("got %+v", e)
		}
		// An expired root on the way to a good one is no fault.
		w.editor, _ = Open(context.Background(), w.options(), EditorOptions{Now: w.clock, Signers: []Signer{w.recovery, w.release}})
		w.commit()
		w.mustUpdate()
	})
}

// A bundle's timestamp is that of the repository, but good for longer. Whoever
// has seen one takes the other.
func TestTimestampOfABundle(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	live := w.files[timestampFile]
	twin, err := w.editor.Timestamp(context.Background(), 180*day)
	w.must(err)
	w.genuine[digest(twin)] = true
	w.now = start.Add(100 * day)
	wantError[*ExpiredError](t, second(w.update()))
	w.files[timestampFile] = twin
	w.must(w.lifted()) // its snapshot has expired
	w.checkUnpoisoned()

	w.now = start.Add(50 * day)
	w.files[timestampFile] = live
	w.mustUpdate()
	if got := w.cache.content(t)["timestamp.json"]; got != string(twin) {
		t.Error("the timestamp that is good for longer was forgotten")
	}
	// With another snapshot it is no twin, whatever its date.
	w.insider("timestamp", func(s object) {
		s["version"] = json.Number("1")
		s["expires"] = start.Add(300 * day).Format(time.RFC3339)
		s["meta"].(object)["snapshot.json"].(object)["version"] = 2
	})
	w.mustUpdate()
	if got := w.cache.content(t)["timestamp.json"]; got != string(twin) {
		t.Error("another timestamp of the same version was taken")
	}
}

// lifted refreshes as one does with a bundle that is too old.
func (w *world) lifted() error {
	opt := w.options()
	opt.LiftExpiry = true
	c, err := New(opt)
	w.must(err)
	return c.Refresh(context.Background())
}

func TestCurrentNamesTheNewestFiles(t *testing.T) {
	w := newWorld(t)
	w.publish(target("1.1.0"))
	want := []string{"metadata/1.targets.json", "metadata/2.app.json", "metadata/2.snapshot.json"}
	if got := w.editor.Current(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
