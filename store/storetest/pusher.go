package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/treegraft-dev/treegraft/store"
)

// TestStore checks a Store. Open returns an empty one. TestFetcher is part of it.
func TestStore(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"push replaces", testPush},
		{"push of a wrong size", testPushWrongSize},
		{"push of a broken reader", testPushBroken},
		{"push cancelled", testPushCancelled},
		{"push is invisible before its end", testPushInvisible},
		{"replace is atomic for readers", testPushAtomic},
		{"open reader keeps its version", testOpenReader},
		{"push new", testPushNew},
		{"push new at the same time", testPushNewRace},
		{"pushes at the same time", testPushMany},
		{"delete", testDelete},
		{"list", testList},
		{"list stops", testListStops},
		{"time of the last write", testModified},
		{"bad names", testBadNames},
		{"lock", testLock},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	t.Run("fetch", func(t *testing.T) {
		TestFetcher(t, func(t *testing.T, files map[string][]byte) store.Fetcher {
			s := open(t)
			for name, b := range files {
				push(t, s, name, b)
			}
			return s
		})
	})
}

func push(t *testing.T, s store.Store, name string, b []byte) {
	t.Helper()
	if err := s.Push(t.Context(), name, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Errorf("push %q: %v", name, err)
	}
}

// names returns what List yields below a prefix.
func names(t *testing.T, s store.Store, prefix string) (names []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		names = append(names, info.Name)
	}
	return names
}

func testPush(t *testing.T, s store.Store) {
	for _, n := range []int{10, 0, 2 << 20, 1, 5000} {
		push(t, s, "a/file", content(n))
		wantContent(t, s, "a/file", content(n))
	}
	push(t, s, "a/other", []byte("other"))
	wantContent(t, s, "a/file", content(5000))
}

func testPushWrongSize(t *testing.T, s store.Store) {
	push(t, s, "old", []byte("old"))
	for _, name := range []string{"old", "free"} {
		for _, size := range []int64{0, 4, 6, 1 << 40} {
			if err := s.Push(t.Context(), name, strings.NewReader("12345"), size); err == nil {
				t.Errorf("push of 5 bytes as %d: want an error", size)
			}
			if err := s.PushNew(t.Context(), name, strings.NewReader("12345"), size); err == nil {
				t.Errorf("push of 5 new bytes as %d: want an error", size)
			}
		}
	}
	wantUnchanged(t, s)
}

// wantUnchanged fails the test unless the store holds only old, as it was.
func wantUnchanged(t *testing.T, s store.Store) {
	t.Helper()
	wantContent(t, s, "old", []byte("old"))
	if got := names(t, s, ""); !slices.Equal(got, []string{"old"}) {
		t.Errorf("want only the old file, got %q", got)
	}
}

func testPushBroken(t *testing.T, s store.Store) {
	push(t, s, "old", []byte("old"))
	broken := errors.New("broken reader")
	for _, name := range []string{"old", "free"} {
		r := io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken))
		if err := s.Push(t.Context(), name, r, 10); !errors.Is(err, broken) {
			t.Errorf("want the reader's error, got %v", err)
		}
	}
	wantUnchanged(t, s)
}

func testPushCancelled(t *testing.T, s store.Store) {
	push(t, s, "old", []byte("old"))
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(strings.NewReader("12345"), callReader(cancel), strings.NewReader("67890"))
	if err := s.Push(ctx, "old", r, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle: want context.Canceled, got %v", err)
	}
	if err := s.Push(ctx, "free", strings.NewReader("1"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("push: want context.Canceled, got %v", err)
	}
	if err := s.PushNew(ctx, "free", strings.NewReader("1"), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("push new: want context.Canceled, got %v", err)
	}
	if err := s.Delete(ctx, "old"); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: want context.Canceled, got %v", err)
	}
	for _, err := range s.List(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("list: want context.Canceled, got %v", err)
		}
	}
	if unlock, err := s.Lock(ctx, "us"); !errors.Is(err, context.Canceled) {
		t.Errorf("lock: want context.Canceled, got %v", err)
		if err == nil {
			unlock()
		}
	}
	wantUnchanged(t, s)
}

// A callReader is empty, and calls a function when it is read.
type callReader func()

func (c callReader) Read([]byte) (int, error) { c(); return 0, io.EOF }

func testPushInvisible(t *testing.T, s store.Store) {
	push(t, s, "old", []byte("old"))
	for _, name := range []string{"old", "free", "folder/free"} {
		look := callReader(func() {
			wantUnchanged(t, s)
			if _, err := read(t.Context(), s, "free", 0, -1); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("half-pushed file: want fs.ErrNotExist, got %v", err)
			}
		})
		r := io.MultiReader(bytes.NewReader(content(100_000)), look, strings.NewReader("!"))
		if err := s.Push(t.Context(), name, r, 100_001); err != nil {
			t.Error(err)
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
		push(t, s, "old", []byte("old"))
	}
}

// testPushAtomic replaces a file by others of one repeated byte, while readers
// look for a file of two bytes or of another length.
func testPushAtomic(t *testing.T, s store.Store) {
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 300_000+i) }
	push(t, s, "file", version(0))
	var group sync.WaitGroup
	var done atomic.Bool
	for range 4 {
		group.Go(func() {
			for last := false; !last; {
				last = done.Load()
				got, err := read(t.Context(), s, "file", 0, -1)
				if errors.Is(err, store.ErrChanged) {
					continue
				}
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				if !bytes.Equal(got, version(int(got[0]-'a'))) {
					t.Errorf("read %d bytes from %q to %q: no version", len(got), got[0], got[len(got)-1])
					return
				}
			}
		})
	}
	for i := range 20 {
		push(t, s, "file", version(i))
	}
	done.Store(true)
	group.Wait()
	wantContent(t, s, "file", version(19))
}

func testOpenReader(t *testing.T, s store.Store) {
	old := content(3 << 20)
	push(t, s, "file", old)
	body, err := s.Fetch(t.Context(), "file", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(body, head); err != nil {
		t.Fatal(err)
	}
	push(t, s, "file", content(2<<20))
	rest, err := io.ReadAll(body)
	if err == nil && !bytes.Equal(append(head, rest...), old) {
		t.Errorf("replaced under a reader: it got %d bytes of no version", 1000+len(rest))
	} else if err != nil && !errors.Is(err, store.ErrChanged) {
		t.Errorf("replaced under a reader: want the old bytes or ErrChanged, got %v", err)
	}
}

func testPushNew(t *testing.T, s store.Store) {
	if err := s.PushNew(t.Context(), "a/b", strings.NewReader("first"), 5); err != nil {
		t.Fatal(err)
	}
	if err := s.PushNew(t.Context(), "a/b", strings.NewReader("again"), 5); !errors.Is(err, fs.ErrExist) {
		t.Errorf("taken name: want fs.ErrExist, got %v", err)
	}
	wantContent(t, s, "a/b", []byte("first"))
	if err := s.Delete(t.Context(), "a/b"); err != nil {
		t.Error(err)
	}
	if err := s.PushNew(t.Context(), "a/b", strings.NewReader("second"), 6); err != nil {
		t.Errorf("freed name: %v", err)
	}
	wantContent(t, s, "a/b", []byte("second"))
	if got := names(t, s, ""); !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("want one file, got %q", got)
	}
}

func testPushNewRace(t *testing.T, s store.Store) {
	for round := range 10 {
		name := fmt.Sprintf("round/%d", round)
		var group sync.WaitGroup
		var winner atomic.Int64
		for i := int64(1); i <= 4; i++ {
			group.Go(func() {
				b := bytes.Repeat([]byte{byte('0' + i)}, 1000)
				err := s.PushNew(t.Context(), name, bytes.NewReader(b), 1000)
				if err == nil && !winner.CompareAndSwap(0, i) {
					t.Errorf("%s: two have won", name)
				} else if err != nil && !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: want fs.ErrExist, got %v", name, err)
				}
			})
		}
		group.Wait()
		wantContent(t, s, name, bytes.Repeat([]byte{byte('0' + winner.Load())}, 1000))
	}
}

func testPushMany(t *testing.T, s store.Store) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 8 {
				push(t, s, fmt.Sprintf("objects/%d/%d", k, i), content(i*100+k))
			}
		})
	}
	group.Wait()
	if got := len(names(t, s, "objects/")); got != 64 {
		t.Errorf("want 64 files, got %d", got)
	}
	wantContent(t, s, "objects/3/5", content(503))
}

func testDelete(t *testing.T, s store.Store) {
	push(t, s, "a/b", []byte("1"))
	push(t, s, "a/c", []byte("2"))
	for range 2 { // a missing one the second time
		if err := s.Delete(t.Context(), "a/b"); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"missing/file", "a/c/file", "a"} {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %s, which is no file: %v", name, err)
		}
	}
	if _, err := read(t.Context(), s, "a/b", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted file: want fs.ErrNotExist, got %v", err)
	}
	wantContent(t, s, "a/c", []byte("2"))
}

func testList(t *testing.T, s store.Store) {
	if got := names(t, s, ""); len(got) != 0 {
		t.Errorf("empty store: got %q", got)
	}
	all := append([]string{"a", "b/c", "b-c", "b/c-d/e", "b/c0", "bc", "z/y/x/w", "b/d/e", "b/d-e", "b0"}, oddNames...)
	for i, name := range all {
		push(t, s, name, content(i))
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "b", "b/", "b/c", "b/d", "z/y/x/w", "z/y/x/w/", "ü", "missing", "../", "/", "z/"} {
		want := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		if got := names(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q: want %q, got %q", prefix, want, got)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := read(t.Context(), s, info.Name, 0, -1)
		if err != nil || int64(len(b)) != info.Size || info.Modified.IsZero() {
			t.Errorf("%+v: file of %d bytes, error %v", info, len(b), err)
		}
	}
}

// testModified wants the time of the last write: who deletes what is old goes by
// it. An hour is for stores whose clock is not ours.
func testModified(t *testing.T, s store.Store) {
	modified := func() time.Time {
		for info, err := range s.List(t.Context(), "file") {
			if err != nil {
				t.Fatal(err)
			}
			return info.Modified
		}
		t.Fatal("the file is not listed")
		return time.Time{}
	}
	push(t, s, "file", content(1))
	first := modified()
	if off := time.Since(first).Abs(); off > time.Hour {
		t.Errorf("written just now: got %v, which is %v off", first, off)
	}
	push(t, s, "file", content(2))
	if second := modified(); second.Before(first) {
		t.Errorf("written again: got %v, earlier than %v", second, first)
	}
}

func testListStops(t *testing.T, s store.Store) {
	for i := range 20 {
		push(t, s, fmt.Sprintf("%d/file", i), nil)
	}
	n := 0
	for range s.List(t.Context(), "") {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("want the loop to stop after 3 files, got %d", n)
	}
}

func testBadNames(t *testing.T, s store.Store) {
	for _, name := range badNames {
		if err := s.Push(t.Context(), name, strings.NewReader("1"), 1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("push %.80q: want fs.ErrInvalid, got %v", name, err)
		}
		if err := s.PushNew(t.Context(), name, strings.NewReader("1"), 1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("push new %.80q: want fs.ErrInvalid, got %v", name, err)
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("delete %.80q: want fs.ErrInvalid, got %v", name, err)
		}
	}
	if got := names(t, s, ""); len(got) != 0 {
		t.Errorf("want no files, got %q", got)
	}
}

func testLock(t *testing.T, s store.Store) {
	for _, holder := range []string{"the first", "the second"} {
		unlock, err := s.Lock(t.Context(), holder)
		if err != nil {
			t.Fatalf("lock for %s: %v", holder, err)
		}
		var locked *store.LockedError
		if _, err := s.Lock(t.Context(), "another"); !errors.As(err, &locked) {
			t.Errorf("locked store: want a LockedError, got %v", err)
		} else if locked.Holder != holder || locked.Store == "" {
			t.Errorf("want a lock held by %q, got %+v", holder, locked)
		}
		push(t, s, "file", []byte(holder)) // the lock does not stop its holder
		if got := names(t, s, ""); !slices.Equal(got, []string{"file"}) {
			t.Errorf("want one file, got %q", got)
		}
		if err := unlock(); err != nil {
			t.Errorf("unlock: %v", err)
		}
	}
	var group sync.WaitGroup
	var inside atomic.Int64
	for range 8 {
		group.Go(func() {
			for range 10 {
				unlock, err := s.Lock(t.Context(), "one of many")
				if err != nil {
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				inside.Add(-1)
				unlock()
			}
		})
	}
	group.Wait()
}
