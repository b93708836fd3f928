package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// A Promotion puts a published release on one more channel: the same bits, with
// deltas from the earlier releases of that channel.
type Promotion struct {
	Product, Version string
	Platform         string // default: all that the version is for
	Channel          string // that it goes to
	Rollout          *manifest.Rollout
	Old              []string // as those of a [Release], and so are the rest
	Packs, Keep      int
	Delta            delta.Options
}

// Promote makes a promotion, on all platforms at once, and returns a report for
// each. It needs no tree: what the deltas are made from and for comes from the
// store. The error is [fs.ErrNotExist] if there is no such release.
func (p *Publisher) Promote(ctx context.Context, m Promotion) (reports []*Report, err error) {
	if err := errors.Join(manifest.CheckName(m.Channel), checkRollout(m.Rollout)); err != nil {
		return nil, fmt.Errorf("promote: channel: %w", err)
	}
	s, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer s.end(&err)
	jobs, err := s.promotions(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("promote %s %s: %w", m.Product, m.Version, err)
	}
	live := false
	for _, j := range jobs {
		reports = append(reports, &j.report)
		if j.report.Already {
			continue
		}
		live = true
		defer j.close()
		if err := j.prepare(ctx); err != nil {
			return nil, err
		}
	}
	if !live {
		return reports, nil
	}
	err = s.live(ctx, func(f store.Fetcher) error {
		var errs []error
		for _, j := range jobs {
			if !j.report.Already {
				errs = append(errs, j.rehearse(ctx, f))
			}
		}
		return errors.Join(errs...)
	})
	for _, r := range reports {
		r.Written = s.written.Load()
	}
	return reports, err
}

// promotions returns a job for each platform.
func (s *session) promotions(ctx context.Context, m Promotion) (jobs []*job, err error) {
	all, err := releases(m.Product, s.editor.Targets(m.Product))
	if err != nil {
		return nil, err
	}
	for i := range all {
		p := &all[i]
		if p.Version != m.Version || m.Platform != "" && p.Platform != m.Platform {
			continue
		}
		j, err := s.promotion(ctx, m, all, p)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		err = fmt.Errorf("no such release: %w", fs.ErrNotExist)
	}
	return jobs, err
}

func (s *session) promotion(ctx context.Context, m Promotion, all []published, p *published) (*job, error) {
	if p.Withdrawn != "" {
		return nil, fmt.Errorf("it is withdrawn: %s", p.Withdrawn)
	}
	line := lifecycle.NewLine(listingsOf(all), m.Channel, p.Platform)
	if n := len(line); n > 0 && line[n-1].Sequence > p.Sequence {
		return nil, fmt.Errorf("%s is on channel %s already, and newer: want a release after it", line[n-1].Version, m.Channel)
	}
	same, err := load(ctx, s.o.Store, *p)
	if err != nil {
		return nil, err
	}
	j := &job{session: s, channel: m.Channel, all: all, same: same, manifest: same.manifest, canonical: same.canonical,
		release: Release{Facts: same.manifest.Release, Channel: m.Channel, Rollout: m.Rollout,
			Old: m.Old, Packs: m.Packs, Keep: m.Keep, Delta: m.Delta}}
	j.report = Report{Release: &same.manifest.Release, Files: fileCount(same.manifest), Content: same.manifest.Content(),
		Already: slices.Contains(p.Channels, m.Channel)}
	if j.report.Already {
		return j, nil
	}
	return j, j.fits(ctx)
}
