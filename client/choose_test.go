package client

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// newLine is a repository with releases 1.0.0 to 1.N.0, those of which are
// barriers that the arguments name, and an install of the first.
func newLine(t *testing.T, n int, barriers ...int) (r *repo, dir string) {
	t.Helper()
	r, dir = newRepo(t), filepath.Join(t.TempDir(), "tree")
	for i := range n + 1 {
		r.facts = func(f *manifest.Release) { f.Barrier = slices.Contains(barriers, i) }
		r.publish(fmt.Sprintf("1.%d.0", i), step(i))
		if i == 0 {
			_, err := r.with(Options{Dir: dir, Root: r.root, Repository: r.dir, Product: "app"}).Install(t.Context(), UpdateOptions{})
			check(t, err)
		}
	}
	return r, dir
}

// step is the tree of release 1.I.0.
func step(i int) map[string]string {
	return map[string]string{"same": lines(1, 100), "bin/app": lines(2, 200) + fmt.Sprint(i), fmt.Sprint("only/", i): "x"}
}

func TestUpdateGoesAlongTheRoute(t *testing.T) {
	r, dir := newLine(t, 5, 2, 4)
	c := r.client(dir)
	a, err := c.Check(t.Context())
	check(t, err)
	want := []string{"1.2.0", "1.4.0", "1.5.0"}
	if a.Latest == nil || a.Latest.Version != "1.5.0" || !slices.Equal(a.Route, want) {
		t.Errorf("check: got %+v", a)
	}
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	if p.To.Version != "1.2.0" || !slices.Equal(p.Route, want) {
		t.Errorf("plan: to %s, route %v", p.To.Version, p.Route)
	}
	res, err := c.Update(t.Context(), UpdateOptions{One: true})
	check(t, err)
	if res.To.Version != "1.2.0" || !slices.Equal(res.Hops, want[:1]) {
		t.Errorf("one hop: got %+v", res)
	}
	wantTree(t, dir, step(2))
	res, err = c.Update(t.Context(), UpdateOptions{Probation: Probation{Within: time.Hour}})
	check(t, err)
	if res.From.Version != "1.2.0" || res.To.Version != "1.5.0" || !slices.Equal(res.Hops, want[1:]) || len(res.Fallbacks) > 0 {
		t.Errorf("the rest: got %+v", res)
	}
	wantTree(t, dir, step(5))
	if trial := wantStatus(t, c).Trial; trial == nil || trial.Version != "1.5.0" {
		t.Errorf("on probation: got %+v", trial)
	}
	history, err := c.History()
	check(t, err)
	if last := history[len(history)-1]; len(history) != 4 || last.From != "1.4.0" || last.To != "1.5.0" {
		t.Errorf("history: got %+v", history)
	}
	if res, err = c.Update(t.Context(), UpdateOptions{}); err != nil || !res.UpToDate || res.Hops != nil {
		t.Errorf("again: got %+v, %v", res, err)
	}
}

func wantStatus(t *testing.T, c *Client) *Status {
	t.Helper()
	st, err := c.Status(t.Context())
	check(t, err)
	return st
}

// TestRouteStopsBetweenHops wants the tree whole where a hop fails, told how far
// it came, and taken further by the next update.
func TestRouteStopsBetweenHops(t *testing.T) {
	r, dir := newLine(t, 3, 1, 2)
	put(t, dir, "only/2", "in the way of the second hop")
	c := r.client(dir)
	res, err := c.Update(t.Context(), UpdateOptions{})
	var drift *DriftError
	if !errors.As(err, &drift) || res == nil || res.To.Version != "1.1.0" || !slices.Equal(res.Hops, []string{"1.1.0"}) {
		t.Fatalf("got %+v, %v", res, err)
	}
	wantTree(t, dir, step(1), "only/2", "in the way of the second hop")
	check(t, os.Remove(filepath.Join(dir, "only", "2")))
	res, err = c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	if !slices.Equal(res.Hops, []string{"1.2.0", "1.3.0"}) {
		t.Errorf("got %+v", res)
	}
	wantTree(t, dir, step(3))
}

// TestRollouts wants what is said of releases obeyed, and told.
func TestRollouts(t *testing.T) {
	r, dir := newLine(t, 1)
	r.listing = func(l *manifest.Listing) { l.Rollout = map[string]manifest.Rollout{"stable": {}} }
	r.publish("1.2.0", step(2))
	r.listing = func(l *manifest.Listing) { l.Unstable = true }
	r.publish("1.3.0", step(3))
	c := r.client(dir)
	a, err := c.Check(t.Context())
	check(t, err)
	passed := []lifecycle.Passed{{Version: "1.3.0", Reason: "it is unstable"}, {Version: "1.2.0", Reason: "its rollout is at 0 %"}}
	if a.Latest == nil || a.Latest.Version != "1.1.0" || !slices.Equal(a.Passed, passed) {
		t.Errorf("got %+v", a)
	}
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	if !slices.Equal(p.Passed, passed) {
		t.Errorf("plan: got %+v", p.Passed)
	}
	for _, version := range []string{"", "1.2.0"} {
		_, err = c.Update(t.Context(), UpdateOptions{Version: version})
		check(t, err)
	}
	wantTree(t, dir, step(2))
	_, err = r.with(Options{Dir: dir, Unstable: true}).Update(t.Context(), UpdateOptions{})
	check(t, err)
	wantTree(t, dir, step(3))
}

// TestInstallID wants one id for an install, however often it is asked, another
// for another install, and a new one for one that is lost or broken.
func TestInstallID(t *testing.T) {
	r, dir := newLine(t, 0)
	c := r.client(dir)
	id := func() []byte {
		t.Helper()
		_, err := c.Check(t.Context())
		check(t, err)
		return c.installID()
	}
	first := id()
	if len(first) != 16 || !bytes.Equal(first, id()) {
		t.Errorf("got %x, then %x", first, id())
	}
	_, other := newLine(t, 0)
	if b, err := os.ReadFile(filepath.Join(other, ".treegraft", "id")); err != nil || strings.HasPrefix(string(b), fmt.Sprintf("%x", first)) {
		t.Errorf("another install: got %s, %v", b, err)
	}
	for _, bad := range []string{"", "zz", strings.Repeat("a", 31), strings.Repeat("a", 1000)} {
		check(t, os.WriteFile(c.shared(idName), []byte(bad), 0o600))
		if now := id(); len(now) != 16 || bytes.Equal(now, first) {
			t.Errorf("over %q: got %x", bad, now)
		}
	}
}

// TestRemembered wants an install to remember how it wants to be treated.
func TestRemembered(t *testing.T) {
	r, _ := newLine(t, 0)
	dir := filepath.Join(t.TempDir(), "tree")
	_, err := r.with(Options{Dir: dir, Root: r.root, Repository: r.dir, Product: "app", TooNew: lifecycle.HoldTooNew, Unstable: true}).
		Install(t.Context(), UpdateOptions{})
	check(t, err)
	if c := r.client(dir); c.settings.TooNew != lifecycle.HoldTooNew || !c.settings.Unstable {
		t.Errorf("got %+v", c.settings)
	}
	if _, err := New(Options{Dir: dir, TooNew: "panic"}); err == nil {
		t.Error("panic is no policy")
	}
}
