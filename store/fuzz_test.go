package store

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A scripted transport gives the same bytes as each answer.
type scripted []byte

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(s)), r)
}

// FuzzAnswer reads a range from a server that answers with anything. Whatever
// that is, the reader gives the range or an error, and the bytes of a range
// are those that the answer puts there.
func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\n0123456789",
		"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\nETag: \"1\"\r\n\r\n2345",
		"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/*\r\n\r\n23",
		"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */2\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 301 Moved Permanently\r\nLocation: /file/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 61\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4611686018427387902/4611686018427387903\r\n\r\n",
	} {
		f.Add([]byte(answer), int64(2), int64(4))
		f.Add([]byte(answer), int64(0), int64(-1))
		f.Add([]byte(answer), int64(2), int64(-1))
		f.Add([]byte(answer), int64(3), int64(0))
	}
	f.Fuzz(func(t *testing.T, answer []byte, offset, length int64) {
		h, err := NewHTTP("http://server", HTTPOptions{
			Client: &http.Client{Transport: scripted(answer)}, Retries: 1, BackOff: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(answer), []byte("retry-after")) {
			h.options.Retries = -1 // do not wait
		}
		body, err := h.Fetch(t.Context(), "file", offset, length)
		if err != nil {
			return
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if length >= 0 && (int64(len(got)) > length || err == nil && int64(len(got)) < length) {
			t.Errorf("want %d bytes or an error, got %d bytes, error %v", length, len(got), err)
		}
		if n, e := body.Read(make([]byte, 1)); n != 0 || e == nil || err != nil && e != err {
			t.Errorf("after the end with error %v: want none and the same error, got %d bytes, error %v", err, n, e)
		}
	})
}

// FuzzContentRange reads a header and writes it again.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-0/1", "bytes 2-5/*", "bytes 5-2/10", "bytes */10", "bytes 2-5", "", "lines 1-2/3",
		"bytes 0-4611686018427387902/4611686018427387903", "bytes +1-2/3", "bytes 1-2/3/4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, end, total, err := parseContentRange(s)
		if err != nil {
			if start != 0 || end != 0 || total != 0 {
				t.Errorf("%q: an error with numbers", s)
			}
			return
		}
		if start < 0 || end <= start || total != -1 && total < end {
			t.Errorf("%q: impossible range %d to %d of %d", s, start, end, total)
		}
	})
}

// FuzzName looks for names that pass the check and mean something else to the
// file system or in a URL.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a/b", "../a", "a//b", "a+b", "a%2fb", "a?b", "a#b", "ü", ".a", "a.", "a\\b", "CON"} {
		f.Add(s)
	}
	h, err := NewHTTP("http://host/base%20x/", HTTPOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := CheckName(name); err != nil {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: want fs.ErrInvalid, got %v", name, err)
			}
			return
		}
		if !fs.ValidPath(name) || name[0] == '.' || strings.Contains(name, "/.") || len(name) > 1024 {
			t.Errorf("%q must not pass", name)
		}
		u, err := url.Parse(h.url(name).String())
		if err != nil || u.Path != "/base x/"+name || u.RawQuery != "" || u.Fragment != "" || u.Host != "host" {
			t.Errorf("%q became %v, error %v", name, u, err)
		}
	})
}

func TestStrongValidator(t *testing.T) {
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct{ tag, modified, date, want string }{
		{`"x"`, "", "", `"x"`},
		{`""`, "", "", `""`},
		{`"x"`, at(-time.Hour), at(0), `"x"`},
		{`W/"x"`, "", "", ""},
		{`W/"x"`, at(-time.Hour), at(0), ""}, // a tag, even a weak one, rules out the date
		{`x`, at(-time.Hour), at(0), ""},
		{`"`, "", "", ""},
		{"", at(-time.Hour), at(0), at(-time.Hour)},
		{"", at(-time.Second), at(0), at(-time.Second)},
		{"", at(0), at(0), ""},
		{"", at(time.Hour), at(0), ""},
		{"", at(-time.Hour), "", ""},
		{"", "yesterday", at(0), ""},
		{"", "", at(0), ""},
	} {
		h := http.Header{"Etag": {c.tag}, "Last-Modified": {c.modified}, "Date": {c.date}}
		if got := strongValidator(h); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
