package lifecycle

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "draw the picture in docs/LIFECYCLE.md anew")

// Every state can be reached, and left.
func TestNoDeadEnds(t *testing.T) {
	reached, left := map[State]bool{UpToDate: true}, map[State]bool{}
	type arrow struct {
		from State
		on   Event
	}
	seen := map[arrow]State{}
	for _, x := range Transitions() {
		if to, twice := seen[arrow{x.From, x.On}]; twice {
			t.Errorf("from %s, %q leads to %s and to %s", x.From, x.On, to, x.To)
		}
		seen[arrow{x.From, x.On}] = x.To
		reached[x.To], left[x.From] = true, true
	}
	for s := range reached {
		if !left[s] {
			t.Errorf("state %s is a dead end", s)
		}
	}
	for s := range left {
		if !reached[s] {
			t.Errorf("state %s cannot be reached", s)
		}
	}
	if len(reached) != 16 {
		t.Errorf("states: want 16, got %d", len(reached))
	}
}

// From every state of a run, a run can go back or fail; what failed can go on.
func TestRunsCanGoBack(t *testing.T) {
	for _, s := range []State{Draining, Maintenance, Applying, Migrating, Failed} {
		if !s.InRun() {
			t.Errorf("%s is no state of a run", s)
		}
		to, err := s.Next(Back)
		if err != nil || to != Applying {
			t.Errorf("back from %s: got %s, %v", s, to, err)
		}
		if s == Failed {
			continue
		}
		if to, err := s.Next(Fail); err != nil || to != Failed {
			t.Errorf("%s fails: got %s, %v", s, to, err)
		}
	}
	if _, err := UpToDate.Next(Place); err == nil || !strings.Contains(err.Error(), "up-to-date") {
		t.Errorf("an arrow that is not drawn: got %v", err)
	}
}

func TestRest(t *testing.T) {
	for _, c := range []struct {
		facts Facts
		want  State
	}{
		{Facts{}, UpToDate},
		{Facts{Newer: true}, Available},
		{Facts{Newer: true, Fetched: true}, Fetched},
		{Facts{Newer: true, Fetched: true, Unapproved: true}, AwaitingApproval},
		{Facts{Newer: true, Unapproved: true, Unmet: true}, Blocked},
		{Facts{Newer: true, Unmet: true, Held: true}, Held},
		{Facts{Held: true, Withdrawn: true}, Withdrawn},
		{Facts{Withdrawn: true, OnProbation: true}, OnProbation},
		{Facts{OnProbation: true, NeedsMigration: true}, NeedsMigration},
		{Facts{TooNew: true}, TooNew},
		{Facts{Left: true}, RolledBack},
		{Facts{Left: true, Newer: true}, Available},
		{Facts{Unmet: true, Fetched: true, Unapproved: true}, UpToDate},
	} {
		if got := Rest(c.facts); got != c.want {
			t.Errorf("Rest(%+v): want %s, got %s", c.facts, c.want, got)
		}
	}
}

// The picture in the documentation is this package's table.
func TestPicture(t *testing.T) {
	const name, begin, end = "../docs/LIFECYCLE.md", "```mermaid\n", "```\n"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	picture, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no picture", name)
	}
	if picture == draw() {
		return
	}
	if !*update {
		t.Fatalf("%s has another picture than the code (write it with -update):\n%s", name, draw())
	}
	if err := os.WriteFile(name, []byte(before+begin+draw()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// draw draws the transitions as a Mermaid state diagram.
func draw() string {
	id := func(s State) string { return strings.ReplaceAll(string(s), "-", "_") }
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	seen := map[State]bool{}
	for _, t := range Transitions() {
		for _, s := range []State{t.From, t.To} {
			if !seen[s] && id(s) != string(s) {
				fmt.Fprintf(&b, "    state %q as %s\n", string(s), id(s))
			}
			seen[s] = true
		}
	}
	fmt.Fprintf(&b, "    [*] --> %s: install\n", id(UpToDate))
	for _, t := range Transitions() {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", id(t.From), id(t.To), t.On)
	}
	return b.String()
}
