package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/treegraft-dev/treegraft/store"
)

func TestOffline(t *testing.T) {
	r, dir := newPair(t)
	_, two := releases()
	c := r.client(dir)
	if _, err := c.Update(t.Context(), UpdateOptions{Offline: true, Version: "1.1.0"}); !errors.Is(err, ErrOffline) {
		t.Errorf("update before fetch: got %v", err)
	}
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	check(t, c.Fetch(t.Context(), p))
	check(t, os.RemoveAll(r.dir))
	st, err := c.Status(t.Context())
	check(t, err)
	if st.Fetched != "1.1.0" {
		t.Errorf("status: fetched %q", st.Fetched)
	}
	_, err = c.Update(t.Context(), UpdateOptions{Offline: true})
	check(t, err)
	wantTree(t, dir, two)
	if _, err := os.Stat(c.state(downloadsName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("downloads are still there: %v", err)
	}
}

// cutStore breaks bodies off after some bytes, as long as cut is set, and
// counts what it delivers of packs and objects.
type cutStore struct {
	store.Fetcher
	cut  int64
	sent atomic.Int64
}

var errCut = errors.New("cut off")

func (s *cutStore) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := s.Fetcher.Fetch(ctx, name, offset, length)
	if err != nil || !strings.HasPrefix(name, "packs/") && !strings.HasPrefix(name, "objects/") {
		return body, err
	}
	limit := int64(1 << 60)
	if s.cut > 0 {
		limit = s.cut
	}
	return &cutBody{body, s, limit}, nil
}

type cutBody struct {
	io.ReadCloser
	s    *cutStore
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.s.sent.Add(int64(n))
	return n, err
}

// TestResume cuts the download of a pack off again and again: every run goes on
// where the last one ended, and no byte is fetched twice.
func TestResume(t *testing.T) {
	r, dir := newPair(t)
	_, two := releases()
	d, err := store.OpenDir(r.dir)
	check(t, err)
	s := &cutStore{Fetcher: d}
	c := r.with(Options{Dir: dir, Store: s})
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	s.cut = p.pack.Size/5 + 1
	fails := 0
	for c.Fetch(t.Context(), p) != nil {
		if fails++; fails > 10 {
			t.Fatal("no end")
		}
	}
	_, err = c.Update(t.Context(), UpdateOptions{Offline: true})
	check(t, err)
	wantTree(t, dir, two)
	if got := s.sent.Load(); got != p.pack.Size {
		t.Errorf("fetched %d bytes of a pack of %d", got, p.pack.Size)
	}
}

// TestCancelled stops an update at each of its events: the tree is the old or
// the new one, and the next update ends well.
func TestCancelled(t *testing.T) {
	one, two := releases()
	for step := 1; ; step++ {
		r, dir := newPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		c := r.with(Options{Dir: dir, Repository: r.dir, Events: func(Event) {
			if n++; n == step {
				cancel()
			}
		}})
		_, err := c.Update(ctx, UpdateOptions{})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("step %d: %v", step, err)
		}
		if err != nil {
			wantTree(t, dir, one)
		} else {
			wantTree(t, dir, two)
		}
		_, err = r.client(dir).Update(t.Context(), UpdateOptions{})
		check(t, err)
		wantTree(t, dir, two)
		if n < step {
			return
		}
	}
}
