package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
)

// screen is a terminal that several goroutines may write to.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestBar draws phases and a remark. Drawing runs beside; so each state is
// drawn again until it is seen.
func TestBar(t *testing.T) {
	var s screen
	frame := make(chan any)
	b := newBar(&s, mpb.WithManualRefresh(frame))
	mark := 0 // what was seen before
	see := func(text string) {
		for !strings.Contains(s.String()[mark:], text) {
			frame <- time.Now()
		}
		mark += strings.Index(s.String()[mark:], text) + len(text)
	}
	b.set("fetching", 7, 0)
	see("fetching ")
	see("7 B")
	b.set("fetching", 250_000, 1_000_000)
	see("250 KB / 1.0 MB")
	b.set("fetching", 1_000_000, 1_000_000)
	see("1.0 MB / 1.0 MB")
	b.set("fetching", 999_000, 1_000_000) // the whole was not the end
	see("999 KB / 1.0 MB")
	b.above("a remark")
	see("a remark")
	b.set("staging", 5, 10)
	see("5 B / 10 B")
	b.close()
}

// TestNoBar makes sure that nothing is drawn where nobody looks.
func TestNoBar(t *testing.T) {
	var s screen
	o := &Out{stdout: &s, stderr: &s}
	o.start()
	o.Progress("fetching", 1, 2)
	o.stop()
	if o.bar != nil || s.String() != "" {
		t.Errorf("drawn: %q", s.String())
	}
}
