package client

import (
	"context"
	"errors"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Availability is the answer of [Client.Check].
type Availability struct {
	Installed *manifest.Release
	Latest    *manifest.Listing // where an update would go; nil when there is nothing newer
	Severity  manifest.Severity // the most urgent one among the newer releases
	Fetched   bool              // Latest has been fetched completely
	Withdrawn string            // why the installed release was withdrawn; "" if it was not
}

// Check refreshes the signed metadata and reports what the channel holds.
func (c *Client) Check(ctx context.Context) (*Availability, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.need(); err != nil {
		return nil, err
	}
	r, err := c.connect(false)
	if err != nil {
		return nil, err
	}
	c.emit(Event{Phase: Checking})
	all, err := r.releases(ctx, c.settings.Product)
	if err != nil {
		return nil, err
	}
	w, err := s.wish(UpdateOptions{})
	if err != nil {
		return nil, err
	}
	a := &Availability{Installed: s.facts()}
	if r := listingOf(all, s.facts()); r != nil {
		a.Withdrawn = r.Withdrawn
	}
	head, err := choose(all, w)
	if errors.Is(err, ErrNoRelease) && a.Withdrawn != "" {
		return a, nil // there is none left
	}
	if err != nil {
		return nil, err
	}
	if head == nil || head.Digest == s.digest {
		return a, nil
	}
	a.Latest, a.Severity = &head.Listing, urgency(all, w, head)
	fetched, err := c.fetched()
	a.Fetched = fetched == head.Version
	return a, err
}

// urgency returns the most urgent severity among the releases after the
// installed one, up to head.
func urgency(all []release, w wish, head *release) manifest.Severity {
	rank := map[manifest.Severity]int{manifest.Recommended: 1, manifest.Security: 2, manifest.Critical: 3}
	worst := head.Severity
	for i := range all {
		r := &all[i]
		newer := r.Sequence > w.installed.Sequence && r.Sequence <= head.Sequence
		if newer && r.Platform == head.Platform && onChannel(r, w.channel) && rank[r.Severity] > rank[worst] {
			worst = r.Severity
		}
	}
	return worst
}
