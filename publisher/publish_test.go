package publisher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

func TestPublishThree(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	var reports []*Report
	for i, tree := range trees {
		r := w.mustPublish(fmt.Sprintf("1.%d.0", i), tree, nil)
		if r.Release.Sequence != uint64(i+1) || r.Release.Platform != "any" || r.Already {
			t.Errorf("release %d: got %+v", i, r.Release)
		}
		if len(r.Packs) != i {
			t.Errorf("release %d: want %d packs, got %+v", i, i, r.Packs)
		}
		for _, p := range r.Packs {
			if p.Skipped != "" || p.Size <= 0 || len(p.Files) == 0 {
				t.Errorf("release %d: pack %+v", i, p)
			}
		}
		reports = append(reports, r)
	}
	if got := reports[0]; got.Files != 9 || got.Objects != 7 {
		t.Errorf("first: want 9 files and 7 objects, got %d and %d", got.Files, got.Objects)
	}
	if got := reports[1].Objects; got != 2 { // bin/app and doc/new
		t.Errorf("second: want 2 objects, got %d", got)
	}
	if got, all := reports[1].Packs[0].Size, reports[0].ObjectBytes; got > all/4 {
		t.Errorf("the pack has %d bytes, all objects %d", got, all)
	}
	want := []string{"app 1.0.0 any 1 [stable]", "app 1.1.0 any 2 [stable]", "app 1.2.0 any 3 [stable]"}
	if got := w.seen(); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	w.verify()
	d, err := w.publisher(nil).Inspect(t.Context(), "app", "1.2.0")
	must(t, err)
	if len(d) != 1 || len(d[0].Index.Packs) != 2 || d[0].Index.Packs[0].From != "1.1.0" || d[0].Stored <= 0 {
		t.Errorf("inspect: got %+v", d)
	}
}

func TestWrittenIsWhatWasWritten(t *testing.T) {
	w := newWorld(t)
	sum := func() (n int64) {
		for p, e := range w.files() {
			if p != timestampName {
				n += int64(len(e.Content))
			}
		}
		return n
	}
	before := sum()
	r := w.mustPublish("1.0.0", threeReleases()[0], nil)
	stamp := int64(len(w.files()[timestampName].Content))
	if want := sum() - before + stamp; r.Written != want {
		t.Errorf("want %d bytes, got %d", want, r.Written)
	}
}

func TestSameInputsSameBytes(t *testing.T) {
	one := newWorld(t)
	two := one.twin()
	for i, tree := range threeReleases() {
		version := fmt.Sprintf("1.%d.0", i)
		one.mustPublish(version, tree, func(r *Release) { r.Delta = delta.Options{Workers: 1} })
		two.now = two.now.Add(3600e9)
		p := two.publisher(func(o *Options) { o.Workers = 5 })
		_, err := p.Publish(t.Context(), Release{Facts: manifest.Release{Product: "app", Version: version}, Tree: two.tree(tree)})
		must(t, err)
	}
	if diff := treetest.Diff(one.files(), two.files()); diff != "" {
		t.Error(diff)
	}
}

func TestPublishedAlready(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], func(r *Release) { r.Channel = "beta" })
	w.mustPublish("1.1.0", trees[1], func(r *Release) { r.Channel = "beta" })
	w.mustPublish("1.2.0", trees[2], nil)
	before := w.files()

	r := w.mustPublish("1.1.0", trees[1], func(r *Release) { r.Channel = "beta" })
	if !r.Already || r.Written != 0 || r.Release.Sequence != 2 || r.Files == 0 {
		t.Errorf("again: got %+v", r)
	}
	if diff := treetest.Diff(before, w.files()); diff != "" {
		t.Errorf("publishing again changed the repository: %s", diff)
	}

	// The same release on another channel: one more pack, no more objects.
	r = w.mustPublish("1.2.0", trees[2], func(r *Release) { r.Channel = "beta" })
	if r.Already || r.Objects != 0 || len(r.Packs) != 2 {
		t.Errorf("other channel: got %+v", r)
	}
	want := []string{"app 1.0.0 any 1 [beta]", "app 1.1.0 any 2 [beta]", "app 1.2.0 any 3 [beta stable]"}
	if got := w.seen(); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	for name := range before {
		if _, kept := w.files()[name]; !kept {
			t.Errorf("%s is gone", name)
		}
	}
	w.verify()
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.1.0", trees[0], func(r *Release) { r.Facts.Sequence = 7 })
	before := w.files()
	var exists *ExistsError
	var low *SequenceError
	var invalid *manifest.InvalidError

	_, err := w.publish("1.1.0", trees[1], nil)
	if !errors.As(err, &exists) || len(exists.Changes) == 0 || !strings.Contains(err.Error(), "bin/app") {
		t.Errorf("other tree: got %v", err)
	}
	_, err = w.publish("1.1.0", trees[0], func(r *Release) { r.Facts.Severity = manifest.Critical })
	if !errors.As(err, &exists) || len(exists.Changes) != 0 || !strings.Contains(err.Error(), "other facts") {
		t.Errorf("other facts: got %v", err)
	}
	for _, sequence := range []uint64{1, 7} {
		_, err = w.publish("1.2.0", trees[1], func(r *Release) { r.Facts.Sequence = sequence })
		if !errors.As(err, &low) || low.Highest != 7 || low.Got != sequence {
			t.Errorf("sequence %d: got %v", sequence, err)
		}
	}
	_, err = w.publish("one", trees[1].Clone(func(t treetest.Tree) {
		t["con"] = treetest.File("")
		t["a:b"] = treetest.File("")
		t["BIN/app"] = treetest.File("")
	}), func(r *Release) { r.Config = map[string]manifest.ConfigRule{"nothing": manifest.KeepConfig} })
	if !errors.As(err, &invalid) || len(invalid.Faults) != 5 {
		t.Errorf("bad tree and version: want 5 faults, got %v", err)
	}
	_, err = w.publish("two", trees[1], func(r *Release) {
		r.Config = map[string]manifest.ConfigRule{"nothing": manifest.KeepConfig, "none": manifest.KeepConfig}
		r.Facts.EntryPoints = []string{"bin/none"}
	})
	if !errors.As(err, &invalid) || len(invalid.Faults) != 4 {
		t.Errorf("bad rules, entry point and version: want 4 faults, got %v", err)
	}
	_, err = w.publish("1.2.0", trees[1], func(r *Release) { r.Channel = "No Channel" })
	if err == nil || !strings.Contains(err.Error(), "channel") {
		t.Errorf("bad channel: got %v", err)
	}
	if diff := treetest.Diff(before, w.files()); diff != "" {
		t.Errorf("a refused publish changed the repository: %s", diff)
	}
	w.mustPublish("1.2.0", trees[1], nil)
	if got := w.seen()[1]; got != "app 1.2.0 any 8 [stable]" {
		t.Errorf("next sequence: got %s", got)
	}
}

func TestConfigRules(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"etc/app.toml": treetest.File("a = 1"), "f": treetest.File("")}, func(r *Release) {
		r.Config = map[string]manifest.ConfigRule{"etc/app.toml": manifest.MergeConfig}
	})
	d, err := w.publisher(nil).Inspect(t.Context(), "app", "1.0.0")
	must(t, err)
	if got := d[0].Manifest.Lookup("etc/app.toml").Config; got != manifest.MergeConfig {
		t.Errorf("got rule %d", got)
	}
}

// TestPlatforms publishes one version for several platforms, which may have
// the same sequence if the caller counts.
func TestPlatforms(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	on := func(platform string, sequence uint64) func(*Release) {
		return func(r *Release) { r.Facts.Platform, r.Facts.Sequence = platform, sequence }
	}
	w.mustPublish("1.0.0", trees[0], nil)
	w.mustPublish("1.1.0", trees[1], on("linux-amd64", 5))
	r := w.mustPublish("1.1.0", trees[2], on("darwin-arm64", 5))
	if len(r.Packs) != 1 || r.Packs[0].From != "1.0.0" {
		t.Errorf("the first for a platform starts from that for any: got %+v", r.Packs)
	}
	r = w.mustPublish("1.2.0", trees[0], on("darwin-arm64", 0))
	if len(r.Packs) != 1 || r.Packs[0].From != "1.1.0" || r.Release.Sequence != 6 {
		t.Errorf("the second starts from the first: got %+v of %+v", r.Packs, r.Release)
	}
	w.verify()
}

// TestBasesAreOfTheChannel is about the fleet that reinstalls because a delta
// was made from the last build, not from the last one on its channel.
func TestBasesAreOfTheChannel(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	on := func(channel string) func(*Release) { return func(r *Release) { r.Channel = channel } }
	w.mustPublish("1.0.0", trees[0], on("stable"))
	w.mustPublish("1.1.0-beta.1", trees[1], on("beta"))
	w.mustPublish("1.1.0-beta.2", trees[2], on("beta"))
	if r := w.mustPublish("1.1.0", trees[2], on("stable")); len(r.Packs) != 1 || r.Packs[0].From != "1.0.0" {
		t.Errorf("got %+v", r.Packs)
	}
	none := func(r *Release) { r.Packs = -1 }
	if r := w.mustPublish("1.2.0", trees[0], none); len(r.Packs) != 0 || r.Objects != 0 {
		t.Errorf("no packs: got %+v", r)
	}
	w.verify()
}

func TestChoose(t *testing.T) {
	p := func(version, platform string, sequence uint64, channels ...string) published {
		return published{Listing: manifest.Listing{Version: version, Platform: platform, Sequence: sequence, Channels: channels}}
	}
	all := []published{
		p("1.0.0", "any", 1, "stable"), p("1.1.0", "any", 2, "beta"), p("1.2.0", "any", 3, "beta", "stable"),
		p("1.3.0", "linux-amd64", 4, "beta"), p("1.4.0", "linux-amd64", 6, "beta"), p("1.5.0", "any", 9, "stable"),
	}
	cases := []struct {
		channel, platform string
		sequence          uint64
		n                 int
		want              string
	}{
		{"stable", "any", 5, 3, "1.2.0 1.0.0"},
		{"stable", "any", 10, 2, "1.5.0 1.2.0"},
		{"stable", "any", 3, 3, "1.0.0"},
		{"stable", "any", 1, 3, ""},
		{"stable", "any", 5, 0, ""},
		{"stable", "any", 5, -1, ""},
		{"beta", "linux-amd64", 7, 3, "1.4.0 1.3.0"},
		{"beta", "darwin-arm64", 7, 3, "1.2.0 1.1.0"},
		{"stable", "linux-amd64", 7, 1, "1.2.0"},
		{"other", "any", 7, 3, ""},
	}
	for _, c := range cases {
		var got []string
		for _, b := range basesOf(all, &manifest.Release{Sequence: c.sequence, Platform: c.platform}, c.channel, c.n) {
			got = append(got, b.Version)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestOldFolders makes the same release with old content from folders, from
// folders that are of no use, and from the store.
func TestOldFolders(t *testing.T) {
	trees := threeReleases()
	reference := newWorld(t)
	reference.mustPublish("1.0.0", trees[0], nil)
	reference.mustPublish("1.1.0", trees[1], nil)
	for _, c := range []struct {
		name string
		old  treetest.Tree
	}{
		{"the old tree", trees[0]},
		{"another tree", trees[2]},
		{"wrong content of the right size", trees[0].Clone(func(t treetest.Tree) {
			t["bin/app"] = treetest.Exec(strings.ToUpper(t["bin/app"].Content))
			t["bin/twin"] = treetest.Dir(0o755)
		})},
		{"nothing", treetest.Tree{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := reference.twin()
			w.t = t
			w.mustPublish("1.0.0", trees[0], nil)
			w.mustPublish("1.1.0", trees[1], func(r *Release) { r.Old = []string{w.tree(c.old)} })
			if diff := treetest.Diff(reference.files(), w.files()); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := reference.publish("1.2.0", trees[2], func(r *Release) { r.Old = []string{filepath.Join(t.TempDir(), "missing")} })
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: got %v", err)
	}
}

func TestBSDIFF40(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	r := w.mustPublish("1.1.0", trees[1], func(r *Release) { r.Delta.Codec = delta.BSDIFF40 })
	if !slices.ContainsFunc(r.Packs[0].Files, func(b delta.BlobReport) bool { return b.Kind == delta.KindBSDIFF40 }) {
		t.Errorf("no BSDIFF40 frame: got %+v", r.Packs[0])
	}
	w.verify()
}

// TestUselessPack changes everything: a pack would be no smaller.
func TestUselessPack(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{"a": treetest.File(words(10, 5000))}, nil)
	r := w.mustPublish("2.0.0", treetest.Tree{"b": treetest.File(words(11, 5000))}, nil)
	if len(r.Packs) != 1 || !strings.Contains(r.Packs[0].Skipped, "not smaller") {
		t.Errorf("got %+v", r.Packs)
	}
	d, err := w.publisher(nil).Inspect(t.Context(), "app", "2.0.0")
	must(t, err)
	if len(d[0].Index.Packs) != 0 {
		t.Errorf("got %+v", d[0].Index.Packs)
	}
	w.verify()
}

func TestEmptyTree(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", treetest.Tree{}, nil)
	w.mustPublish("1.1.0", treetest.Tree{"a": treetest.File("")}, nil)
	w.mustPublish("1.2.0", treetest.Tree{}, nil)
	w.verify()
}

func TestSeveralProducts(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	r := w.mustPublish("3.0.0", trees[0], func(r *Release) { r.Facts.Product = "other" })
	if r.Objects != 0 || r.Release.Sequence != 1 {
		t.Errorf("content is shared, sequences are not: got %+v", r)
	}
	items, err := w.publisher(nil).List(t.Context(), "other")
	must(t, err)
	if len(items) != 1 || items[0].Product != "other" || items[0].Index.Version != "3.0.0" {
		t.Errorf("got %+v", items)
	}
	w.verify()
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	last := map[string]Event{}
	var order []string
	p := w.publisher(func(o *Options) {
		o.Events = func(e Event) {
			if _, seen := last[e.Phase]; !seen {
				order = append(order, e.Phase)
			}
			last[e.Phase] = e
		}
	})
	_, err := p.Publish(context.Background(), Release{Facts: manifest.Release{Product: "app", Version: "1.1.0"}, Tree: w.tree(trees[1])})
	must(t, err)
	want := []string{"scan", "objects", "pack from 1.0.0", "sign", "rehearse", "upload"}
	if !slices.Equal(order, want) {
		t.Errorf("want %v, got %v", want, order)
	}
	for _, phase := range want[1:3] {
		if e := last[phase]; e.Done != e.Total || e.Total == 0 {
			t.Errorf("%s ends with %+v", phase, e)
		}
	}
}
