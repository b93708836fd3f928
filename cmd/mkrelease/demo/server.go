package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// server hands out a folder on the loopback interface, counts what it sends,
// and flips a byte where it is told to.
type server struct {
	url  string
	http *http.Server
	done chan error

	mu       sync.Mutex
	requests int
	sent     int64  // bytes of bodies
	flipped  string // prefix of the names of files that get a wrong byte
	after    string // and what comes right before that byte
}

func listen(dir string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{url: fmt.Sprintf("http://%s", l.Addr()), done: make(chan error, 1)}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.http = &http.Server{Handler: s.handler(root), ReadHeaderTimeout: time.Minute}
	go func() { s.done <- errors.Join(s.http.Serve(l), root.Close()) }()
	return s, nil
}

func (s *server) close() error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (s *server) handler(root *os.Root) http.Handler {
	plain := http.FileServerFS(root.FS())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		s.mu.Lock()
		s.requests++
		flip, after := s.flipped != "" && strings.HasPrefix(name, s.flipped), s.after
		s.mu.Unlock()
		w = &counter{ResponseWriter: w, server: s}
		if !flip {
			plain.ServeHTTP(w, r)
			return
		}
		b, err := root.ReadFile(name)
		if err != nil || len(b) == 0 {
			http.NotFound(w, r)
			return
		}
		at := len(b) / 2
		if i := bytes.Index(b, []byte(after)); after != "" && i >= 0 && i+len(after) < len(b) {
			at = i + len(after)
		}
		b[at] ^= 1
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
	})
}

// flip makes all files whose names begin with prefix wrong by one bit: right
// after a text, or in the middle. An empty prefix makes all right again.
func (s *server) flip(prefix, after string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flipped, s.after = prefix, after
}

// count returns what was sent since the last count.
func (s *server) count() (requests int, sent int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests, sent = s.requests, s.sent
	s.requests, s.sent = 0, 0
	return requests, sent
}

// counter counts the bytes of a body.
type counter struct {
	http.ResponseWriter
	server *server
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.add(int64(n))
	return n, err
}

// ReadFrom keeps the fast way of net/http for files.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.add(n)
	return n, err
}

func (c *counter) add(n int64) {
	c.server.mu.Lock()
	c.server.sent += n
	c.server.mu.Unlock()
}
