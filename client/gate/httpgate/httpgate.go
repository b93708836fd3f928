// Package httpgate turns requests away while an application is updated or in
// maintenance mode, and knows how many it has accepted.
//
//	h := httpgate.New(app, httpgate.Options{Dir: dir})
//	pass, err := gate.Enter(ctx, gate.Options{Dir: dir, Events: func(e gate.Event) {
//		if e.Kind == gate.PleaseDisconnect {
//			go func() {
//				h.Drain(ctx)      // no new requests; those accepted are answered
//				db.Close()
//				pass.Disconnect() // the update goes on
//			}()
//		}
//		…
//	}})
//
// Requests that are turned away get the status 503 with Retry-After, and a page,
// or JSON if they ask for that.
//
// # Administrators
//
// In maintenance mode, whoever knows the token is let through: in the header
// [BypassHeader], or in the cookie [BypassCookie], which the form on the page
// sets. While the gate is closed nobody is let through: then files and data are
// being changed, and the page says how far that is.
//
// # Limits
//
// The handler looks at the tree's records once a second, when requests come. A
// request counts until its handler returns, also if it has taken over the
// connection. Requests beyond the handler, such as those that a server has not
// read yet, are seen when they arrive.
package httpgate

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
)

// Where the token of an administrator is looked for.
const (
	BypassHeader = "Treegraft-Bypass"
	BypassCookie = "treegraft_bypass" // also the name of the form's field
)

// Options say what a handler guards, and how. Only Dir is needed.
type Options struct {
	Dir        string        // the install tree
	Every      time.Duration // between two looks at its records; default: a second
	RetryAfter time.Duration // where no time is known; default: half a minute

	// Always tells requests that are let through at all times, such as those
	// that ask whether the process lives. They must not need files or data. May
	// be nil.
	Always func(*http.Request) bool

	// Page writes the body of a refusal instead of the page or JSON; header and
	// status are written already. May be nil.
	Page func(http.ResponseWriter, *http.Request, Notice)
}

// Handler guards another handler. Make one with [New].
type Handler struct {
	next http.Handler
	o    Options

	mu       sync.Mutex
	accepted int           // requests that have not been answered
	draining bool          // none is accepted
	empty    chan struct{} // closed when draining and accepted is 0; nil if nobody waits

	records sync.Mutex
	looked  time.Time
	seen    look
}

// New returns a handler that lets requests through to next, or not.
func New(next http.Handler, o Options) *Handler {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.RetryAfter <= 0 {
		o.RetryAfter = 30 * time.Second
	}
	return &Handler{next: next, o: o}
}

// ServeHTTP answers a request, or has next answer it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.o.Always != nil && h.o.Always(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	seen := h.look()
	if n := h.notice(seen, r); n != nil {
		h.refuse(w, r, seen, *n)
		return
	}
	if !h.accept() {
		h.refuse(w, r, seen, h.drainNotice())
		return
	}
	defer h.done()
	h.next.ServeHTTP(w, r)
}

func (h *Handler) accept() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return false
	}
	h.accepted++
	return true
}

func (h *Handler) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accepted--
	h.wake()
}

// wake tells who waits for the last request. The lock is held.
func (h *Handler) wake() {
	if h.empty != nil && h.accepted == 0 {
		close(h.empty)
		h.empty = nil
	}
}

// Drain accepts no more requests, and returns when all those accepted before
// are answered.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	empty := h.empty
	h.wake()
	h.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %d requests to be answered: %w", h.InFlight(), ctx.Err())
	}
}

// Resume ends what Drain began, and looks anew before it accepts requests.
func (h *Handler) Resume() {
	h.records.Lock()
	h.looked = time.Time{}
	h.records.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = false
}

// InFlight returns how many requests are accepted and not answered.
func (h *Handler) InFlight() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accepted
}

// look is what the records of the tree say.
type look struct {
	closed      *gate.ClosedError
	maintenance *gate.Maintenance
}

// look reads the records, now and then.
func (h *Handler) look() look {
	h.records.Lock()
	defer h.records.Unlock()
	if time.Since(h.looked) >= h.o.Every {
		h.seen.closed = gate.Look(h.o.Dir)
		h.seen.maintenance, _ = gate.LookMaintenance(h.o.Dir) // what cannot be read is on
		h.looked = time.Now()
	}
	return h.seen
}
