package publisher

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

func on(channel string) func(*Release) { return func(r *Release) { r.Channel = channel } }

func promotion(version string) Promotion {
	return Promotion{Product: "app", Version: version, Channel: "stable", Delta: delta.Options{Level: delta.Fast}}
}

// TestPromote wants the same bits on another channel, with packs from what is
// there; and the same repository as by a publish of the tree to both channels.
func TestPromote(t *testing.T) {
	trees := threeReleases()
	w := newWorld(t)
	twin := w.twin()
	for _, o := range []*world{w, twin} {
		o.mustPublish("1.0.0", trees[0], nil)
		o.mustPublish("1.1.0", trees[1], on("beta"))
		o.mustPublish("1.2.0", trees[2], on("beta"))
	}
	before := w.files()
	w.now = w.now.Add(1)
	reports, err := w.publisher(nil).Promote(t.Context(), promotion("1.2.0"))
	must(t, err)
	if len(reports) != 1 || len(reports[0].Packs) != 1 || reports[0].Packs[0].From != "1.0.0" || reports[0].Objects != 0 || reports[0].Already {
		t.Errorf("got %+v", reports)
	}
	if got := w.seen()[2]; got != "app 1.2.0 any 3 [beta stable]" {
		t.Errorf("got %s", got)
	}
	w.verify()
	for name := range w.files() {
		if _, was := before[name]; !was && (strings.HasPrefix(name, "objects/") || strings.HasPrefix(name, "manifests/")) {
			t.Errorf("%s is written anew", name)
		}
	}
	twin.mustPublish("1.2.0", trees[2], nil)
	packs := func(o *world) (names []string) {
		for name := range maps.Keys(o.files()) {
			if strings.HasPrefix(name, "packs/") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	if got, want := packs(w), packs(twin); !slices.Equal(got, want) {
		t.Errorf("packs: got %v, by a publish %v", got, want)
	}
	reports, err = w.publisher(nil).Promote(t.Context(), promotion("1.2.0"))
	must(t, err)
	if !reports[0].Already {
		t.Error("the second time something is done")
	}
}

// TestPromoteRefuses tries what cannot be promoted; nothing changes then.
func TestPromoteRefuses(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File("0")}, nil)
	w.mustPublish("1.1.0", treetest.Tree{"f": treetest.File("1")}, on("beta"))
	w.mustPublish("1.2.0", treetest.Tree{"f": treetest.File("2")}, on("beta"))
	w.mustPublish("1.3.0", treetest.Tree{"f": treetest.File("3")}, nil)
	must(t, w.publisher(nil).Withdraw(t.Context(), Withdrawal{Product: "app", Version: "1.2.0", Reason: "bad"}))
	before := w.files()
	for _, c := range []struct {
		version string
		edit    func(*Promotion)
		why     string
	}{
		{"9.0.0", nil, "no such release"},
		{"1.1.0", func(p *Promotion) { p.Platform = "linux-amd64" }, "no such release"},
		{"1.1.0", nil, "1.3.0 is on channel stable already, and newer"},
		{"1.2.0", func(p *Promotion) { p.Channel = "late" }, "it is withdrawn: bad"},
		{"1.1.0", func(p *Promotion) { p.Channel = "Bad" }, "letter or digit"},
		{"1.1.0", func(p *Promotion) { p.Channel, p.Rollout = "late", &manifest.Rollout{Percent: 101} }, "want 0 to 100"},
	} {
		p := promotion(c.version)
		if c.edit != nil {
			c.edit(&p)
		}
		_, err := w.publisher(nil).Promote(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: want %q, got %v", p, c.why, err)
		}
		if want := c.why == "no such release"; errors.Is(err, fs.ErrNotExist) != want {
			t.Errorf("%+v: ErrNotExist: want %v", p, want)
		}
	}
	if after := w.files(); !maps.Equal(before, after) {
		t.Error("something has changed")
	}
}

// TestPromotePlatforms wants all platforms of a version to go live together.
func TestPromotePlatforms(t *testing.T) {
	w := newWorld(t)
	for _, platform := range []string{"linux-amd64", "darwin-arm64"} {
		w.mustPublish("1.0.0", treetest.Tree{"f": treetest.File(platform)}, func(r *Release) {
			r.Facts.Platform, r.Channel = platform, "beta"
		})
	}
	p := promotion("1.0.0")
	p.Rollout = &manifest.Rollout{Percent: 10}
	reports, err := w.publisher(nil).Promote(t.Context(), p)
	must(t, err)
	items, err := w.publisher(nil).List(t.Context(), "app")
	must(t, err)
	if len(reports) != 2 || len(items) != 2 {
		t.Fatalf("got %d reports, %d items", len(reports), len(items))
	}
	for _, i := range items {
		want := map[string]manifest.Rollout{"stable": {Percent: 10}}
		if !slices.Equal(i.Channels, []string{"beta", "stable"}) || !maps.Equal(i.Rollout, want) {
			t.Errorf("got %+v", i.Listing)
		}
	}
	w.verify()
}

// TestPacksCoverRoutes wants packs from where updates come: not from before a
// barrier, from the barrier itself, and to a strict release from one only.
func TestPacksCoverRoutes(t *testing.T) {
	w := newWorld(t)
	body := words(1, 5000)
	publish := func(version string, edit func(*Release)) string {
		t.Helper()
		r := w.mustPublish(version, treetest.Tree{"f": treetest.File(body + version)}, func(r *Release) {
			r.Packs = 2
			if edit != nil {
				edit(r)
			}
		})
		var from []string
		for _, p := range r.Packs {
			from = append(from, p.From)
		}
		return strings.Join(from, " ")
	}
	for _, c := range []struct {
		version string
		edit    func(*Release)
		want    string
	}{
		{"1.0.0", nil, ""},
		{"1.1.0", func(r *Release) { r.Facts.Barrier = true }, "1.0.0"},
		{"1.2.0", nil, "1.1.0"},
		{"1.3.0", nil, "1.2.0 1.1.0"},
		{"1.4.0", nil, "1.3.0 1.2.0 1.1.0"},
		{"1.5.0", func(r *Release) { r.Packs = -1 }, ""},
		{"1.6.0", func(r *Release) { r.Facts.Strict = true }, "1.5.0"},
		{"1.7.0", func(r *Release) { r.Facts.Barrier = true }, "1.6.0 1.5.0 1.1.0"},
		{"1.8.0", nil, "1.7.0"},
	} {
		if got := publish(c.version, c.edit); got != c.want {
			t.Errorf("%s: want packs from %q, got %q", c.version, c.want, got)
		}
	}
	w.verify()
}
