package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A temporaryError may be gone when the request is repeated.
type temporaryError struct {
	cause error
	after time.Duration // the least wait that the server asks for
}

func (e *temporaryError) Error() string { return e.cause.Error() }
func (e *temporaryError) Unwrap() error { return e.cause }

// retry waits before a further try, or returns the error that ends them.
func (r *httpReader) retry(err error) error {
	var temporary *temporaryError
	if !errors.As(err, &temporary) {
		return err
	}
	if r.since >= progress {
		r.tries = 0
	}
	r.since = 0
	r.tries++
	if r.tries > max(r.h.options.Retries, 0) || temporary.after > maxWait {
		return fmt.Errorf("%w (try %d)", temporary.cause, r.tries)
	}
	wait := max(backOff(r.h.options.BackOff, r.tries), temporary.after)
	if r.h.options.OnRetry != nil {
		r.h.options.OnRetry(Retry{Name: r.name, Try: r.tries, Wait: wait, Err: temporary.cause})
	}
	if err := sleep(r.ctx, wait); err != nil {
		return fmt.Errorf("fetch %s: %w", r.name, err)
	}
	return nil
}

// backOff returns a random wait below first·2^(try-1) and maxWait. Waits from
// zero on ("full jitter") spread the load better than a fixed wait with a
// small random part: aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter.
func backOff(first time.Duration, try int) time.Duration {
	bound := min(first, maxWait)
	for ; try > 1 && bound < maxWait; try-- {
		bound = min(2*bound, maxWait)
	}
	return rand.N(max(bound, 1))
}

// statusError returns the error for an answer that is no content. Those that
// speak of a passing trouble are temporary.
func statusError(name, url string, resp *http.Response) error {
	after := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	err := &StatusError{Name: name, URL: url, Status: resp.StatusCode, RetryAfter: after}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &temporaryError{cause: err, after: after}
	}
	return err
}

// retryAfter reads a Retry-After header, which holds seconds or a date. What
// it cannot read, and what has passed, is 0.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(s); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// sleep waits, or returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A guard calls a function when too little arrives. It measures only the time
// between start and stop: a slow consumer is not a slow server. It runs from
// its making on.
type guard struct {
	patience time.Duration // for each progress bytes
	left     time.Duration // until the next of them
	got      int           // since the last of them
	since    time.Time
	timer    *time.Timer
}

func newGuard(patience time.Duration, stalled func()) *guard {
	return &guard{patience: patience, left: patience, since: time.Now(), timer: time.AfterFunc(patience, stalled)}
}

func (g *guard) start() {
	g.since = time.Now()
	g.timer.Reset(g.left)
}

// stop notes that n bytes have arrived.
func (g *guard) stop(n int) {
	g.timer.Stop()
	g.left -= time.Since(g.since)
	if g.got += n; g.got >= progress {
		g.got, g.left = 0, g.patience
	}
}

func (g *guard) end() { g.timer.Stop() }

// A limiter spreads bytes over time, for all who share it.
type limiter struct {
	rate int64 // bytes per second; 0: no limit
	mu   sync.Mutex
	free time.Time // when what was received so far is paid for
}

// chunk is how much to receive at a time, so that waits stay short.
func (l *limiter) chunk() int {
	const most = 1 << 20
	if l.rate <= 0 {
		return most
	}
	return int(min(max(l.rate/16, 1), most))
}

// wait waits as long as n bytes may take.
func (l *limiter) wait(ctx context.Context, n int) error {
	if l.rate <= 0 || n == 0 {
		return nil
	}
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	wait := l.free.Sub(now)
	l.mu.Unlock()
	return sleep(ctx, wait)
}
