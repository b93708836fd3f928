package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/store"
)

// TestResume breaks each answer after some bytes.
func TestResume(t *testing.T) {
	const step = 10_000
	want := content(95_000)
	for _, c := range []struct {
		name   string
		header http.Header // of the answers
		end    func(http.ResponseWriter, *http.Request)
		offset int64
		ranges []string // of the requests
		served int      // bytes, at most
	}{
		{"entity tag", http.Header{"Etag": {`"1"`}}, nil, 0, []string{"", "bytes=10000-", "bytes=20000-"}, 95_000},
		{"entity tag, from the middle", http.Header{"Etag": {`"1"`}}, nil, 7, []string{"bytes=7-", "bytes=10007-", "bytes=20007-"}, 95_000},
		{"stalls", http.Header{"Etag": {`"1"`}}, stall, 0, []string{"", "bytes=10000-", "bytes=20000-"}, 95_000},
		{"old date", http.Header{"Last-Modified": {modified.AddDate(-30, 0, 0).Format(http.TimeFormat)}}, nil, 0, []string{"", "bytes=10000-"}, 95_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ranges, conditions []string
			within(t, func(w http.ResponseWriter, r *http.Request) {
				ranges = append(ranges, r.Header.Get("Range"))
				conditions = append(conditions, r.Header.Get("If-Range"))
				for key, values := range c.header {
					w.Header()[key] = values
				}
				end := func(w http.ResponseWriter) { cut(w) }
				if c.end != nil {
					end = func(w http.ResponseWriter) { c.end(w, r) }
				}
				http.ServeContent(&cutWriter{w, step, end}, r, "", lastModified(c.header), bytes.NewReader(want))
			}, store.HTTPOptions{Retries: 1}, func(t *testing.T, f *faulty) {
				got, err := fetchAll(f, c.offset, -1)
				if err != nil || !bytes.Equal(got, want[c.offset:]) {
					t.Fatalf("want %d bytes, got %d, error %v", len(want)-int(c.offset), len(got), err)
				}
				if n := f.Traffic().Received; n > int64(c.served) {
					t.Errorf("want at most %d bytes on the wire, got %d", c.served, n)
				}
				if len(ranges) != 10 || len(f.retries) != 9 {
					t.Errorf("want 10 requests and 9 retries, got %d and %d", len(ranges), len(f.retries))
				}
				for i, want := range c.ranges {
					if ranges[i] != want {
						t.Errorf("request %d: want range %q, got %q", i, want, ranges[i])
					}
				}
				for i, got := range conditions {
					want := c.header.Get("Etag") + c.header.Get("Last-Modified")
					if i == 0 {
						want = ""
					}
					if got != want {
						t.Errorf("request %d: want If-Range %q, got %q", i, want, got)
					}
				}
			})
		})
	}
}

func lastModified(h http.Header) time.Time {
	at, _ := http.ParseTime(h.Get("Last-Modified"))
	return at
}

// TestResumeWithoutValidator breaks the first answers of servers that give
// nothing for If-Range, or do not understand it.
func TestResumeWithoutValidator(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Format(http.TimeFormat) // when bubbles begin
	want := content(50_000)
	for name, header := range map[string]http.Header{
		"none":                        {},
		"weak tag":                    {"Etag": {`W/"1"`}},
		"weak tag and old date":       {"Etag": {`W/"1"`}, "Last-Modified": {modified.AddDate(-30, 0, 0).Format(http.TimeFormat)}},
		"date of this second":         {"Last-Modified": {now}},
		"nonsense":                    {"Etag": {`1`}, "Last-Modified": {"yesterday"}},
		"tag, but ranges are ignored": {"Etag": {`"1"`}},
	} {
		for _, offset := range []int64{0, 1000} {
			t.Run(fmt.Sprint(name, ", offset ", offset), func(t *testing.T) {
				requests := 0
				within(t, func(w http.ResponseWriter, r *http.Request) {
					requests++
					for key, values := range header {
						w.Header()[key] = values
					}
					if strings.HasSuffix(name, "ignored") {
						r.Header.Del("Range")
					} else if r.Header.Get("If-Range") != "" {
						t.Errorf("got If-Range %q", r.Header.Get("If-Range"))
					}
					left := 10_000 * requests // longer each time
					http.ServeContent(&cutWriter{w, left, func(w http.ResponseWriter) { cut(w) }}, r, "", lastModified(header), bytes.NewReader(want))
				}, store.HTTPOptions{Retries: 1}, func(t *testing.T, f *faulty) {
					got, err := fetchAll(f, offset, -1)
					if err != nil || !bytes.Equal(got, want[offset:]) {
						t.Errorf("want %d bytes, got %d, error %v", len(want)-int(offset), len(got), err)
					}
					if requests < 3 {
						t.Errorf("want several requests, got %d", requests)
					}
				})
			})
		}
	}
}

// TestChanged replaces the file when its first answer has been cut. No byte of
// the new one may follow bytes of the old one.
func TestChanged(t *testing.T) {
	old, changed := content(40_000), content(40_000)
	changed[5] ^= 1
	longer := append(bytes.Clone(old), "more"...)
	for _, c := range []struct {
		name          string
		header1, next http.Header
		new           []byte
		ignore        bool // ranges
		want          error
	}{
		{"tag", http.Header{"Etag": {`"1"`}}, http.Header{"Etag": {`"2"`}}, changed, false, store.ErrChanged},
		{"tag, without ranges", http.Header{"Etag": {`"1"`}}, http.Header{"Etag": {`"2"`}}, changed, true, store.ErrChanged},
		{"tag gone", http.Header{"Etag": {`"1"`}}, nil, changed, false, store.ErrChanged},
		{"no tag", nil, nil, changed, false, store.ErrChanged},
		{"no tag, without ranges", nil, nil, changed, true, store.ErrChanged},
		{"no tag, longer", nil, nil, longer, true, store.ErrChanged},
		{"no tag, shorter", nil, nil, old[:11_000], false, store.ErrChanged},
		{"no tag, much shorter", nil, nil, old[:9_000], true, store.ErrChanged},
		{"tag, empty", http.Header{"Etag": {`"1"`}}, http.Header{"Etag": {`"2"`}}, nil, false, store.ErrChanged},
		{"tag, gone", http.Header{"Etag": {`"1"`}}, nil, nil, false, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			within(t, func(w http.ResponseWriter, r *http.Request) {
				header, content := c.header1, old
				if requests++; requests > 1 {
					header, content = c.next, c.new
				}
				if errors.Is(c.want, fs.ErrNotExist) && requests > 1 {
					http.NotFound(w, r)
					return
				}
				for key, values := range header {
					w.Header()[key] = values
				}
				if c.ignore {
					r.Header.Del("Range")
				}
				if requests == 1 {
					w = &cutWriter{w, 10_000, func(w http.ResponseWriter) { cut(w) }}
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
				got, err := fetchAll(f, 0, -1)
				if !errors.Is(err, c.want) || !bytes.Equal(got, old[:10_000]) {
					t.Errorf("want the first 10000 old bytes and %v, got %d bytes, error %v", c.want, len(got), err)
				}
				if requests != 2 {
					t.Errorf("want 2 requests, got %d", requests)
				}
			})
		})
	}
}

// TestChangedNotSatisfiable has a server that looks at the range before it
// looks at If-Range.
func TestChangedNotSatisfiable(t *testing.T) {
	requests := 0
	within(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		if requests++; requests > 1 {
			w.Header().Set("Content-Range", "bytes */10")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Length", "20")
		io.WriteString(w, "0123456789")
		cut(w)
	}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		got, err := fetchAll(f, 0, 20)
		if !errors.Is(err, store.ErrChanged) || string(got) != "0123456789" {
			t.Errorf("want ten bytes and ErrChanged, got %q, error %v", got, err)
		}
	})
}

// TestChangedBeforeFirstByte is no change to the reader.
func TestChangedBeforeFirstByte(t *testing.T) {
	requests := 0
	within(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Etag", fmt.Sprintf(`"%d"`, requests))
		w.Header().Set("Content-Length", strconv.Itoa(5+requests))
		if requests == 1 {
			cut(w)
		}
		io.WriteString(w, "second!")
	}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		if got, err := fetchAll(f, 0, -1); err != nil || string(got) != "second!" {
			t.Errorf("want the second version, got %q, error %v", got, err)
		}
	})
}
