package publisher

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

// Prune takes old releases out of the metadata of a product, so that it stays
// small: clients read all of it whenever something is new. On each channel and
// platform the newest keep releases stay, and whatever else tells clients what
// to do: barriers, strict releases and those just before them, what the channel
// recommends, and the newest release of each severity. It returns how many went.
// Their files stay in the store until [Publisher.Collect] takes them, and the
// deltas from them to listed releases for good.
func (p *Publisher) Prune(ctx context.Context, product string, keep int) (went int, err error) {
	if keep < 1 {
		return 0, fmt.Errorf("prune %s: keep %d: want at least 1", product, keep)
	}
	s, err := p.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer s.end(&err)
	targets := s.editor.Targets(product)
	if len(targets) == 0 {
		return 0, fmt.Errorf("prune %s: no such product: %w", product, fs.ErrNotExist)
	}
	left, err := prune(product, targets, keep)
	if err != nil || len(left) == len(targets) {
		return 0, err
	}
	if err := s.editor.SetTargets(product, left); err != nil {
		return 0, err
	}
	return manifests(targets) - manifests(left), s.live(ctx, nil)
}

func manifests(targets []trust.Target) (n int) {
	for _, t := range targets {
		if strings.HasPrefix(t.Name, "manifests/") {
			n++
		}
	}
	return n
}

// urgency returns how urgent a release is for those who need it most.
func urgency(r *published) manifest.Severity {
	if r.CriticalSince != "" {
		return manifest.Critical
	}
	return r.Severity
}

// prune returns the targets that stay. With keep 0 all do.
func prune(product string, targets []trust.Target, keep int) ([]trust.Target, error) {
	if keep == 0 {
		return targets, nil
	}
	all, err := releases(product, targets)
	if err != nil {
		return nil, err
	}
	stay := map[string]bool{}
	type line struct{ platform, channel string }
	newest := map[line]int{}
	urgent := map[line]map[manifest.Severity]bool{}
	strict := map[line]bool{}             // the one after it is, so this is a stop
	for i := range slices.Backward(all) { // newest first, on each platform
		r := &all[i]
		for _, channel := range r.Channels {
			l := line{r.Platform, channel}
			if urgent[l] == nil {
				urgent[l] = map[manifest.Severity]bool{}
			}
			stands := r.Withdrawn == ""
			if newest[l] < keep || r.Barrier || r.Strict || strict[l] && stands || !urgent[l][urgency(r)] && stands || slices.Contains(r.Recommended, channel) {
				stay[r.manifestFile.Name], stay[r.indexFile.Name] = true, true
				for _, t := range extrasOf(r, targets) {
					stay[t.Name] = true
				}
			}
			if stands {
				newest[l]++ // a withdrawn one takes nobody's place
				urgent[l][urgency(r)] = true
				strict[l] = r.Strict
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(targets), func(t trust.Target) bool { return !stay[t.Name] }), nil
}
