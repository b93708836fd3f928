package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

// listed makes the targets of releases, whose sequences rise.
func listed(t *testing.T, edits ...func(*manifest.Listing)) (all []trust.Target) {
	t.Helper()
	for i, edit := range edits {
		l := manifest.Listing{Product: "app", Version: fmt.Sprintf("1.%d.0", i), Sequence: uint64(i + 1), Platform: "any",
			Channels: []string{"stable"}, Size: 1, Digest: manifest.Sum([]byte("x"))}
		edit(&l)
		custom, err := json.Marshal(l)
		must(t, err)
		facts := manifest.Release{Product: l.Product, Version: l.Version, Sequence: l.Sequence, Platform: l.Platform}
		all = append(all, trust.NewTarget(facts.StoredName(), nil, custom), trust.NewTarget(facts.IndexName(), nil, nil))
	}
	return all
}

func TestPruneKeepsWhatClientsGoBy(t *testing.T) {
	plain := func(*manifest.Listing) {}
	on := func(channels ...string) func(*manifest.Listing) {
		return func(l *manifest.Listing) { l.Channels = channels }
	}
	severe := func(s manifest.Severity) func(*manifest.Listing) {
		return func(l *manifest.Listing) { l.Severity = s }
	}
	barrier := func(l *manifest.Listing) { l.Barrier = true }
	strict := func(l *manifest.Listing) { l.Strict = true }
	since := func(l *manifest.Listing) { l.CriticalSince = "1.0.0" }
	recommended := func(l *manifest.Listing) { l.Recommended = []string{"stable"} }
	withdrawn := func(l *manifest.Listing) { l.Withdrawn = "bad" }
	linux := func(l *manifest.Listing) { l.Platform = "linux-amd64" }
	for _, tt := range []struct {
		name  string
		edits []func(*manifest.Listing)
		keep  int
		want  []int // that stay
	}{
		{"all", []func(*manifest.Listing){plain, plain, plain}, 0, []int{0, 1, 2}},
		{"the newest", []func(*manifest.Listing){plain, plain, plain}, 1, []int{2}},
		{"more than there are", []func(*manifest.Listing){plain, plain}, 5, []int{0, 1}},
		{"of each channel", []func(*manifest.Listing){on("stable"), on("stable"), on("beta"), on("beta")}, 1, []int{1, 3}},
		{"of each platform", []func(*manifest.Listing){plain, linux, plain, linux}, 1, []int{2, 3}},
		{"on two channels", []func(*manifest.Listing){on("beta", "stable"), on("beta"), on("beta")}, 1, []int{0, 2}},
		{"barriers", []func(*manifest.Listing){barrier, plain, plain}, 1, []int{0, 2}},
		{"the newest of each severity", []func(*manifest.Listing){severe(manifest.Critical), severe(manifest.Security), severe(manifest.Security), plain, plain}, 1, []int{0, 2, 4}},
		{"the newest that was critical for some", []func(*manifest.Listing){since, since, plain, plain}, 1, []int{1, 3}},
		{"strict ones, and those just before", []func(*manifest.Listing){plain, plain, strict, plain, plain}, 1, []int{1, 2, 4}},
		{"what counts as just before", []func(*manifest.Listing){plain, plain, withdrawn, strict}, 1, []int{1, 3}},
		{"what is recommended", []func(*manifest.Listing){plain, recommended, plain, plain}, 1, []int{1, 3}},
		{"withdrawn ones count for nobody", []func(*manifest.Listing){plain, plain, withdrawn}, 1, []int{1, 2}},
		{"old withdrawn ones go", []func(*manifest.Listing){withdrawn, plain, plain}, 1, []int{2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := listed(t, tt.edits...)
			left, err := prune("app", all, tt.keep)
			must(t, err)
			var got []int
			for i := range tt.edits {
				if slices.ContainsFunc(left, func(x trust.Target) bool { return x.Name == all[2*i].Name }) {
					got = append(got, i)
				}
			}
			if !slices.Equal(got, tt.want) || len(left) != 2*len(got) {
				t.Errorf("got %v (%d targets), want %v", got, len(left), tt.want)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for i := range 5 {
		w.mustPublish(fmt.Sprintf("1.%d.0", i), treetest.Tree{"f": treetest.File(fmt.Sprint(i))}, nil)
	}
	p := w.publisher(nil)
	if _, err := p.Prune(ctx, "nope", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Prune(ctx, "app", 0); err == nil {
		t.Error("keep 0: want an error")
	}
	for _, want := range []int{3, 0} {
		went, err := p.Prune(ctx, "app", 2)
		must(t, err)
		if went != want {
			t.Errorf("%d went, want %d", went, want)
		}
	}
	// Publishing goes on, with sequences that rise, and prunes by itself.
	w.mustPublish("1.5.0", treetest.Tree{"f": treetest.File("5")}, func(r *Release) { r.Keep = 2 })
	items, err := p.List(ctx, "app")
	must(t, err)
	if len(items) != 2 || items[1].Sequence != 6 {
		t.Errorf("got %+v", items)
	}
	if faults, err := p.Verify(ctx, true); err != nil || len(faults) > 0 {
		t.Errorf("verify: %v, %v", faults, err)
	}
}
