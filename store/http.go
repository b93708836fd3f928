package store

import (
	"context"
	"io"
	"net/http"
	"time"
)

// HTTPOptions are the choices of [NewHTTP]. The zero value works.
type HTTPOptions struct {
	// Client sends the requests. Nil, or a Client without Transport: a
	// transport that takes proxies from the environment and keeps enough idle
	// connections for many small files at once.
	Client *http.Client
	// Header is sent with each request to the host of the base URL, and to no
	// other host: the place for a token.
	Header http.Header
	// UserAgent names the program; "" stands for treegraft.
	UserAgent string
	// Retries is how often a request that fails without progress is
	// repeated. 0 stands for 4; a negative number for never.
	Retries int
	// BackOff bounds the first wait before a retry; each further bound is
	// twice as long, up to a minute. The wait is random below its bound.
	// 0 stands for half a second.
	BackOff time.Duration
	// Stall is how long an answer may bring less than 4 KiB before its
	// connection counts as broken. 0 stands for 30 seconds.
	Stall time.Duration
	// BytesPerSecond limits what all requests together receive; 0 does not.
	BytesPerSecond int64
	// OnRetry is told about each failure that is followed by a retry. It may
	// be nil, and may be called from several goroutines at once.
	OnRetry func(Retry)
}

// A Retry says that a request failed and will be repeated.
type Retry struct {
	Name string        // the file
	Try  int           // 1 after the first failure; starts again after progress
	Wait time.Duration // before the next request
	Err  error         // what failed
}

// Traffic counts what went over the network.
type Traffic struct {
	Requests int64 // sent, with retries and redirects
	Received int64 // bytes of bodies, with those thrown away
}

// HTTP is a Fetcher that reads a store from a web server.
type HTTP struct {
}

// NewHTTP returns the store below an http or https URL.
func NewHTTP(base string, options HTTPOptions) (*HTTP, error) { return &HTTP{}, nil }

// Traffic returns what this store has sent and received so far.
func (h *HTTP) Traffic() Traffic { return Traffic{} }

// Fetch reads a file.
func (h *HTTP) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	return nil, errTODO
}
