package httpgate

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
)

// Notice is what somebody who is turned away may know.
type Notice struct {
	State      string    `json:"state"` // as package lifecycle names it
	Phase      string    `json:"phase,omitempty"`
	Message    string    `json:"message,omitempty"`
	ETA        time.Time `json:"eta,omitzero"`
	RetryAfter int       `json:"retry_after"` // seconds
}

// notice returns why a request is turned away, or nil.
func (h *Handler) notice(seen look, r *http.Request) *Notice {
	if c := seen.closed; c != nil {
		n := &Notice{State: c.State, Phase: c.Phase, Message: c.Message, ETA: c.ETA, RetryAfter: h.retry(0)}
		if wait := time.Until(c.ETA); !c.ETA.IsZero() && wait > 0 {
			n.RetryAfter = int(wait/time.Second) + 1
		}
		return n
	}
	if m := seen.maintenance; m != nil && !m.Admits(token(r)) {
		return &Notice{State: "maintenance", Message: m.Message, RetryAfter: h.retry(m.RetryAfter)}
	}
	return nil
}

// drainNotice is for those who come between a program's own Drain and its look
// at the records.
func (h *Handler) drainNotice() Notice {
	return Notice{State: "draining", RetryAfter: h.retry(0)}
}

// retry returns the seconds, or the usual time.
func (h *Handler) retry(seconds int) int {
	if seconds > 0 {
		return seconds
	}
	return max(1, int(h.o.RetryAfter/time.Second))
}

// token returns what the request shows.
func token(r *http.Request) string {
	if t := r.Header.Get(BypassHeader); t != "" {
		return t
	}
	if c, err := r.Cookie(BypassCookie); err == nil {
		return c.Value
	}
	return ""
}

// maxForm bounds the body of the form on the page.
const maxForm = 4 << 10

// refuse answers a request that is turned away, unless it is the form with the
// right token.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, seen look, n Notice) {
	if seen.closed == nil && seen.maintenance != nil && h.login(w, r, seen.maintenance) {
		return
	}
	header := w.Header()
	header.Set("Retry-After", strconv.Itoa(n.RetryAfter))
	header.Set("Cache-Control", "no-store")
	header.Set("Connection", "close") // who comes back may meet another process
	header.Set("Vary", "Accept, Cookie, "+BypassHeader)
	switch {
	case h.o.Page != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		h.o.Page(w, r, n)
	case wantsJSON(r):
		header.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		json.NewEncoder(w).Encode(n) // who does not listen anymore is no concern
	default:
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(Page(n, seen.closed == nil && seen.maintenance != nil))
	}
}

// login sets the cookie for the form with the right token. The token travels in
// the body, since addresses end up in logs.
func (h *Handler) login(w http.ResponseWriter, r *http.Request, m *gate.Maintenance) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	t := r.PostFormValue(BypassCookie)
	if !m.Admits(t) {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: BypassCookie, Value: t, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
	w.Header().Set("Cache-Control", "no-store")
	// One slash: two would lead to another host.
	w.Header().Set("Location", "/"+strings.TrimLeft(r.URL.EscapedPath(), `/\`))
	w.WriteHeader(http.StatusSeeOther)
	return true
}

// wantsJSON reports whether the request names JSON, and no page.
func wantsJSON(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}
