package gate

import (
	"testing"

	"github.com/treegraft-dev/treegraft/lifecycle"
)

// TestWords: the states that programs wait for are words of package lifecycle,
// which a program at the gate need not link.
func TestWords(t *testing.T) {
	ends := map[lifecycle.State]bool{
		lifecycle.Draining: true, lifecycle.Maintenance: true, lifecycle.Applying: true, lifecycle.Migrating: true,
	}
	for _, a := range lifecycle.Transitions() {
		r := Reason{State: string(a.From)}
		if r.ends() != ends[a.From] {
			t.Errorf("%s: want %v, got %v", a.From, ends[a.From], r.ends())
		}
	}
}
