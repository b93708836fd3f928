package client

import (
	"context"
	"errors"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Availability is the answer of [Client.Check].
type Availability struct {
	Installed *manifest.Release
	Latest    *manifest.Listing // where an update would go; nil when there is nothing newer
	Severity  manifest.Severity // the most urgent one among the newer releases
	Route     []string          // versions of all releases on the way to Latest, which is the last
	Fetched   bool              // the first of them has been fetched completely
	Withdrawn string            // why the installed release was withdrawn; "" if it was not

	Passed     []lifecycle.Passed // newer releases that the install does not take by itself, and why
	RolledBack string             // newer version that somebody went back from by hand

	Recommended string // version that the channel recommends; "" for none
	TooNew      bool   // Installed is newer than that: see [Options.TooNew]
}

// Check refreshes the signed metadata and reports what the channel holds.
func (c *Client) Check(ctx context.Context) (*Availability, error) {
	s, err := c.beginToRead()
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := c.notHeld(); err != nil {
		return nil, err
	}
	r, err := c.connectTo(false, !s.readOnly)
	if err != nil {
		return nil, err
	}
	chosen, err := s.choose(ctx, r, UpdateOptions{})
	a := &Availability{Installed: s.facts()}
	if chosen != nil {
		a.Passed, a.Recommended, a.TooNew = chosen.Passed, chosen.Recommended, chosen.TooNew
		if l := lifecycle.ListingOf(chosen.all, s.facts()); l != nil {
			a.Withdrawn = l.Withdrawn
		}
	}
	rejected, err2 := c.rejections()
	if err2 != nil {
		return nil, err2
	}
	a.RolledBack = c.rolledBackFrom(a.Installed, rejected)
	seen := Sighting{Installed: s.digest.String(), Withdrawn: a.Withdrawn, TooNew: a.TooNew}
	if errors.Is(err, ErrNoRelease) && a.Withdrawn != "" {
		return a, s.sight(seen) // there is none left
	}
	if err != nil {
		return nil, err
	}
	if chosen.Head == nil {
		return a, s.sight(seen)
	}
	a.Latest, a.Severity, a.Route = chosen.Head, chosen.Severity, versions(chosen.Route)
	seen.Version, seen.Severity, seen.Digest = a.Route[0], a.Severity, chosen.hops[0].Digest.String()
	fetched, err := c.fetched()
	a.Fetched = fetched == a.Route[0]
	return a, errors.Join(err, s.sight(seen))
}
