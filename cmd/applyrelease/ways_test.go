package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/lifecycle"
)

// found returns what a pattern finds in Go files, by its first group.
func found(t *testing.T, glob, pattern string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	names, err := filepath.Glob(glob)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: want files, got %q, error %v", glob, names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(b), -1) {
			all[m[1]] = true
		}
	}
	return all
}

// Every state has verbs that lead out of it, and there are such verbs.
func TestWaysOut(t *testing.T) {
	verbs := found(t, "*.go", `Use: +"([a-z]+)`)
	for _, x := range lifecycle.Transitions() {
		ways := waysOut(x.To)
		if len(ways) == 0 {
			t.Errorf("state %s is a dead end", x.To)
		}
		for _, w := range ways {
			if verb, _, _ := strings.Cut(w, " "); !verbs[verb] {
				t.Errorf("state %s: %q is no verb", x.To, w)
			}
		}
	}
}

// There is advice on all that a doctor looks at, and it names verbs that are
// there.
func TestAdvice(t *testing.T) {
	verbs := found(t, "*.go", `Use: +"([a-z]+)`)
	abouts := found(t, "../../client/doctor.go", `d\.say\("([a-z ]+)"`)
	if len(abouts) < 10 {
		t.Fatalf("a doctor looks at %v: want more", abouts)
	}
	for what := range abouts {
		text := advice(what)
		if text == advice("something else") {
			t.Errorf("no advice on %q", what)
		}
		for _, m := range regexp.MustCompile(`applyrelease ([a-z]+)`).FindAllStringSubmatch(text, -1) {
			if !verbs[m[1]] {
				t.Errorf("%q: %q is no verb", what, m[1])
			}
		}
	}
}
