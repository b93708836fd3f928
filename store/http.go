package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
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
	// twice as long, up to a minute. The wait is random below its bound, so
	// that clients that failed together do not return together. 0 stands for
	// half a second.
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

const (
	// progress is how many bytes count as getting on: an answer must bring so
	// many in each Stall, and a retry that brought so many is forgotten. A
	// server that drips a byte at a time thus runs out of both.
	progress = 4 << 10
	// maxWait bounds a wait before a retry. A server that asks for more of it
	// in Retry-After is not asked again.
	maxWait = time.Minute
	// maxRedirects bounds the redirects of one request.
	maxRedirects = 5
	// maxHeader bounds the headers of one answer, in bytes.
	maxHeader = 64 << 10
)

// HTTP is a Fetcher that reads a store from a web server. Any server of static
// files will do; one that answers ranges saves bytes.
//
// It follows at most 5 redirects, and none from https to http. It asks for
// bytes as they are, and refuses an answer with a content encoding. An answer
// that breaks is taken up again where it stopped. What cannot get better by
// itself, such as a missing file, is not repeated.
type HTTP struct {
	base    *url.URL
	client  http.Client
	options HTTPOptions
	limiter limiter

	requests, received atomic.Int64
}

// NewHTTP returns the store below an http or https URL. A query in the URL is
// sent with each request.
func NewHTTP(base string, options HTTPOptions) (*HTTP, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", unwrapURL(err)) // which may hold a password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return nil, fmt.Errorf("open store %s: want http://host/folder or https://host/folder", u.Redacted())
	}
	options.UserAgent = cmp.Or(options.UserAgent, "treegraft")
	options.Retries = cmp.Or(options.Retries, 4)
	options.BackOff = cmp.Or(options.BackOff, 500*time.Millisecond)
	options.Stall = cmp.Or(options.Stall, 30*time.Second)
	options.Header = ownHeader(options)
	h := &HTTP{base: u, options: options, limiter: limiter{rate: options.BytesPerSecond}}
	if options.Client != nil {
		h.client = *options.Client
	}
	if h.client.Transport == nil {
		h.client.Transport = newTransport()
	}
	h.client.Transport = countRequests{h.client.Transport, &h.requests}
	h.client.CheckRedirect = h.checkRedirect(h.client.CheckRedirect)
	return h, nil
}

// ownHeader returns the header that each request to the base URL carries.
func ownHeader(options HTTPOptions) http.Header {
	own := http.Header{}
	for key, values := range options.Header {
		own[http.CanonicalHeaderKey(key)] = values
	}
	own.Del("Range") // ours to set
	own.Del("If-Range")
	own.Set("User-Agent", options.UserAgent)
	own.Set("Accept-Encoding", "identity")
	return own
}

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    32, // the default of 2 opens a connection for nearly every small file
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// Traffic returns what this store has sent and received so far.
func (h *HTTP) Traffic() Traffic {
	return Traffic{Requests: h.requests.Load(), Received: h.received.Load()}
}

type countRequests struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c countRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// errRedirect is the cause when a redirect is not followed.
var errRedirect = errors.New("redirect refused")

// checkRedirect returns the rule for redirects, which asks next in the end.
func (h *HTTP) checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("%w: want at most %d", errRedirect, maxRedirects)
		}
		from := via[len(via)-1].URL
		if s := req.URL.Scheme; s != "https" && (s != "http" || from.Scheme == "https") {
			return fmt.Errorf("%w: from %s to %s", errRedirect, from.Scheme, s)
		}
		if req.URL.Path == from.Path+"/" { // to a page that lists a folder
			return fmt.Errorf("%w: %w: a folder", errRedirect, fs.ErrNotExist)
		}
		req.Header.Del("Referer") // it holds the query of the base URL
		if req.URL.Host != h.base.Host {
			for key := range h.options.Header {
				req.Header.Del(key)
			}
			req.Header.Set("User-Agent", h.options.UserAgent)
			req.Header.Set("Accept-Encoding", "identity")
		}
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}

// url returns the URL of a file.
func (h *HTTP) url(name string) *url.URL {
	u := *h.base
	// A plus sign stands for a space to some servers, S3 among them.
	escaped := strings.ReplaceAll((&url.URL{Path: "/" + name}).EscapedPath(), "+", "%2B")
	u.RawPath = strings.TrimRight(u.EscapedPath(), "/") + escaped
	u.Path = strings.TrimRight(u.Path, "/") + "/" + name
	return &u
}

// publicURL is the URL of a file without anything secret.
func (h *HTTP) publicURL(name string) string {
	u := h.url(name)
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// Fetch reads a file, or a part of it.
func (h *HTTP) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if err := CheckRange(name, offset, length); err != nil {
		return nil, err
	}
	r := &httpReader{h: h, ctx: ctx, name: name, start: offset, pos: offset, length: length, total: -1}
	r.end = r.askedEnd()
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// do sends a request. The answer is watched for stalls from now on.
func (h *HTTP) do(ctx context.Context, method, name string, header http.Header) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	watched, cancel := context.WithCancelCause(ctx)
	req := (&http.Request{Method: method, URL: h.url(name), Header: header, Host: h.base.Host}).WithContext(watched)
	maps.Copy(req.Header, h.options.Header)
	a := &answer{h: h, name: name, ctx: ctx, watched: watched, cancel: cancel}
	a.guard = newGuard(h.options.Stall, func() { cancel(ErrStalled) })
	resp, err := h.client.Do(req)
	a.guard.stop(0)
	if err != nil {
		err = a.explain(unwrapURL(err))
		cancel(nil)
		return nil, err
	}
	a.Response = resp
	return a, nil
}

// unwrapURL removes the URL from an error, because its query may be secret.
func unwrapURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

// An answer is a response whose body is watched for stalls, counted and kept
// below the limit of bytes per second.
type answer struct {
	*http.Response
	h       *HTTP
	name    string
	ctx     context.Context // of the caller
	watched context.Context // ends at a stall as well
	cancel  context.CancelCauseFunc
	guard   *guard
}

var (
	// ErrStalled means that an answer came too slowly to go on with.
	ErrStalled = errors.New("connection stalled")
	errBroken  = errors.New("connection closed before the end of the answer")
)

// explain turns what went wrong in the network into what Fetch returns.
// io.ErrUnexpectedEOF is taken out of it: to the caller of Fetch it says that
// the file is too short, not that a connection broke.
func (a *answer) explain(err error) error {
	if cause := a.ctx.Err(); cause != nil {
		return fmt.Errorf("fetch %s: %w", a.name, cause)
	}
	if context.Cause(a.watched) == ErrStalled {
		err = fmt.Errorf("%w: fewer than %d bytes in %v", ErrStalled, progress, a.h.options.Stall)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errBroken
	}
	permanent := errors.Is(err, errRedirect) || errors.As(err, new(*tls.CertificateVerificationError))
	err = fmt.Errorf("fetch %s from %s: %w", a.name, a.h.base.Host, err)
	if permanent {
		return err
	}
	return &temporaryError{cause: err}
}

// Read reads the body. Its error is io.EOF or comes from explain.
func (a *answer) Read(p []byte) (int, error) {
	p = p[:min(len(p), a.h.limiter.chunk())]
	a.guard.start()
	n, err := a.Body.Read(p)
	a.guard.stop(n)
	a.h.received.Add(int64(n))
	if e := a.h.limiter.wait(a.ctx, n); e != nil && err == nil {
		err = e
	}
	if err != nil && err != io.EOF {
		err = a.explain(err)
	}
	return n, err
}

// close ends the answer. When nothing or little of its body is left, it reads
// that, because only then the connection serves the next request.
func (a *answer) close(left bool) {
	if left {
		io.CopyN(io.Discard, a, progress)
	}
	a.guard.end()
	a.Body.Close()
	a.cancel(nil)
}
