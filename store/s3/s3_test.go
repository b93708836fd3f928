package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/treegraft-dev/treegraft/internal/s3test"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/store/storetest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open returns an empty store, in a folder of its own of one server.
func opener(t *testing.T) func(t *testing.T) store.Store {
	location := s3test.Start(t).Location
	n := 0
	return func(t *testing.T) store.Store {
		t.Helper()
		n++
		s, err := Open(strings.Replace(location, "s3://bucket", fmt.Sprintf("s3://bucket/some/folder %d", n), 1))
		check(t, err)
		return s
	}
}

func TestStore(t *testing.T) { storetest.TestStore(t, opener(t)) }

// Objects of several parts, and what becomes of them when their reader is not
// what it should be.
func TestLarge(t *testing.T) {
	s := opener(t)(t)
	size := int64(2*partSize + 5)
	all := bytes.Repeat([]byte("a part of what is large;"), 2*partSize/20)
	content := func(n int64) io.Reader { return io.MultiReader(bytes.NewReader(all[:n])) } // one that cannot seek
	check(t, s.PushNew(t.Context(), "large", content(size), size))
	body, err := s.Fetch(t.Context(), "large", partSize-10, 30)
	check(t, err)
	got, err := io.ReadAll(body)
	check(t, errors.Join(err, body.Close()))
	if want := all[partSize-10 : partSize+20]; !bytes.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	for _, wrong := range []int64{size - 1, size + 1} {
		if err := s.Push(t.Context(), "wrong", content(wrong), size); err == nil {
			t.Errorf("%d bytes for %d: want an error", wrong, size)
		}
	}
	if err := s.PushNew(t.Context(), "large", content(size), size); !errors.Is(err, fs.ErrExist) {
		t.Errorf("want fs.ErrExist, got %v", err)
	}
	for info, err := range s.List(t.Context(), "") {
		check(t, err)
		if info.Name != "large" || info.Size != size {
			t.Errorf("left behind: %+v", info)
		}
	}
}

// A lock that nobody renewed is taken over, and who had it is told.
func TestStaleLock(t *testing.T) {
	s := opener(t)(t).(*Store)
	unlock, err := s.Lock(t.Context(), "first")
	check(t, err)
	var locked *store.LockedError
	if _, err := s.Lock(t.Context(), "second"); !errors.As(err, &locked) || locked.Holder != "first" {
		t.Fatalf("want it held by first, got %v", err)
	}
	_, etag, _, err := s.lookAtLock(t.Context())
	check(t, err)
	// What another publisher does when the lease is over.
	other := &held{s: s, claim: []byte(`{"holder":"second","nonce":"another"}`)}
	var o minio.PutObjectOptions
	o.SetMatchETag(etag)
	check(t, other.put(t.Context(), o))
	if err := unlock(); !errors.Is(err, errLost) {
		t.Errorf("want errLost, got %v", err)
	}
	if c, _, _, err := s.lookAtLock(t.Context()); err != nil || c.Holder != "second" {
		t.Errorf("the other's lock is gone: %+v, %v", c, err)
	}
}

func TestRenew(t *testing.T) {
	s := opener(t)(t).(*Store)
	h := &held{s: s, claim: []byte(`{"holder":"me","nonce":"one"}`)}
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	check(t, h.put(t.Context(), o))
	check(t, h.renew(t.Context()))
	check(t, h.renew(t.Context()))
	if err := h.put(t.Context(), o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second claim: want fs.ErrExist, got %v", err)
	}
	check(t, s.core.RemoveObject(t.Context(), s.bucket, s.prefix+lockName, minio.RemoveObjectOptions{}))
	if err := h.renew(t.Context()); !errors.Is(err, errLost) {
		t.Errorf("somebody removed it: want errLost, got %v", err)
	}
}

func TestForbidden(t *testing.T) {
	location := s3test.Start(t).Location
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
	s, err := Open(location)
	check(t, err)
	if _, err := s.Fetch(t.Context(), "x", 0, -1); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("fetch: want fs.ErrPermission, got %v", err)
	}
	if err := s.Push(t.Context(), "x", strings.NewReader("x"), 1); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("push: want fs.ErrPermission, got %v", err)
	}
	if _, err := s.Lock(t.Context(), "me"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("lock: want fs.ErrPermission, got %v", err)
	}
}

func TestLocations(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_S3", "")
	t.Setenv("AWS_ENDPOINT_URL", "")
	for location, want := range map[string]string{
		"s3://bucket":      "s3://bucket/",
		"s3://bucket/":     "s3://bucket/",
		"s3://bucket/a/b/": "s3://bucket/a/b/",
		"s3://bucket/a?endpoint=https://s3.example": "s3://bucket/a/",
		"s3://":                                      "",
		"https://bucket":                             "",
		"s3://user:secret@bucket":                    "",
		"s3://bucket/../up":                          "",
		"s3://bucket/.hidden":                        "",
		"s3://bucket?endpoint=ftp://x":               "",
		"s3://bucket?endpoint=https://x/with/a/path": "",
		"s3://bucket?endpoint=nothing":               "",
		"s3://bucket?secret=x":                       "",
	} {
		s, err := Open(location)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s: want an error", location)
		case want != "" && (err != nil || s.where != want):
			t.Errorf("%s: want %s, got %+v, %v", location, want, s, err)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "not a URL")
	if _, err := Open("s3://bucket"); err == nil {
		t.Error("a wrong endpoint in the environment: want an error")
	}
}

func TestExactReader(t *testing.T) {
	for _, tt := range []struct {
		content string
		size    int64
		ok      bool
	}{{"", 0, true}, {"abc", 3, true}, {"abc", 2, false}, {"abc", 4, false}, {"", 1, false}, {"x", 0, false}} {
		for _, step := range []int{1, 2, 10} {
			r := &exactReader{r: strings.NewReader(tt.content), left: tt.size}
			var got []byte
			var err error
			for err == nil {
				p := make([]byte, step)
				var n int
				n, err = r.Read(p)
				got = append(got, p[:n]...)
			}
			if ok := err == io.EOF; ok != tt.ok {
				t.Errorf("%q as %d bytes: %v", tt.content, tt.size, err)
			}
			if !tt.ok && int64(len(got)) >= tt.size && tt.size > 0 {
				t.Errorf("%q as %d bytes: gave all of %q away", tt.content, tt.size, got)
			}
		}
	}
}
