package publisher

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

// migrating edits a release to have migrations to versions.
func migrating(versions ...uint64) func(*Release) {
	return func(r *Release) {
		for _, v := range versions {
			r.Facts.Migrations = append(r.Facts.Migrations, manifest.Migration{Version: v, Up: []string{"true"}})
		}
	}
}

func both(edits ...func(*Release)) func(*Release) {
	return func(r *Release) {
		for _, edit := range edits {
			edit(r)
		}
	}
}

func barrier(r *Release) { r.Facts.Barrier = true }
func strict(r *Release)  { r.Facts.Strict = true }

// wantRefused fails unless err lists exactly these faults, by parts of them.
func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	var invalid *manifest.InvalidError
	if len(parts) == 0 {
		must(t, err)
		return
	}
	if !errors.As(err, &invalid) || len(invalid.Faults) != len(parts) {
		t.Fatalf("want %d faults, got %v", len(parts), err)
	}
	for i, part := range parts {
		if text := invalid.Faults[i].Path + ": " + invalid.Faults[i].Reason; !strings.Contains(text, part) {
			t.Errorf("fault %d: want %q, got %q", i, part, text)
		}
	}
}

// TestDroppedMigrations wants every release to carry the migrations of those
// that an update may skip.
func TestDroppedMigrations(t *testing.T) {
	type step struct {
		edit func(*Release)
		want []string
	}
	for name, steps := range map[string][]step{
		"kept":                 {{migrating(1), nil}, {migrating(1, 2), nil}, {migrating(1, 2), nil}},
		"dropped":              {{migrating(1, 2, 3), nil}, {migrating(2), []string{"version 1 of release 1.0.0 is missing", "version 3"}}},
		"all dropped":          {{migrating(1), nil}, {nil, []string{"migrations: version 1"}}},
		"after a barrier":      {{migrating(1), nil}, {both(migrating(1, 2), barrier), nil}, {nil, nil}, {migrating(3), nil}, {migrating(4), []string{"version 3"}}},
		"by a barrier":         {{migrating(1), nil}, {both(migrating(2), barrier), []string{"version 1"}}},
		"by a strict one":      {{migrating(1), nil}, {strict, nil}, {nil, []string{"version 1"}}, {migrating(1), nil}},
		"of a strict one":      {{nil, nil}, {both(strict, migrating(1)), nil}, {nil, []string{"version 1"}}},
		"on another channel":   {{both(migrating(1), on("beta")), nil}, {nil, nil}},
		"on another platform":  {{both(migrating(1), func(r *Release) { r.Facts.Platform = "linux-amd64" }), nil}, {nil, nil}},
		"carried past barrier": {{both(migrating(1), barrier), nil}, {migrating(1, 2), nil}, {migrating(2), nil}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, s := range steps {
				_, err := w.publish(fmt.Sprintf("1.%d.0", i), treetest.Tree{"f": treetest.File(fmt.Sprint(i))}, s.edit)
				wantRefused(t, err, s.want...)
			}
		})
	}
}

func TestPromoteChecksMigrations(t *testing.T) {
	w := newWorld(t)
	tree := func(s string) treetest.Tree { return treetest.Tree{"f": treetest.File(s)} }
	w.mustPublish("1.0.0", tree("0"), migrating(1))
	w.mustPublish("1.1.0", tree("1"), on("beta"))
	_, err := w.publisher(nil).Promote(t.Context(), promotion("1.1.0"))
	wantRefused(t, err, "version 1 of release 1.0.0")
}

// TestWithdrawnBarrier wants no barrier taken away under those that count on it.
func TestWithdrawnBarrier(t *testing.T) {
	w := newWorld(t)
	tree := func(s string) treetest.Tree { return treetest.Tree{"f": treetest.File(s)} }
	w.mustPublish("1.0.0", tree("0"), nil)
	w.mustPublish("1.1.0", tree("1"), both(migrating(1), barrier))
	w.mustPublish("1.2.0", tree("2"), nil)
	w.mustPublish("1.3.0", tree("3"), migrating(1))
	withdraw := func(version string) error {
		return w.publisher(nil).Withdraw(t.Context(), Withdrawal{Product: "app", Version: version, Reason: "bad"})
	}
	wantRefused(t, withdraw("1.1.0"), "1.2.0: it lacks migration 1 of the barrier 1.1.0")
	must(t, withdraw("1.2.0"))
	must(t, withdraw("1.1.0"))
	must(t, w.publisher(nil).Withdraw(t.Context(), Withdrawal{Product: "app", Version: "1.1.0"}))
}

func TestConflictsWithDependencies(t *testing.T) {
	w := newWorld(t)
	addon := func(r *Release) {
		r.Facts.Product, r.Facts.Depends = "addon", []manifest.Dependency{{Name: "app"}, {Name: "elsewhere"}}
	}
	w.mustPublish("1.0.0", treetest.Tree{"old": treetest.File("x"), "lib/a": treetest.File("x")}, nil)
	w.mustPublish("1.1.0", treetest.Tree{"bin": treetest.File("x"), "lib/a": treetest.File("x")}, nil)
	w.mustPublish("1.2.0", treetest.Tree{"f": treetest.File("x")}, on("beta"))
	_, err := w.publish("1.0.0", treetest.Tree{"bin": treetest.File("y"), "lib/A": treetest.File("y"), "old": treetest.File("y"), "f": treetest.File("y")}, addon)
	wantRefused(t, err, "bin: a file of both (with app 1.1.0)", "lib/A: the same as")
	w.mustPublish("1.0.0", treetest.Tree{"old": treetest.File("y"), "lib/b": treetest.File("y")}, addon)
}

func TestRollout(t *testing.T) {
	w := newWorld(t)
	tree := treetest.Tree{"f": treetest.File("0")}
	w.mustPublish("1.0.0", tree, func(r *Release) { r.Rollout = &manifest.Rollout{} })
	_, err := w.publish("1.1.0", tree, func(r *Release) { r.Rollout = &manifest.Rollout{Percent: -1} })
	if err == nil || !strings.Contains(err.Error(), "want 0 to 100") {
		t.Errorf("got %v", err)
	}
	w.mustPublish("1.1.0", treetest.Tree{"f": treetest.File("1")}, on("beta"))
	yes, no := true, false
	percent := func(n int) *int { return &n }
	for _, c := range []struct {
		change  Rollout
		version string
		now     manifest.Rollout
		listed  map[string]manifest.Rollout
	}{
		{Rollout{}, "1.0.0", manifest.Rollout{}, map[string]manifest.Rollout{"stable": {}}},
		{Rollout{Percent: percent(20)}, "1.0.0", manifest.Rollout{Percent: 20}, map[string]manifest.Rollout{"stable": {Percent: 20}}},
		{Rollout{Halted: &yes}, "1.0.0", manifest.Rollout{Percent: 20, Halted: true}, map[string]manifest.Rollout{"stable": {Percent: 20, Halted: true}}},
		{Rollout{Halted: &no, Percent: percent(100)}, "1.0.0", manifest.Rollout{Percent: 100}, nil},
		{Rollout{Channel: "beta", Halted: &yes}, "1.1.0", manifest.Rollout{Percent: 100, Halted: true}, map[string]manifest.Rollout{"beta": {Percent: 100, Halted: true}}},
	} {
		c.change.Product = "app"
		version, now, err := w.publisher(nil).Rollout(t.Context(), c.change)
		must(t, err)
		items, err := w.publisher(nil).List(t.Context(), "app")
		must(t, err)
		i := slices.IndexFunc(items, func(i Item) bool { return i.Version == version })
		if version != c.version || now != c.now || !maps.Equal(items[i].Rollout, c.listed) {
			t.Errorf("%+v: got %s, %+v, listed %+v", c.change, version, now, items[i].Rollout)
		}
	}
	for _, c := range []Rollout{
		{Product: "app", Version: "1.1.0", Halted: &yes},
		{Product: "app", Channel: "late"},
		{Product: "nope"},
	} {
		if _, _, err := w.publisher(nil).Rollout(t.Context(), c); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if _, _, err := w.publisher(nil).Rollout(t.Context(), Rollout{Product: "app", Percent: percent(101)}); err == nil {
		t.Error("101 %: want an error")
	}
}

func TestMark(t *testing.T) {
	w := newWorld(t)
	for i, channel := range []string{"stable", "stable", "beta"} {
		w.mustPublish(fmt.Sprintf("1.%d.0", i), treetest.Tree{"f": treetest.File(fmt.Sprint(i))}, on(channel))
	}
	yes, no := true, false
	mark := func(version string, unstable, recommended *bool) error {
		return w.publisher(nil).Mark(t.Context(), Mark{Product: "app", Version: version, Unstable: unstable, Recommended: recommended})
	}
	state := func() string {
		items, err := w.publisher(nil).List(t.Context(), "app")
		must(t, err)
		var words []string
		for _, i := range items {
			word := "-"
			if i.Unstable {
				word = "unstable"
			}
			words = append(words, strings.Join(append([]string{word}, i.Recommended...), "/"))
		}
		return strings.Join(words, " ")
	}
	for _, c := range []struct {
		version               string
		unstable, recommended *bool
		want                  string
	}{
		{"1.0.0", nil, &yes, "-/stable - -"},
		{"1.1.0", nil, &yes, "- -/stable -"}, // only one
		{"1.1.0", &yes, nil, "- unstable -"},
		{"1.1.0", &no, &yes, "- -/stable -"},
		{"1.1.0", &no, nil, "- -/stable -"},
		{"1.1.0", nil, &no, "- - -"},
	} {
		must(t, mark(c.version, c.unstable, c.recommended))
		if got := state(); got != c.want {
			t.Errorf("mark %s: want %q, got %q", c.version, c.want, got)
		}
	}
	if err := mark("1.2.0", nil, &yes); err == nil || !strings.Contains(err.Error(), "recommend it on channel stable") {
		t.Errorf("of another channel: got %v", err)
	}
	if err := mark("9.0.0", &yes, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such release: got %v", err)
	}
	must(t, mark("1.0.0", nil, &yes))
	if r := w.mustPublish("1.3.0", treetest.Tree{"f": treetest.File("3")}, nil); r.Recommended != "1.0.0" {
		t.Errorf("publish tells %q", r.Recommended)
	}
}

// TestConfigPatterns gives rules to files by patterns.
func TestConfigPatterns(t *testing.T) {
	tree := treetest.Tree{"etc/a.conf": treetest.File("a"), "etc/b.conf": treetest.File("b"), "etc/c.ini": treetest.File("c"),
		"etc/sub/d.conf": treetest.File("d"), "etc/[x].conf": treetest.File("x")}
	w := newWorld(t)
	w.mustPublish("1.0.0", tree, func(r *Release) {
		r.Config = map[string]manifest.ConfigRule{"etc/*.conf": manifest.MergeConfig, "etc/*/*": manifest.KeepConfig, "etc/[x].conf": manifest.MergeConfig}
	})
	d, err := w.publisher(nil).Inspect(t.Context(), "app", "1.0.0")
	must(t, err)
	for path, want := range map[string]manifest.ConfigRule{"etc/a.conf": manifest.MergeConfig, "etc/b.conf": manifest.MergeConfig,
		"etc/c.ini": manifest.NoConfig, "etc/sub/d.conf": manifest.KeepConfig, "etc/[x].conf": manifest.MergeConfig} {
		if e := d[0].Manifest.Lookup(path); e.Config != want {
			t.Errorf("%s: want rule %d, got %d", path, want, e.Config)
		}
	}
	_, err = w.publish("1.1.0", tree, func(r *Release) {
		r.Config = map[string]manifest.ConfigRule{"etc/*.conf": manifest.MergeConfig, "etc/a*": manifest.KeepConfig, "var/*": manifest.KeepConfig}
	})
	wantRefused(t, err, "etc/a.conf: two config rules", "var/*: a config rule for what is no file")
}
