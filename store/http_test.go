package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/nginxtest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/store/storetest"
)

func newHTTP(t testing.TB, url string, options store.HTTPOptions) *store.HTTP {
	t.Helper()
	h, err := store.NewHTTP(url, options)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// folder returns a folder with files.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, b := range files {
		writeFile(t, filepath.Join(root, filepath.FromSlash(name)), string(b))
	}
	return root
}

// TestHTTP runs the suite against servers that differ in what they can do.
func TestHTTP(t *testing.T) {
	// serve wraps the file server of net/http.
	serve := func(wrap func(http.Handler) http.Handler) func(*testing.T, string) string {
		return func(t *testing.T, root string) string {
			server := httptest.NewServer(wrap(http.FileServer(http.Dir(root))))
			t.Cleanup(server.Close)
			return server.URL
		}
	}
	nginx := func(directives ...string) func(*testing.T, string) string {
		return func(t *testing.T, root string) string { return nginxtest.Start(t, root, directives...).URL }
	}
	for name, start := range map[string]func(t *testing.T, root string) string{
		"net/http": serve(func(h http.Handler) http.Handler { return h }),
		"net/http below a folder": func(t *testing.T, root string) string {
			return serve(func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.URL.Path, r.URL.RawPath = strings.TrimPrefix(r.URL.Path, "/a%20b/c"), ""
					h.ServeHTTP(w, r)
				})
			})(t, root) + "/a%2520b/c/"
		},
		"net/http chunked and without ranges": serve(func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				h.ServeHTTP(headerless{w, []string{"Content-Length", "Last-Modified"}}, r)
			})
		}),
		"net/http with chunked ranges": serve(func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(headerless{w, []string{"Content-Length"}}, r)
			})
		}),
		"nginx":                    nginx(),
		"nginx without ranges":     nginx("max_ranges 0;"),
		"nginx without validators": nginx("etag off;", `add_header Last-Modified "";`),
		"nginx with gzip":          nginx("gzip on;", "gzip_types *;", "gzip_min_length 0;", "gzip_proxied any;"),
	} {
		t.Run(name, func(t *testing.T) {
			storetest.TestFetcher(t, func(t *testing.T, files map[string][]byte) store.Fetcher {
				return newHTTP(t, start(t, folder(t, files)), store.HTTPOptions{})
			})
		})
	}
}

func TestHTTP2(t *testing.T) {
	storetest.TestFetcher(t, func(t *testing.T, files map[string][]byte) store.Fetcher {
		handler := http.FileServer(http.Dir(folder(t, files)))
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("want HTTP/2, got %s", r.Proto)
			}
			handler.ServeHTTP(w, r)
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		return newHTTP(t, server.URL, store.HTTPOptions{Client: server.Client()})
	})
}

// A headerless writer drops some headers.
type headerless struct {
	http.ResponseWriter
	drop []string
}

func (h headerless) WriteHeader(status int) {
	if status < 400 {
		for _, key := range h.drop {
			h.Header().Del(key)
		}
	}
	h.ResponseWriter.WriteHeader(status)
}

// TestHTTPReusesConnections fetches many small files at once, and counts the
// connections at the server.
func TestHTTPReusesConnections(t *testing.T) {
	const files, workers = 2000, 16
	root := t.TempDir()
	for i := range 100 {
		writeFile(t, filepath.Join(root, fmt.Sprint(i)), strings.Repeat("x", i*100))
	}
	server := nginxtest.Start(t, root)
	h := newHTTP(t, server.URL, store.HTTPOptions{})
	var n counter
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := n.next(); i <= files; i = n.next() {
				switch i % 4 {
				case 0:
					if _, err := store.ReadAll(t.Context(), h, fmt.Sprint(i%100), 1<<20); err != nil {
						t.Error(err)
					}
				case 1: // closed without having read io.EOF
					body, err := h.Fetch(t.Context(), "99", 10, 1000)
					if err != nil {
						t.Error(err)
						continue
					}
					if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
						t.Error(err)
					}
					body.Close()
				case 2:
					if _, err := h.Fetch(t.Context(), "missing", 0, -1); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("want fs.ErrNotExist, got %v", err)
					}
				case 3:
					if _, err := h.Fetch(t.Context(), "99", 1<<20, 5); !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("want io.ErrUnexpectedEOF, got %v", err)
					}
				}
			}
		})
	}
	group.Wait()
	connections, requests := map[int64]bool{}, server.Requests()
	for _, r := range requests {
		connections[r.Connection] = true
	}
	// A few more than one each: a connection returns to the pool a moment
	// after its last byte was read.
	if len(connections) > 2*workers || len(requests) != files {
		t.Errorf("want %d requests over about %d connections, got %d over %d", files, workers, len(requests), len(connections))
	}
	if got := h.Traffic(); got.Requests != files {
		t.Errorf("traffic: want %d requests, got %+v", files, got)
	}
}

// TestHTTPTraffic compares our count of bytes with the server's.
func TestHTTPTraffic(t *testing.T) {
	server := nginxtest.Start(t, folder(t, map[string][]byte{"big": make([]byte, 3<<20)}))
	h := newHTTP(t, server.URL, store.HTTPOptions{})
	for _, r := range [][2]int64{{0, -1}, {5, 1000}, {1 << 20, -1}} {
		body, err := h.Fetch(t.Context(), "big", r[0], r[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Fatal(err)
		}
		body.Close()
	}
	want := store.Traffic{}
	for _, r := range server.Requests() {
		want.Requests++
		want.Received += r.Body
	}
	if got := h.Traffic(); got != want || want.Received != 5<<20+1000 {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

// TestHTTPRequest looks at what is sent.
func TestHTTPRequest(t *testing.T) {
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		http.ServeContent(w, r, "", modified, strings.NewReader("0123456789"))
	}))
	defer server.Close()
	base := strings.Replace(server.URL, "://", "://user:pass@", 1) + "/base%20folder/?token=a%26b"
	h := newHTTP(t, base, store.HTTPOptions{Header: http.Header{"x-key": {"secret"}, "Range": {"bytes=1-1"}}, UserAgent: "me/1"})
	for _, r := range [][2]int64{{0, -1}, {2, 3}, {4, -1}, {0, 0}} {
		if body, err := h.Fetch(t.Context(), "a+b/c d?"[:7], r[0], r[1]); err != nil {
			t.Fatal(err)
		} else {
			io.Copy(io.Discard, body)
			body.Close()
		}
	}
	for i, want := range []struct{ method, byteRange string }{{"GET", ""}, {"GET", "bytes=2-4"}, {"GET", "bytes=4-"}, {"HEAD", ""}} {
		r := seen[i]
		user, pass, _ := r.BasicAuth()
		got := fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.URL.RawQuery, " ", r.Header.Get("Range"), " ", r.Header.Get("X-Key"), " ",
			r.UserAgent(), " ", r.Header.Get("Accept-Encoding"), " ", user, ":", pass)
		want := fmt.Sprint(want.method, " /base folder/a+b/c d token=a%26b ", want.byteRange, " secret me/1 identity user:pass")
		if got != want {
			t.Errorf("request %d:\nwant %s\ngot  %s", i, want, got)
		}
	}
	if uri := seen[0].RequestURI; uri != "/base%20folder/a%2Bb/c%20d?token=a%26b" {
		t.Errorf("got URI %s", uri)
	}
}

// TestHTTPKeepsSecrets looks for them in errors.
func TestHTTPKeepsSecrets(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	base := strings.Replace(server.URL, "://", "://user:passw0rd@", 1) + "/x?sig=t0ken"
	fetch := func(base string) error {
		h, err := store.NewHTTP(base, store.HTTPOptions{Retries: -1})
		if err == nil {
			_, err = h.Fetch(t.Context(), "name", 0, -1)
		}
		return err
	}
	errs := []error{fetch(base)}
	server.Close()
	errs = append(errs, fetch(base), fetch(base+"#x"), fetch(strings.Replace(base, "http://", "http://%zz", 1)), fetch("ftp"+base[4:]))
	for i, err := range errs {
		if err == nil {
			t.Errorf("%d: want an error", i)
		} else if s := err.Error(); strings.Contains(s, "passw0rd") || i < 2 && strings.Contains(s, "t0ken") {
			t.Errorf("%d: the error tells a secret: %s", i, s)
		}
	}
	if !errors.Is(errs[1], syscall.ECONNREFUSED) && os.PathSeparator == '/' {
		t.Errorf("want ECONNREFUSED, got %v", errs[1])
	}
}

// redirects answers with redirects of many kinds.
func redirects(t *testing.T, other string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/other", http.RedirectHandler(other+"/file", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/ftp", http.RedirectHandler("ftp://host/file", http.StatusFound))
	mux.Handle("/nowhere", http.RedirectHandler("", http.StatusFound))
	mux.HandleFunc("/steps/{n}", func(w http.ResponseWriter, r *http.Request) {
		if n := r.PathValue("n"); n != "0" {
			http.Redirect(w, r, "/steps/"+string(n[0]-1), http.StatusTemporaryRedirect)
			return
		}
		if r.Header.Get("X-Key") != "secret" {
			t.Error("the own host got no key")
		}
		http.ServeContent(w, r, "", modified, strings.NewReader("0123456789"))
	})
	return mux
}

// TestHTTPRedirects follows some and refuses others.
func TestHTTPRedirects(t *testing.T) {
	var leaked []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []string{"X-Key", "Authorization", "Referer"} {
			if v := r.Header.Get(key); v != "" {
				leaked = append(leaked, key+": "+v)
			}
		}
		io.WriteString(w, "from the other host")
	}))
	defer other.Close()
	mux := redirects(t, other.URL)
	plain := httptest.NewServer(mux)
	defer plain.Close()
	mux.Handle("/plain", http.RedirectHandler(plain.URL+"/steps/0", http.StatusFound))
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()

	fetch := func(server *httptest.Server, name string) (string, int64) {
		base := strings.Replace(server.URL, "://", "://user:pass@", 1) + "?q=secret"
		h := newHTTP(t, base, store.HTTPOptions{Client: server.Client(), Header: http.Header{"x-key": {"secret"}}, Retries: -1})
		b, err := store.ReadAll(t.Context(), h, name, 100)
		if err != nil {
			return "error", h.Traffic().Requests
		}
		return string(b), h.Traffic().Requests
	}
	for _, c := range []struct {
		server     *httptest.Server
		name, want string
		requests   int64
	}{
		{plain, "steps/5", "0123456789", 6},
		{plain, "steps/6", "error", 6},
		{plain, "loop", "error", 6},
		{plain, "other", "from the other host", 2},
		{plain, "ftp", "error", 1},
		{plain, "nowhere", "error", 0}, // as many as it likes
		{secure, "steps/3", "0123456789", 4},
		{secure, "plain", "error", 1},
	} {
		got, requests := fetch(c.server, c.name)
		if got != c.want || c.requests > 0 && requests != c.requests {
			t.Errorf("%s: want %q after %d requests, got %q after %d", c.name, c.want, c.requests, got, requests)
		}
	}
	if len(leaked) > 0 {
		t.Errorf("the other host got %q", leaked)
	}
}

// TestHTTPUnknownCertificate must not be repeated: it does not get better.
func TestHTTPUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	h := newHTTP(t, server.URL, store.HTTPOptions{OnRetry: func(r store.Retry) { t.Errorf("retried after %v", r.Err) }})
	if _, err := h.Fetch(t.Context(), "file", 0, -1); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("want an error about the certificate, got %v", err)
	}
}

// TestHTTPProxy runs itself again with a proxy in the environment, because
// net/http looks there only once.
func TestHTTPProxy(t *testing.T) {
	if os.Getenv("STORE_TEST_PROXY") != "" {
		b, err := store.ReadAll(t.Context(), newHTTP(t, "http://repository.invalid/x", store.HTTPOptions{Retries: -1}), "file", 100)
		fmt.Printf("got %q, error %v\n", b, err)
		return
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "by proxy: "+r.RequestURI)
	}))
	defer proxy.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHTTPProxy$")
	cmd.Env = append(os.Environ(), "STORE_TEST_PROXY=1", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	out, err := cmd.CombinedOutput()
	if want := `got "by proxy: http://repository.invalid/x/file", error <nil>`; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("want %s, got %s, error %v", want, out, err)
	}
}

func TestOpen(t *testing.T) {
	root := folder(t, map[string][]byte{"file": []byte("content")})
	server := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer server.Close()
	good := []string{root, server.URL, server.URL + "/", "HTTP" + server.URL[4:]}
	if os.PathSeparator == '/' {
		good = append(good, "file://"+root, "file://localhost"+root, "FILE://"+root)
	}
	for _, location := range good {
		f, err := store.Open(location, store.HTTPOptions{})
		if err != nil {
			t.Errorf("%s: %v", location, err)
			continue
		}
		if b, err := store.ReadAll(t.Context(), f, "file", 7); string(b) != "content" {
			t.Errorf("%s: got %q, error %v", location, b, err)
		}
	}
	for _, location := range []string{"", "http://", "https:///x", "http://host/#x", "ftp://host/x", "://x", root + "/missing",
		"file://host" + root, "s3://bucket", "http://ho st/", "file://%zz"} {
		if f, err := store.Open(location, store.HTTPOptions{}); err == nil {
			t.Errorf("%s: want an error, got %#v", location, f)
		}
	}
}

func TestReadAll(t *testing.T) {
	d := openDir(t, folder(t, map[string][]byte{"file": []byte("0123456789"), "empty": nil}))
	for _, c := range []struct {
		name string
		max  int64
		want string
	}{{"file", 10, "0123456789"}, {"file", 1 << 62, "0123456789"}, {"empty", 0, ""}, {"file", 1<<63 - 1, "0123456789"}} {
		if b, err := store.ReadAll(t.Context(), d, c.name, c.max); err != nil || string(b) != c.want {
			t.Errorf("%s, at most %d: want %q, got %q, error %v", c.name, c.max, c.want, b, err)
		}
	}
	var limit *store.LimitError
	for _, max := range []int64{9, 0} {
		if b, err := store.ReadAll(t.Context(), d, "file", max); !errors.As(err, &limit) || limit.Max != max || limit.Name != "file" {
			t.Errorf("at most %d: want a LimitError, got %q, error %v", max, b, err)
		}
	}
}

// BenchmarkHTTPSmall fetches small files in parallel, as a client does that
// installs a tree of many files.
func BenchmarkHTTPSmall(b *testing.B) {
	server := nginxtest.Start(b, folder(b, map[string][]byte{"file": bytes.Repeat([]byte("x"), 4000)}))
	h := newHTTP(b, server.URL, store.HTTPOptions{})
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := store.ReadAll(b.Context(), h, "file", 4000); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkHTTPBig fetches a big file, with a validator and without one.
func BenchmarkHTTPBig(b *testing.B) {
	const size = 64 << 20
	root := folder(b, map[string][]byte{"file": make([]byte, size)})
	for name, directives := range map[string][]string{"validator": nil, "hash": {"etag off;", `add_header Last-Modified "";`}} {
		b.Run(name, func(b *testing.B) {
			h := newHTTP(b, nginxtest.Start(b, root, directives...).URL, store.HTTPOptions{})
			b.SetBytes(size)
			for b.Loop() {
				body, err := h.Fetch(b.Context(), "file", 0, -1)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{body}, make([]byte, 256<<10)); err != nil {
					b.Fatal(err)
				}
				body.Close()
			}
		})
	}
}
