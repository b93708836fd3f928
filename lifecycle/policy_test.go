package lifecycle

import (
	"strings"
	"testing"
	"time"
)

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(`{"require_approval": true, "channels": ["stable"], "update_hours": ["sat 22:00-06:00"]}`))
	if err != nil || !p.RequireApproval || !p.Allows("stable") || p.Allows("beta") {
		t.Fatalf("got %+v, %v", p, err)
	}
	if !(&Policy{}).Allows("anything") {
		t.Error("a policy that demands nothing forbids a channel")
	}
	_, err = ParsePolicy([]byte(`{"update_hours": ["8-9", "someday 01:00-02:00", "03:00-04:00"], "channels": [""]}`))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three faults, got %v", err)
	}
	for _, bad := range []string{"", "[]", `{"require_aproval": true}`, `{} {}`, `{"hold": 1}`} {
		if _, err := ParsePolicy([]byte(bad)); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestUpdateHours(t *testing.T) {
	// 2026-11-21 is a Saturday.
	at := func(s string) time.Time {
		t.Helper()
		when, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		hours []Hours
		now   string
		next  string // "" means that it is open
	}{
		{nil, "2026-11-21 12:00:00", ""},
		{[]Hours{"02:00-05:00"}, "2026-11-21 02:00:00", ""},
		{[]Hours{"02:00-05:00"}, "2026-11-21 04:59:59", ""},
		{[]Hours{"02:00-05:00"}, "2026-11-21 05:00:00", "2026-11-22 02:00:00"},
		{[]Hours{"02:00-05:00"}, "2026-11-21 01:00:00", "2026-11-21 02:00:00"},
		{[]Hours{"sat 22:00-06:00"}, "2026-11-22 05:59:00", ""},
		{[]Hours{"sat 22:00-06:00"}, "2026-11-21 05:59:00", "2026-11-21 22:00:00"},
		{[]Hours{"sat 22:00-06:00"}, "2026-11-22 06:00:00", "2026-11-28 22:00:00"},
		{[]Hours{"mon tue 00:00-24:00", "12:00-13:00"}, "2026-11-21 13:00:00", "2026-11-22 12:00:00"},
		{[]Hours{"Mon Tue 00:00-24:00"}, "2026-11-24 23:59:00", ""},
	} {
		ok, next := (&Policy{UpdateHours: c.hours}).Open(at(c.now))
		if ok != (c.next == "") || !ok && !next.Equal(at(c.next)) {
			t.Errorf("%v at %s: got %v, %v, want %q", c.hours, c.now, ok, next, c.next)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"require_approval":true,"hold":"x","channels":["stable"],"update_hours":["sat 22:00-06:00"],"allow_now":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			return
		}
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		if ok, next := p.Open(now); !ok && !next.After(now) {
			t.Errorf("closed until %v", next)
		}
	})
}
