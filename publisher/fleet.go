package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Rollout says how far a release goes out on a channel.
type Rollout struct {
	Product string
	Version string // default: the newest on the channel that stands
	Channel string // default "stable"
	Percent *int   // of installs; nil: as it was
	Halted  *bool  // nil: as it was
}

// Rollout signs how far a release goes out, on all its platforms, and returns
// the version and what holds for it now. The error is [fs.ErrNotExist] if there
// is no such release on the channel.
func (p *Publisher) Rollout(ctx context.Context, r Rollout) (version string, now manifest.Rollout, err error) {
	r.Channel = cmp.Or(r.Channel, defaultChannel)
	s, err := p.begin(ctx)
	if err != nil {
		return "", now, err
	}
	defer s.end(&err)
	if r.Version == "" {
		if r.Version, err = s.newest(r.Product, r.Channel); err != nil {
			return "", now, err
		}
	}
	found := false
	err = s.relist(r.Product, func(l *manifest.Listing) bool {
		if l.Version != r.Version || !slices.Contains(l.Channels, r.Channel) {
			return false
		}
		var limited bool
		if now, limited = l.Rollout[r.Channel]; !limited {
			now.Percent = 100
		}
		if r.Percent != nil {
			now.Percent = *r.Percent
		}
		if r.Halted != nil {
			now.Halted = *r.Halted
		}
		setRollout(l, r.Channel, now)
		found = true
		return true
	})
	switch {
	case err != nil:
		return "", now, fmt.Errorf("roll out %s %s: %w", r.Product, r.Version, err)
	case !found:
		return "", now, fmt.Errorf("roll out %s %s: not on channel %s: %w", r.Product, r.Version, r.Channel, fs.ErrNotExist)
	}
	return r.Version, now, s.live(ctx, nil)
}

// newest returns the version that is the newest to stand on a channel, on
// whatever platform.
func (s *session) newest(product, channel string) (string, error) {
	all, err := releases(product, s.editor.Targets(product))
	if err != nil {
		return "", err
	}
	var head *published
	for i := range all {
		if r := &all[i]; r.Withdrawn == "" && slices.Contains(r.Channels, channel) && (head == nil || r.Sequence > head.Sequence) {
			head = r
		}
	}
	if head == nil {
		return "", fmt.Errorf("%s has no release on channel %s: %w", product, channel, fs.ErrNotExist)
	}
	return head.Version, nil
}

// setRollout says how far a release goes out. That it is for all goes without
// saying.
func setRollout(l *manifest.Listing, channel string, r manifest.Rollout) {
	if r == (manifest.Rollout{Percent: 100}) {
		delete(l.Rollout, channel)
		return
	}
	if l.Rollout == nil {
		l.Rollout = map[string]manifest.Rollout{}
	}
	l.Rollout[channel] = r
}

func checkRollout(r *manifest.Rollout) error {
	if r != nil && (r.Percent < 0 || r.Percent > 100) {
		return fmt.Errorf("rollout to %d %%: want 0 to 100", r.Percent)
	}
	return nil
}

// A Mark is what else is said of a release after it was published.
type Mark struct {
	Product, Version string
	Unstable         *bool  // on all channels: nobody takes it who does not ask for it; nil: as it was
	Recommended      *bool  // it is the one to have on Channel, and no other; nil: as it was
	Channel          string // default "stable"
}

// Mark signs marks, on all platforms of the release. One that is unstable is
// recommended no more. The error is [fs.ErrNotExist] if there is no such release.
func (p *Publisher) Mark(ctx context.Context, m Mark) (err error) {
	m.Channel = cmp.Or(m.Channel, defaultChannel)
	s, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer s.end(&err)
	all, err := releases(m.Product, s.editor.Targets(m.Product))
	if err != nil {
		return err
	}
	platforms := map[string]bool{}
	for _, r := range all {
		if r.Version == m.Version {
			platforms[r.Platform] = true
		}
	}
	if len(platforms) == 0 {
		return fmt.Errorf("mark %s %s: no such release: %w", m.Product, m.Version, fs.ErrNotExist)
	}
	var faults []error
	err = s.relist(m.Product, func(l *manifest.Listing) bool {
		if l.Version != m.Version {
			return m.Recommended != nil && *m.Recommended && platforms[l.Platform] && unrecommend(l, m.Channel)
		}
		faults = append(faults, m.apply(l))
		return true
	})
	if err = errors.Join(append(faults, err)...); err != nil {
		return fmt.Errorf("mark %s %s: %w", m.Product, m.Version, err)
	}
	return s.live(ctx, nil)
}

func (m *Mark) apply(l *manifest.Listing) error {
	if m.Unstable != nil {
		if l.Unstable = *m.Unstable; l.Unstable {
			l.Recommended = nil
		}
	}
	switch {
	case m.Recommended == nil:
	case !*m.Recommended:
		unrecommend(l, m.Channel)
	case l.Withdrawn != "" || l.Unstable || !slices.Contains(l.Channels, m.Channel):
		return fmt.Errorf("recommend it on channel %s: want a release that is there, stable and not withdrawn", m.Channel)
	case !slices.Contains(l.Recommended, m.Channel):
		l.Recommended = append(l.Recommended, m.Channel)
		slices.Sort(l.Recommended)
	}
	return nil
}

// unrecommend reports whether it changed anything.
func unrecommend(l *manifest.Listing, channel string) bool {
	i := slices.Index(l.Recommended, channel)
	if i >= 0 {
		l.Recommended = slices.Delete(l.Recommended, i, i+1)
	}
	return i >= 0
}
