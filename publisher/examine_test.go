package publisher

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/trust"
)

// examine returns the findings as lines.
func (w *world) examine(now time.Time) string {
	w.t.Helper()
	findings, err := w.publisher(func(o *Options) { o.Now, o.Signers = func() time.Time { return now }, nil }).Examine(context.Background())
	must(w.t, err)
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Level, f.About, f.Text)
	}
	return b.String()
}

func wantFindings(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains(got, line) {
			t.Errorf("want %q, got:\n%s", line, got)
		}
	}
}

func TestExamineGood(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File(words(1, 5000))}, nil)
	w.mustPublish("1.1.0", treetest.Tree{"f": treetest.File(words(1, 5000) + "x")}, nil)
	got := w.examine(time.Now())
	wantFindings(t, got, "note app stable for any: leads to 1.1.0; a program built now may name 2 as its floor\n",
		"note root: one key replaces", "note root: has one key")
	if strings.Contains(got, "fault") || strings.Contains(got, "warning") || strings.Contains(got, "no delta") {
		t.Errorf("got:\n%s", got)
	}
	w.age(8 * day)
	wantFindings(t, w.examine(time.Now()), "note gc: 4 files with ")
}

// TestExamineHeads says more and more of four releases, and the channel leads to
// another one each time.
func TestExamineHeads(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.mustPublish(fmt.Sprintf("1.%d.0", i), treetest.Tree{"f": treetest.File(words(uint64(i), 500))}, nil)
	}
	yes, few, none := true, 5, 0
	rollout := func(version string, percent *int, halted *bool) func(*Publisher) error {
		return func(p *Publisher) error {
			_, _, err := p.Rollout(t.Context(), Rollout{Product: "app", Version: version, Percent: percent, Halted: halted})
			return err
		}
	}
	mark := func(m Mark) func(*Publisher) error {
		return func(p *Publisher) error { return p.Mark(t.Context(), m) }
	}
	for _, step := range []struct {
		do   func(*Publisher) error
		want string
	}{
		{rollout("1.3.0", &few, nil), "leads to 1.3.0 for 5 % of installs; a program built now may name 4 as its floor"},
		{rollout("1.3.0", nil, &yes), "leads to 1.2.0; a program built now may name 3 as its floor"},
		{mark(Mark{Product: "app", Version: "1.2.0", Unstable: &yes}), "leads to 1.1.0; "},
		{mark(Mark{Product: "app", Version: "1.0.0", Recommended: &yes}), "leads to 1.0.0; "},
		{mark(Mark{Product: "app", Version: "1.3.0", Recommended: &yes}), "leads to 1.1.0; "}, // halted is halted
		{rollout("1.1.0", &none, nil), "leads to 1.0.0; "},
		{mark(Mark{Product: "app", Version: "1.0.0", Unstable: &yes}), "leads nowhere: each of"},
	} {
		must(t, step.do(w.publisher(nil)))
		wantFindings(t, w.examine(time.Now()), "note app stable for any: "+step.want)
	}
}

const day = 24 * time.Hour

func TestExamineExpiry(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{
		{70 * day, []string{"warning metadata/timestamp.json: expires on ", "warning metadata/2.snapshot.json: expires on ", ", in 19 days"}},
		{95 * day, []string{"fault metadata/timestamp.json: verify metadata/timestamp.json: expired on"}},
		{300 * day, []string{"warning metadata/1.app.json: expires", "warning metadata/2.targets.json: expires"}},
		{4*365*day + day, []string{"warning metadata/1.root.json: expires"}},
		{6 * 365 * day, []string{"fault metadata/1.root.json: verify metadata/1.root.json: expired on"}},
	} {
		got := w.examine(time.Now().Add(tt.after))
		wantFindings(t, got, tt.want...)
		if tt.after < 90*day && strings.Contains(got, "root.json: expires") {
			t.Errorf("after %v: got:\n%s", tt.after, got)
		}
	}
}

func TestExamineKeys(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	second, public := w.key(trust.ECDSA)
	recovery, err := w.recovery.PublicKey()
	must(t, err)
	release, err := w.release.PublicKey()
	must(t, err)
	all := func(o *Options) { o.Signers = []trust.Signer{w.recovery, w.release, second} }
	_, err = w.publisher(all).SetKeys(t.Context(),
		KeyChange{"root", 2, []crypto.PublicKey{recovery, public}},
		KeyChange{"timestamp", 1, []crypto.PublicKey{public, release}})
	must(t, err)
	got := w.examine(time.Now())
	wantFindings(t, got, "warning root: needs all of its 2 keys", "warning timestamp: its key "+second.ID()[:16]+" is one of root")
	if strings.Contains(got, "note root") || strings.Contains(got, "warning targets") {
		t.Errorf("got:\n%s", got)
	}
}

func TestExamineFiles(t *testing.T) {
	w, _ := fourReleases(t)
	w.mustPublish("1.4.0", treetest.Tree{"own": treetest.File(words(9, 3000))}, func(r *Release) { r.Packs = -1 })
	wantFindings(t, w.examine(time.Now()), "note app stable for any: has no delta from 1.3.0 to 1.4.0\n")
	n := 0
	for name := range w.files() {
		kind, _, _ := strings.Cut(name, "/")
		switch {
		case kind == "metadata", !strings.HasPrefix(name, "packs/") && w.unused(name):
			continue
		case strings.HasPrefix(name, "packs/") && !strings.Contains(name, "-1.3.0-"):
			continue
		}
		n++
		w := w.copyOf(t)
		path := filepath.Join(w.dir, filepath.FromSlash(name))
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, append(b, 0), 0o600))
		if got := w.examine(time.Now()); !strings.Contains(got, "fault "+name) && !strings.Contains(got, "fault app 1.") {
			t.Errorf("%s too long: got:\n%s", name, got)
		}
		must(t, os.Remove(path))
		if got := w.examine(time.Now()); !strings.Contains(got, "fault "+name+": is missing\n") &&
			!strings.Contains(got, "for any: fetch "+name) {
			t.Errorf("%s is missing: got:\n%s", name, got)
		}
	}
	if n < 10 {
		t.Errorf("only %d files tried", n)
	}
}

// unused reports whether a file can go.
func (w *world) unused(name string) bool {
	w.t.Helper()
	for _, f := range w.mustCollect(Collection{Grace: -1, DryRun: true}).Files {
		if f.Name == name {
			return true
		}
	}
	return false
}

// TestExamineLeftovers has what a stopped publish leaves.
func TestExamineLeftovers(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"packs/app/any/x", "objects/aa/x"} {
		must(t, w.store.Push(t.Context(), name, strings.NewReader("x"), 1))
	}
	wantFindings(t, w.examine(time.Now()), "note gc: 2 files are out of use, and can go later\n")
}

func TestExamineTheRest(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("one")}, nil)
	must(t, w.publisher(nil).Withdraw(t.Context(), Withdrawal{Product: "app", Version: "1.0.0", Reason: "bad"}))
	late := time.Now().Add(48 * time.Hour)
	must(t, os.Chtimes(filepath.Join(w.dir, "metadata", "1.root.json"), late, late))
	wantFindings(t, w.examine(time.Now()), "warning app stable for any: all of its releases are withdrawn",
		"warning metadata/1.root.json: was written at ")
	w.flip("metadata/timestamp.json", 40)
	wantFindings(t, w.examine(time.Now()), "fault metadata/timestamp.json: ")
}
