package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/store"
)

// A statusCase is a server that answers with one status after the other.
type statusCase struct {
	statuses []int // 200 in the end
	after    string
	requests int
	wait     time.Duration // at least
	want     error
}

func statusCases() []statusCase {
	return []statusCase{
		{[]int{500}, "", 2, 0, nil},
		{[]int{500, 502, 503, 504}, "", 5, 0, nil},
		{[]int{408, 425, 429}, "", 4, 0, nil},
		{[]int{500, 500, 500, 500, 500}, "", 5, 0, errStatus(500)},
		{[]int{404}, "", 1, 0, fs.ErrNotExist},
		{[]int{410}, "", 1, 0, fs.ErrNotExist},
		{[]int{403}, "", 1, 0, fs.ErrPermission},
		{[]int{401}, "", 1, 0, fs.ErrPermission},
		{[]int{400}, "", 1, 0, errStatus(400)},
		{[]int{501}, "", 1, 0, errStatus(501)},
		{[]int{204}, "", 1, 0, errStatus(204)},
		{[]int{304}, "", 1, 0, errStatus(304)},
		{[]int{300}, "", 1, 0, errStatus(300)},
		{[]int{503, 404}, "", 2, 0, fs.ErrNotExist},
		{[]int{503}, "7", 2, 7 * time.Second, nil},
		{[]int{429, 429}, "60", 3, 2 * time.Minute, nil},
		{[]int{503}, "61", 1, 0, errStatus(503)},
		{[]int{503}, "2147483647", 1, 0, errStatus(503)},
		{[]int{503}, "99999999999999999999", 2, 0, nil},
		{[]int{503}, "-1", 2, 0, nil},
		{[]int{503}, "Sat, 01 Jan 2000 00:00:09 GMT", 2, 9 * time.Second, nil},
		{[]int{503}, "Sat, 01 Jan 2000 01:00:00 GMT", 1, 0, errStatus(503)},
		{[]int{503}, "Sat, 01 Jan 1999 01:00:00 GMT", 2, 0, nil},
	}
}

func TestStatus(t *testing.T) {
	for _, c := range statusCases() {
		t.Run(fmt.Sprint(c.statuses, c.after), func(t *testing.T) {
			requests := 0
			within(t, func(w http.ResponseWriter, r *http.Request) {
				if requests++; requests > len(c.statuses) {
					io.WriteString(w, "content")
					return
				}
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(c.statuses[requests-1])
			}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
				start := time.Now()
				got, err := fetchAll(f, 0, -1)
				switch status := errStatus(0); {
				case c.want == nil && (err != nil || string(got) != "content"):
					t.Errorf("want the content, got %q, error %v", got, err)
				case errors.As(c.want, &status):
					var got *store.StatusError
					if !errors.As(err, &got) || got.Status != int(status) || got.Name != "file" || got.URL != "http://server/file" {
						t.Errorf("want a StatusError with %d, got %v", status, err)
					}
				case !errors.Is(err, c.want):
					t.Errorf("want %v, got %v", c.want, err)
				}
				if requests != c.requests || len(f.retries) != requests-1 {
					t.Errorf("want %d requests and one retry less, got %d and %d", c.requests, requests, len(f.retries))
				}
				if waited := time.Since(start); waited < c.wait || waited > c.wait+5*time.Minute {
					t.Errorf("want a wait of %v, got %v", c.wait, waited)
				}
			})
		})
	}
}

// An errStatus stands for a StatusError.
type errStatus int

func (e errStatus) Error() string { return strconv.Itoa(int(e)) }

// TestRefused gives answers that must not be believed, nor repeated.
func TestRefused(t *testing.T) {
	const whole = "0123456789"
	partial := func(contentRange, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		short   bool // want io.ErrUnexpectedEOF
	}{
		"no content range":    {partial("", "2345"), false},
		"wrong start":         {partial("bytes 3-6/10", "3456"), false},
		"start of the file":   {partial("bytes 0-9/10", whole), false},
		"wrong unit":          {partial("lines 2-5/10", "2345"), false},
		"end before start":    {partial("bytes 2-1/10", ""), false},
		"end after the total": {partial("bytes 2-5/5", "2345"), false},
		"negative":            {partial("bytes -2-5/10", "2345"), false},
		"huge":                {partial("bytes 2-99999999999999999999/*", "2345"), false},
		"almost huge":         {partial("bytes 2-9223372036854775807/*", "2345"), false},
		"other length":        {partial("bytes 2-5/10", "234"), false},
		"file too short":      {partial("bytes 2-4/5", "234"), true},
		"multipart": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "multipart/byteranges; boundary=x")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "--x\r\nContent-Range: bytes 2-5/10\r\n\r\n2345\r\n--x--\r\n")
		}, false},
		"compressed": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, whole)
		}, false},
		"whole file too short":            {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "01234") }, true},
		"whole file too short, chunked":   {func(w http.ResponseWriter, r *http.Request) { io.WriteString(headered(w), "01234") }, true},
		"whole file ends before, chunked": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(headered(w), "0") }, true},
		"not satisfiable":                 {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(416) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.handler, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
				got, err := fetchAll(f, 2, 4)
				if err == nil || errors.Is(err, io.ErrUnexpectedEOF) != c.short {
					t.Errorf("want an error (file too short: %v), got %q, error %v", c.short, got, err)
				}
				if len(f.retries) > 0 {
					t.Errorf("want no retries, got %v", f.retries)
				}
			})
		})
	}
}

// headered sends the headers, so that the body is chunked.
func headered(w http.ResponseWriter) io.Writer {
	http.NewResponseController(w).Flush()
	return w
}

// TestAccepted gives answers that are odd but right.
func TestAccepted(t *testing.T) {
	const whole = "0123456789"
	partial := func(contentRange, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, body)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"unknown total":   partial("bytes 2-5/*", "2345"),
		"more than asked": partial("bytes 2-8/10", "2345678"),
		"capital unit":    partial("Bytes 2-5/10", "2345"),
		"chunked, longer than its range": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 2-5/10")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(headered(w), whole[2:])
		},
		"whole file":          func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, whole) },
		"whole file, chunked": func(w http.ResponseWriter, r *http.Request) { io.WriteString(headered(w), whole) },
		"identity": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "Identity")
			io.WriteString(w, whole)
		},
		"less than asked": func(w http.ResponseWriter, r *http.Request) {
			var first, last int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
			last = min(last, first+1)
			w.Header().Set("Etag", `"1"`)
			partial(fmt.Sprintf("bytes %d-%d/10", first, last), whole[first:last+1])(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, handler, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
				if got, err := fetchAll(f, 2, 4); err != nil || string(got) != "2345" {
					t.Errorf("want 2345, got %q, error %v", got, err)
				}
			})
		})
	}
}

// TestLyingLength announces more than it sends. That is a broken connection,
// not a short file.
func TestLyingLength(t *testing.T) {
	within(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "0123456789")
		cut(w)
	}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		got, err := fetchAll(f, 0, -1)
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || string(got) != "0123456789" {
			t.Errorf("want ten bytes and an error about the connection, got %d bytes, error %v", len(got), err)
		}
		if len(f.retries) != 4 {
			t.Errorf("want 4 retries, got %v", f.retries)
		}
	})
}

// TestEndless sends without end.
func TestEndless(t *testing.T) {
	for _, length := range []string{"", strconv.Itoa(1 << 50)} {
		within(t, func(w http.ResponseWriter, r *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			for {
				if _, err := w.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
			var limit *store.LimitError
			if _, err := store.ReadAll(t.Context(), f, "file", 100_000); !errors.As(err, &limit) {
				t.Errorf("want a LimitError, got %v", err)
			}
			if got, err := fetchAll(f, 0, 100_000); err != nil || len(got) != 100_000 {
				t.Errorf("want 100000 bytes, got %d, error %v", len(got), err)
			}
			if got := f.Traffic().Received; got > 300_000 {
				t.Errorf("want little more than 200000 bytes on the wire, got %d", got)
			}
		})
	}
}

// TestEndlessHeader sends a header without end.
func TestEndlessHeader(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sent := make(chan int, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		n := 0
		for err := error(nil); err == nil; n += 1000 {
			_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1000)+"\r\n")
		}
		sent <- n
	}()
	h := newHTTP(t, "http://"+listener.Addr().String(), store.HTTPOptions{Retries: -1})
	if _, err := h.Fetch(t.Context(), "file", 0, -1); err == nil {
		t.Error("want an error")
	}
	if n := <-sent; n > 64<<20 { // with what the system buffers
		t.Errorf("the client took %d bytes of header", n)
	}
}

// TestDrip sends one byte every ten seconds. What matters is that it ends.
func TestDrip(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "x")
			http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Second)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"body":            drip,
		"body of a range": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Etag", `"1"`); drip(w, r) },
		"body of an error": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			drip(w, r)
		},
		"header": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a byte for each connection": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`)
			http.ServeContent(&cutWriter{w, 1, func(w http.ResponseWriter) { cut(w) }}, r, "", time.Time{}, bytes.NewReader(content(10_000)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, handler, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
				start := time.Now()
				got, err := fetchAll(f, 0, -1)
				if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("want an error about the connection, got %d bytes, error %v", len(got), err)
				}
				if took := time.Since(start); took > 10*time.Minute {
					t.Errorf("it took %v to give up", took)
				}
				if len(f.retries) != 4 {
					t.Errorf("want 4 retries, got %d", len(f.retries))
				}
			})
		})
	}
}

// TestSlowIsNotStalled reads slowly from a fast server, and fast from a server
// that is slow but gets on.
func TestSlowIsNotStalled(t *testing.T) {
	want := content(100_000)
	within(t, func(w http.ResponseWriter, r *http.Request) {
		for b := want; len(b) > 0; b = b[10_000:] {
			w.Write(b[:10_000])
			http.NewResponseController(w).Flush()
			time.Sleep(25 * time.Second)
		}
	}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		got, err := fetchAll(f, 0, -1)
		if err != nil || !bytes.Equal(got, want) || len(f.retries) > 0 {
			t.Errorf("slow server: got %d bytes, error %v, retries %v", len(got), err, f.retries)
		}
	})
	within(t, func(w http.ResponseWriter, r *http.Request) { w.Write(want) }, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		body, err := f.Fetch(t.Context(), "file", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		var got []byte
		for err == nil {
			time.Sleep(time.Minute)
			p, n := make([]byte, 3000), 0
			n, err = body.Read(p)
			got = append(got, p[:n]...)
		}
		if err != io.EOF || !bytes.Equal(got, want) || len(f.retries) > 0 {
			t.Errorf("slow reader: got %d bytes, error %v, retries %v", len(got), err, f.retries)
		}
	})
}

// TestBytesPerSecond measures in the bubble's time.
func TestBytesPerSecond(t *testing.T) {
	want := content(100_000)
	within(t, func(w http.ResponseWriter, r *http.Request) { w.Write(want) }, store.HTTPOptions{BytesPerSecond: 5000},
		func(t *testing.T, f *faulty) {
			start := time.Now()
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() {
					if got, err := fetchAll(f, 0, -1); err != nil || !bytes.Equal(got, want) {
						t.Errorf("got %d bytes, error %v", len(got), err)
					}
				})
			}
			group.Wait()
			if took := time.Since(start).Round(time.Second); took != time.Minute {
				t.Errorf("300000 bytes at 5000 a second: want 1m, got %v", took)
			}
		})
}

// TestBackOff looks at the waits before retries.
func TestBackOff(t *testing.T) {
	within(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		store.HTTPOptions{Retries: 40, BackOff: time.Second}, func(t *testing.T, f *faulty) {
			start := time.Now()
			if _, err := fetchAll(f, 0, -1); err == nil {
				t.Error("want an error")
			}
			sum, different := time.Duration(0), map[time.Duration]bool{}
			for i, r := range f.retries {
				if bound := min(time.Second<<i, time.Minute); r.Wait < 0 || i < 10 && r.Wait >= bound || r.Wait >= time.Minute {
					t.Errorf("retry %d: want a wait below %v, got %v", i, bound, r.Wait)
				}
				if r.Try != i+1 || r.Name != "file" || r.Err == nil {
					t.Errorf("retry %d: got %+v", i, r)
				}
				sum += r.Wait
				different[r.Wait] = true
			}
			if took := time.Since(start); len(f.retries) != 40 || took != sum {
				t.Errorf("want 40 waits of %v in all, got %d in %v", sum, len(f.retries), took)
			}
			if len(different) < 35 { // jitter
				t.Errorf("want random waits, got %d different ones", len(different))
			}
		})
}

// TestCancelWhileWaiting cancels in all the states that take long.
func TestCancelWhileWaiting(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"for the header": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"for the body":   stall,
		"for a retry": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "59")
			w.WriteHeader(503)
		},
		"for the limit": func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 10_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, handler, store.HTTPOptions{BytesPerSecond: 100}, func(t *testing.T, f *faulty) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := store.ReadAll(ctx, f, "file", 1<<20)
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
					t.Errorf("want the context's error after 5s, got %v after %v", err, took)
				}
			})
		})
	}
}

// TestRetriesOff repeats nothing.
func TestRetriesOff(t *testing.T) {
	requests := 0
	within(t, func(w http.ResponseWriter, r *http.Request) { requests++; w.WriteHeader(500) },
		store.HTTPOptions{Retries: -1}, func(t *testing.T, f *faulty) {
			if _, err := fetchAll(f, 0, -1); err == nil || requests != 1 {
				t.Errorf("want an error after 1 request, got %v after %d", err, requests)
			}
		})
}

// TestChunkedReusesConnection reads all the bytes of chunked answers, but not
// the chunk of length 0 after them.
func TestChunkedReusesConnection(t *testing.T) {
	connections := map[string]bool{}
	within(t, func(w http.ResponseWriter, r *http.Request) {
		connections[fmt.Sprintf("%p", r.Context().Value(connKey{}))] = true
		w.Header().Set("Content-Range", "bytes 2-5/10")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "2345")
		http.NewResponseController(w).Flush()
		time.Sleep(time.Second) // the last chunk comes by itself
	}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
		for range 5 {
			body, err := f.Fetch(t.Context(), "file", 2, 4)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(body, make([]byte, 4)); err != nil {
				t.Error(err)
			}
			body.Close()
		}
	})
	if len(connections) != 1 {
		t.Errorf("want 1 connection, got %d", len(connections))
	}
}
