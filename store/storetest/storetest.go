// Package storetest is the suite that every store must pass. It checks what
// the comments on [store.Fetcher], [store.Pusher] and [store.Store] promise.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/treegraft-dev/treegraft/store"
)

// oddNames are names that a store may not mistake for others, nor mangle on
// their way through a URL.
var oddNames = []string{
	"with space", "per%cent", "per%2Fcent", "plus+plus", "hash#tag", "semi;colon", "am&per=sand",
	"quo'te", "tilde~", "at@", "dollar$", "(paren)", "[bracket]", "comma,", "ünï/cödé", "日本", "a..b", "-dash", "UPPER",
	strings.Repeat("n", 200) + "/" + strings.Repeat("m", 200),
}

// badNames must be refused by each method with fs.ErrInvalid.
var badNames = []string{
	"", ".", "..", "/", "/etc/passwd", "../up", "a/../../up", "a/..", "a//b", "a/", "./a", `a\b`, `..\up`, "c:", "c:/x", "a*", "a?b",
	"nul\x00", "line\nfeed", "del\x7f", "bad\xffutf8", ".hidden", "a/.hidden", "dot.", "a./b", "space ", "a /b",
	strings.Repeat("x/", 600) + "x",
}

// content returns n bytes that look random, the same in each run.
func content(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// files are what a Fetcher is tested with.
func files() map[string][]byte {
	f := map[string][]byte{
		"empty":             {},
		"small":             []byte("0123456789"),
		"folder/below/file": []byte("deep"),
		"big":               content(3<<20 + 7),
	}
	for i, name := range oddNames {
		f[name] = fmt.Appendf(nil, "odd name %d", i)
	}
	return f
}

// read returns what Fetch and its reader give.
func read(ctx context.Context, f store.Fetcher, name string, offset, length int64) ([]byte, error) {
	body, err := f.Fetch(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

// wantContent fails the test unless a file holds want.
func wantContent(t *testing.T, f store.Fetcher, name string, want []byte) {
	t.Helper()
	got, err := read(t.Context(), f, name, 0, -1)
	if err != nil {
		t.Errorf("%.80q: %v", name, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%.80q: want %d bytes %.20q, got %d bytes %.20q", name, len(want), want, len(got), got)
	}
}

// TestFetcher checks a Fetcher. Open returns one that holds the files.
func TestFetcher(t *testing.T, open func(t *testing.T, files map[string][]byte) store.Fetcher) {
	all := files()
	f := open(t, all)
	t.Run("whole files", func(t *testing.T) {
		for name, want := range all {
			wantContent(t, f, name, want)
		}
	})
	t.Run("ranges", func(t *testing.T) { testRanges(t, f, all) })
	t.Run("files too short", func(t *testing.T) { testShort(t, f) })
	t.Run("length zero asks for presence", func(t *testing.T) {
		for _, name := range []string{"empty", "small", "big", oddNames[0]} {
			if got, err := read(t.Context(), f, name, 0, 0); err != nil || len(got) != 0 {
				t.Errorf("%q: want no bytes, got %d, error %v", name, len(got), err)
			}
		}
	})
	t.Run("missing files", func(t *testing.T) {
		for _, name := range []string{"missing", "folder/missing", "missing/folder/file", "small/file", "folder"} {
			for _, length := range []int64{-1, 0, 5} {
				if got, err := read(t.Context(), f, name, 0, length); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%q, length %d: want fs.ErrNotExist, got %d bytes, error %v", name, length, len(got), err)
				}
			}
		}
	})
	t.Run("bad names and ranges", func(t *testing.T) {
		for _, name := range badNames {
			if got, err := read(t.Context(), f, name, 0, -1); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%.80q: want fs.ErrInvalid, got %d bytes, error %v", name, len(got), err)
			}
		}
		for _, r := range [][2]int64{{-1, 1}, {0, -2}, {1, 1<<63 - 1}} {
			if _, err := read(t.Context(), f, "small", r[0], r[1]); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("offset %d, length %d: want fs.ErrInvalid, got %v", r[0], r[1], err)
			}
		}
	})
	t.Run("readers", func(t *testing.T) { testReaders(t, f, all) })
	t.Run("cancelled", func(t *testing.T) { testCancel(t, f, all["big"]) })
	t.Run("many at once", func(t *testing.T) { testConcurrent(t, f, all) })
}

func testRanges(t *testing.T, f store.Fetcher, all map[string][]byte) {
	big := int64(len(all["big"]))
	for _, c := range []struct {
		name           string
		offset, length int64
	}{
		{"small", 0, 10}, {"small", 0, 1}, {"small", 9, 1}, {"small", 3, 4}, {"small", 4, -1}, {"small", 9, -1},
		{"small", 10, -1}, {"small", 10, 0}, {"empty", 0, -1}, {"empty", 0, 0},
		{"big", 0, big}, {"big", 1 << 20, 1 << 20}, {"big", 1<<20 + 1, -1}, {"big", big - 1, 1}, {"big", big, -1},
	} {
		want := all[c.name][c.offset:]
		if c.length >= 0 {
			want = want[:c.length]
		}
		got, err := read(t.Context(), f, c.name, c.offset, c.length)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, offset %d, length %d: want %d bytes %.20q, got %d bytes %.20q, error %v",
				c.name, c.offset, c.length, len(want), want, len(got), got, err)
		}
	}
}

func testShort(t *testing.T, f store.Fetcher) {
	for _, c := range []struct {
		name           string
		offset, length int64
	}{
		{"small", 0, 11}, {"small", 5, 6}, {"small", 10, 1}, {"small", 11, 1}, {"small", 11, -1}, {"small", 1 << 40, 5},
		{"empty", 0, 1}, {"empty", 1, -1}, {"big", 1, 1 << 40},
	} {
		if _, err := read(t.Context(), f, c.name, c.offset, c.length); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s, offset %d, length %d: want io.ErrUnexpectedEOF, got %v", c.name, c.offset, c.length, err)
		}
	}
}

func testReaders(t *testing.T, f store.Fetcher, all map[string][]byte) {
	for _, c := range []struct {
		name           string
		offset, length int64
		want           []byte
	}{
		{"small", 0, -1, all["small"]}, {"small", 2, 5, []byte("23456")}, {"empty", 0, -1, nil}, {"big", 100, 100_000, all["big"][100:100_100]},
	} {
		body, err := f.Fetch(t.Context(), c.name, c.offset, c.length)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := iotest.TestReader(body, c.want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		body.Close()
		if _, err := body.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: read after close: want an error", c.name)
		}
	}
	body, err := f.Fetch(t.Context(), "big", 0, -1) // closed long before its end
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, body, 10); err != nil {
		t.Error(err)
	}
	body.Close()
	if _, err := body.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read after close in the middle: want an error other than io.EOF, got %v", err)
	}
}

func testCancel(t *testing.T, f store.Fetcher, big []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	body, err := f.Fetch(ctx, "big", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.CopyN(io.Discard, body, 1000); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, body); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while reading: want context.Canceled, got %d bytes of %d, error %v", n, len(big), err)
	}
	for _, length := range []int64{-1, 0, 5} {
		if _, err := read(ctx, f, "small", 0, length); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before, length %d: want context.Canceled, got %v", length, err)
		}
	}
}

func testConcurrent(t *testing.T, f store.Fetcher, all map[string][]byte) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for name, want := range all { // in another order each
				wantContent(t, f, name, want)
			}
			offset := int64(i * 1000)
			got, err := read(t.Context(), f, "big", offset, 5000)
			if err != nil || !bytes.Equal(got, all["big"][offset:offset+5000]) {
				t.Errorf("big from %d on: got other bytes, error %v", offset, err)
			}
		})
	}
	group.Wait()
}
