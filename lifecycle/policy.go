package lifecycle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is what the administrator of a machine demands of updates. Users
// cannot override it. The zero value demands nothing.
type Policy struct {
	RequireApproval bool     `json:"require_approval"` // an update waits for "approve"
	Hold            string   `json:"hold"`             // no updates, and why
	Channels        []string `json:"channels"`         // the only ones allowed; empty: all
	UpdateHours     []Hours  `json:"update_hours"`     // when updates may be applied; empty: always
	AllowNow        bool     `json:"allow_now"`        // a person may apply one outside of these hours
}

// ParsePolicy reads a policy: one JSON object, with no field that is not known.
// It returns all faults.
func ParsePolicy(b []byte) (*Policy, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	p := &Policy{}
	if err := dec.Decode(p); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("want one JSON object, got more")
	}
	var errs []error
	for _, h := range p.UpdateHours {
		if _, err := h.parse(); err != nil {
			errs = append(errs, err)
		}
	}
	if slices.Contains(p.Channels, "") {
		errs = append(errs, errors.New("channels: want names, got an empty one"))
	}
	return p, errors.Join(errs...)
}

// Allows reports whether a channel may be followed.
func (p *Policy) Allows(channel string) bool {
	return len(p.Channels) == 0 || slices.Contains(p.Channels, channel)
}

// Open reports whether updates may be applied at a time, by its own time zone;
// if not, next is when they may.
func (p *Policy) Open(now time.Time) (ok bool, next time.Time) {
	if len(p.UpdateHours) == 0 {
		return true, now
	}
	for _, h := range p.UpdateHours {
		w, err := h.parse()
		if err != nil {
			continue // ParsePolicy has refused it
		}
		if w.holds(now) {
			return true, now
		}
		if n := w.next(now); next.IsZero() || n.Before(next) {
			next = n
		}
	}
	return false, next
}

// Hours is a part of the week, such as "02:00-05:30" for every day, or
// "sat 22:00-06:00". One that ends before it begins ends the next day.
type Hours string

type window struct {
	days       [7]bool // on which it begins
	begin, end int     // minutes of the day; end may be beyond it
}

const dayMinutes = 24 * 60

func (h Hours) parse() (w window, err error) {
	fields := strings.Fields(strings.ToLower(string(h)))
	fault := fmt.Errorf("hours %.60q: want them like %q or %q", string(h), "02:00-05:00", "sat sun 00:00-24:00")
	if len(fields) == 0 {
		return w, fault
	}
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	for _, f := range fields[:len(fields)-1] {
		i := slices.Index(names, f)
		if i < 0 {
			return w, fault
		}
		w.days[i] = true
	}
	if len(fields) == 1 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	from, to, ok := strings.Cut(fields[len(fields)-1], "-")
	var err1, err2 error
	w.begin, err1 = minute(from)
	w.end, err2 = minute(to)
	if !ok || err1 != nil || err2 != nil || w.begin == w.end || w.begin == dayMinutes {
		return w, fault
	}
	if w.end < w.begin {
		w.end += dayMinutes
	}
	return w, nil
}

func minute(s string) (int, error) {
	if s == "24:00" {
		return dayMinutes, nil
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err
}

func (w *window) holds(now time.Time) bool {
	m := now.Hour()*60 + now.Minute()
	yesterday := (int(now.Weekday()) + 6) % 7
	return w.days[now.Weekday()] && m >= w.begin && m < w.end ||
		w.days[yesterday] && m+dayMinutes < w.end
}

// next returns when the window opens, after now.
func (w *window) next(now time.Time) time.Time {
	for day := range 8 {
		y, m, d := now.AddDate(0, 0, day).Date()
		t := time.Date(y, m, d, w.begin/60, w.begin%60, 0, 0, now.Location())
		if w.days[t.Weekday()] && t.After(now) {
			return t
		}
	}
	return now
}
