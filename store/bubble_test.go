package store_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/treegraft-dev/treegraft/store"
)

// The tests with faulty servers run in bubbles of
// testing/synctest, over connections in memory: time passes at once when all
// wait, so minutes of waiting take no time and no test depends on speed.

// A pipes is a listener for connections in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A faulty is a server in memory, and what happened to its client.
type faulty struct {
	*store.HTTP
	retries []store.Retry
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// within runs test in a bubble with the client of a server.
func within(t *testing.T, handler http.HandlerFunc, options store.HTTPOptions, test func(t *testing.T, f *faulty)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		server := &http.Server{Handler: handler, ErrorLog: quiet, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		}}
		go server.Serve(listener)
		defer time.Sleep(time.Minute) // the handlers come to their ends
		defer server.Close()
		transport := &http.Transport{DialContext: listener.dial, DisableCompression: true}
		defer transport.CloseIdleConnections()
		f := new(faulty)
		options.Client = &http.Client{Transport: transport}
		options.OnRetry = func(r store.Retry) { f.retries = append(f.retries, r) }
		f.HTTP = newHTTP(t, "http://server", options)
		test(t, f)
	})
}

// content returns n bytes that differ from place to place.
func content(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b[:n]
}

// fetchAll returns what Fetch and its reader give.
func fetchAll(f store.Fetcher, offset, length int64) ([]byte, error) {
	body, err := f.Fetch(context.Background(), "file", offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// cut ends the connection, after sending what was written so far.
func cut(w http.ResponseWriter) {
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// stall keeps the connection open and silent.
func stall(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// A cutWriter sends so many bytes of a body and then calls what ends it.
type cutWriter struct {
	http.ResponseWriter
	left int
	end  func(http.ResponseWriter)
}

func (c *cutWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 {
		c.end(c.ResponseWriter)
	}
	return n, err
}
