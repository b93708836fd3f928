package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Two products in one tree, each from a repository of its own.
func TestTwoProducts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	core, mod := newRepo(t), newRepoOf(t, "mod")
	core.publish("1.0.0", map[string]string{"core": "one", "shared": "a long content that both have, though under two names"})
	mod.publish("1.0.0", map[string]string{"mods/mod": "one", "mods/kept/": ""})
	_, err := core.client(dir).Install(t.Context(), UpdateOptions{})
	check(t, err)
	_, err = mod.client(dir).Install(t.Context(), UpdateOptions{})
	check(t, err)

	// Without a name it is not clear which one is meant.
	if _, err := New(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "app, mod") {
		t.Errorf("want both named, got %v", err)
	}
	// The module's new file is the core's, under another name: nothing is fetched.
	mod.publish("1.1.0", map[string]string{"mods/mod": "two", "mods/kept/": "", "mods/same": "a long content that both have, though under two names"})
	p, err := mod.client(dir).Plan(t.Context(), UpdateOptions{})
	check(t, err)
	if a := actionOf(p, "mods/same"); a != Copy {
		t.Errorf("mods/same: want a copy of the core's file, got %v", a)
	}
	_, err = mod.client(dir).Update(t.Context(), UpdateOptions{})
	check(t, err)
	core.publish("1.1.0", map[string]string{"core": "two"})
	_, err = core.client(dir).Update(t.Context(), UpdateOptions{})
	check(t, err)
	want := treetest.Tree{
		"core": treetest.File("two"), "mods": treetest.Dir(0o755), "mods/kept": treetest.Dir(0o755), "mods/mod": treetest.File("two"),
		"mods/same": treetest.File("a long content that both have, though under two names"),
	}
	if d := treetest.Diff(want, treetest.Read(t, dir, atomicfs.StateDir)); d != "" {
		t.Error(d)
	}
	// The first one goes back although the other one was updated since, and
	// then the other.
	_, err = mod.client(dir).Rollback(t.Context(), false)
	check(t, err)
	_, err = core.client(dir).Rollback(t.Context(), false)
	check(t, err)
	for _, r := range []*repo{core, mod} {
		if drift, err := r.client(dir).Verify(t.Context()); err != nil || len(drift) > 0 {
			t.Errorf("%v %v", drift, err)
		}
	}
	installed, err := Products(dir)
	check(t, err)
	if len(installed) != 2 || installed[0].Version != "1.0.0" || installed[1].Version != "1.0.0" {
		t.Errorf("want both at 1.0.0, got %+v", installed)
	}
}

func actionOf(p *Plan, path string) Action {
	for _, s := range p.Steps {
		if s.Path == path {
			return s.Action
		}
	}
	return Delete
}

// What one product lists as a folder stays when the other one leaves it.
func TestFoldersOfOthersStay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	core, mod := newRepo(t), newRepoOf(t, "mod")
	core.publish("1.0.0", map[string]string{"data/core": "x", "own/core": "x", "both/": ""})
	core.publish("1.1.0", map[string]string{"core": "x"})
	mod.publish("1.0.0", map[string]string{"data/": "", "both/": "", "mod": "x"})
	_, err := core.client(dir).Install(t.Context(), UpdateOptions{Version: "1.0.0"})
	check(t, err)
	_, err = mod.client(dir).Install(t.Context(), UpdateOptions{})
	check(t, err)
	_, err = core.client(dir).Update(t.Context(), UpdateOptions{})
	check(t, err)
	want := treetest.Tree{"core": treetest.File("x"), "mod": treetest.File("x"), "data": treetest.Dir(0o755), "both": treetest.Dir(0o755)}
	if d := treetest.Diff(want, treetest.Read(t, dir, atomicfs.StateDir)); d != "" {
		t.Error(d)
	}
	if drift, err := mod.client(dir).Verify(t.Context()); err != nil || len(drift) > 0 {
		t.Errorf("mod: %v %v", drift, err)
	}
}

func TestConflictIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	core, thief := newRepo(t), newRepoOf(t, "thief")
	core.publish("1.0.0", map[string]string{"a": "core", "b/c": "core"})
	thief.publish("1.0.0", map[string]string{"A": "thief", "b": "thief", "c": "thief"})
	_, err := core.client(dir).Install(t.Context(), UpdateOptions{})
	check(t, err)
	before := treetest.Read(t, dir, atomicfs.StateDir)
	for _, o := range []UpdateOptions{{}, {Force: true}} {
		_, err = thief.client(dir).Install(t.Context(), o)
		var conflict *ConflictError
		if !errors.As(err, &conflict) || len(conflict.Conflicts) != 2 || conflict.Conflicts[0].Owner != "app" {
			t.Errorf("want two conflicts with app, got %v", err)
		}
	}
	if d := treetest.Diff(before, treetest.Read(t, dir, atomicfs.StateDir)); d != "" {
		t.Error(d)
	}
	if _, err := os.Stat(filepath.Join(dir, metaManifest("thief"))); err == nil {
		t.Error("thief counts as installed")
	}
}

func TestTogether(t *testing.T) {
	of := func(product, version string, needs ...manifest.Dependency) *manifest.Manifest {
		return &manifest.Manifest{Release: manifest.Release{Product: product, Version: version, Depends: needs}}
	}
	core2 := manifest.Dependency{Name: "core", Version: "2.0.0"}
	for name, tt := range map[string]struct {
		product string
		to      *manifest.Manifest
		others  []*manifest.Manifest
		want    string
	}{
		"alone":                      {"core", of("core", "1.0.0"), nil, ""},
		"needs nothing installed":    {"mod", of("mod", "1.0.0", core2), nil, "mod needs core 2.0.0 or newer"},
		"needs a newer one":          {"mod", of("mod", "1.0.0", core2), []*manifest.Manifest{of("core", "1.9.0")}, "mod needs core 2.0.0 or newer, got 1.9.0"},
		"has it":                     {"mod", of("mod", "1.0.0", core2), []*manifest.Manifest{of("core", "2.0.0")}, ""},
		"any will do":                {"mod", of("mod", "1.0.0", manifest.Dependency{Name: "core"}), []*manifest.Manifest{of("core", "0.1.0")}, ""},
		"goes from under another":    {"core", nil, []*manifest.Manifest{of("mod", "1.0.0", core2)}, "mod needs core 2.0.0 or newer"},
		"goes back under another":    {"core", of("core", "1.0.0"), []*manifest.Manifest{of("mod", "1.0.0", core2)}, "mod needs core 2.0.0 or newer, got 1.0.0"},
		"what was amiss is for none": {"other", of("other", "1.0.0"), []*manifest.Manifest{of("mod", "1.0.0", core2)}, ""},
		"all needs at once": {"mod", of("mod", "1.0.0", core2, manifest.Dependency{Name: "fonts"}), nil,
			"mod needs core 2.0.0 or newer\nmod needs fonts"},
	} {
		got := ""
		if err := together(tt.product, tt.to, tt.others); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: want %q, got %q", name, tt.want, got)
		}
	}
}

// Each product comes after all it depends on, unless they go in a circle; the
// order does not depend on the one given.
func TestDependenciesFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		var all []manifest.Release
		for i, n := range names {
			r := manifest.Release{Product: n}
			for _, j := range rapid.SliceOfDistinct(rapid.IntRange(0, len(names)-1), rapid.ID[int]).Draw(rt, n) {
				if j > i { // no circle
					r.Depends = append(r.Depends, manifest.Dependency{Name: names[j]})
				}
			}
			all = append(all, r)
		}
		ordered := dependenciesFirst(rapid.Permutation(all).Draw(rt, "order"))
		at := map[string]int{}
		for i, r := range ordered {
			at[r.Product] = i
		}
		for _, r := range all {
			for _, d := range r.Depends {
				if at[d.Name] > at[r.Product] {
					rt.Fatalf("%s before %s", r.Product, d.Name)
				}
			}
		}
		if d := cmp.Diff(ordered, dependenciesFirst(all)); d != "" {
			rt.Fatal(d)
		}
	})
	circle := []manifest.Release{{Product: "a", Depends: []manifest.Dependency{{Name: "b"}}}, {Product: "b", Depends: []manifest.Dependency{{Name: "a"}}}, {Product: "z"}}
	if got := dependenciesFirst(circle); len(got) != 3 || got[0].Product != "z" {
		t.Errorf("a circle: got %+v", got)
	}
}

func TestNeeded(t *testing.T) {
	offer := func(product, installed string, essential bool, needs ...string) Offer {
		o := Offer{Listing: manifest.Listing{Product: product, Essential: essential}, Installed: installed}
		for _, n := range needs {
			o.Depends = append(o.Depends, manifest.Dependency{Name: n})
		}
		return o
	}
	offers := []Offer{
		offer("addon", "", false, "mod"), offer("core", "", false), offer("games", "1.0.0", false), offer("lost", "", false, "gone"),
		offer("mod", "", false, "core"), offer("shield", "", true, "core"),
	}
	for name, tt := range map[string]struct {
		products []string
		want     string
		fails    bool
	}{
		"of one":              {[]string{"addon"}, "core mod addon", false},
		"of none":             {nil, "core games shield", false},
		"not there":           {[]string{"nothing", "core"}, "core", true},
		"a need is not there": {[]string{"lost"}, "lost", true},
	} {
		got, err := Needed(offers, tt.products...)
		var names []string
		for _, o := range got {
			names = append(names, o.Product)
		}
		if n := strings.Join(names, " "); n != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: want %q, got %q, %v", name, tt.want, n, err)
		}
		if tt.fails && !errors.Is(err, ErrNoRelease) {
			t.Errorf("%s: want ErrNoRelease, got %v", name, err)
		}
	}
}
