package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const timestampName = "metadata/timestamp.json"

// fetcher asks for one file after the other. Package trust asks for the next
// root and the timestamp at once; the suite wants to see the timestamp asked for
// when there is no newer root, and once.
type fetcher struct {
	base      string
	lastRoot  chan struct{} // closed when there is no newer root
	closeOnce sync.Once

	mu        sync.Mutex
	timestamp []byte
}

func newFetcher(base string) *fetcher {
	return &fetcher{base: base, lastRoot: make(chan struct{})}
}

// metadata is a [trust.Fetch].
func (f *fetcher) metadata(ctx context.Context, name string, max int64) ([]byte, error) {
	if name == timestampName {
		return f.onceTimestamp(ctx, max)
	}
	b, err := get(ctx, join(f.base, strings.TrimPrefix(name, "metadata/")), max)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		f.closeOnce.Do(func() { close(f.lastRoot) }) // roots are asked for before all else
	}
	return b, err
}

func (f *fetcher) onceTimestamp(ctx context.Context, max int64) (b []byte, err error) {
	select {
	case <-f.lastRoot:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timestamp == nil {
		f.timestamp, err = get(ctx, join(f.base, "timestamp.json"), max)
	}
	return f.timestamp, err
}

// join appends an escaped path to a URL.
func join(base, escaped string) string { return strings.TrimRight(base, "/") + "/" + escaped }

func escapePath(name string) string { return (&url.URL{Path: name}).EscapedPath() }

// get fetches at most max bytes.
func get(ctx context.Context, address string, max int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return readAll(resp.Body, address, max)
	case http.StatusNotFound:
		return nil, fmt.Errorf("get %s: %w", address, fs.ErrNotExist)
	case http.StatusForbidden:
		return nil, fmt.Errorf("get %s: %w", address, fs.ErrPermission)
	}
	return nil, fmt.Errorf("get %s: %s", address, resp.Status)
}

func readAll(r io.Reader, name string, max int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(b)) > max {
		err = fmt.Errorf("read %s: more than %d bytes", name, max)
	}
	return b, err
}
