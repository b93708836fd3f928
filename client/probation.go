package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/manifest"
)

// A Probation says how a new release has to prove itself: [Client.Confirm] must
// be called in time. Otherwise [Client.Pending] goes back to the release before
// and does not take the new one again. The zero value asks for nothing.
type Probation struct {
	Within time.Duration // after the update; 0 is no bound
	Starts int           // of the program before that; 0 is no bound
}

// A Trial is a release on probation.
type Trial struct {
	Version string    `json:"version"`
	Until   time.Time `json:"until,omitzero"`    // zero for no bound
	Starts  int       `json:"starts,omitempty"`  // the program may still have
	Bounded bool      `json:"bounded,omitempty"` // whether starts are counted
}

// over says why the trial has failed, or "".
func (t *Trial) over(now time.Time) string {
	switch {
	case !t.Until.IsZero() && now.After(t.Until):
		return "not confirmed until " + t.Until.UTC().Format(time.RFC3339)
	case t.Bounded && t.Starts < 0:
		return "started too often without being confirmed"
	}
	return ""
}

// A Rejection is a release that has failed here. It is not chosen again unless
// it is asked for by its version.
type Rejection struct {
	Digest  string    `json:"manifest"` // of the canonical manifest
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	Time    time.Time `json:"time"`
}

// maxRejections bounds how many of them are kept.
const maxRejections = 100

// Confirm ends the probation of the installed release: it is well. Without a
// probation it does nothing.
func (c *Client) Confirm(ctx context.Context) error {
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.forgive(s.digest.String()); err != nil {
		return err
	}
	return s.endTrial()
}

// forgive forgets that a release has failed here.
func (s *session) forgive(digest string) error {
	list, err := s.c.rejections()
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(r Rejection) bool { return r.Digest == digest })
	if len(kept) == len(list) {
		return nil
	}
	return writeJSON(s.c.state(rejectedName), kept)
}

// Pending looks at the probation of the installed release, and counts a start of
// the program if it is starting. If the probation has failed, Pending goes back
// to the release before, as [Client.Reject] does, and returns what it did.
//
// A program calls it before all else when it starts; who supervises programs
// may call it now and then.
func (c *Client) Pending(ctx context.Context, starting bool) (*Trial, *Result, error) {
	s, err := c.begin()
	if err != nil {
		return nil, nil, err
	}
	defer s.end()
	all, err := c.trials()
	if err != nil {
		return nil, nil, err
	}
	t, ok := all[s.digest.String()]
	if !ok || s.installed == nil {
		return nil, nil, nil
	}
	if starting && t.Bounded {
		t.Starts--
		all[s.digest.String()] = t
		if err := writeJSON(c.state(probationName), all); err != nil {
			return nil, nil, err
		}
	}
	if why := t.over(c.now()); why != "" {
		r, err := s.reject(ctx, why)
		return nil, r, err
	}
	return &t, nil, nil
}

// Reject goes back to the release before, whose files it needs no network for,
// and remembers that the installed one is not to be taken again. Local changes
// are kept beside. It is for those whose health check has failed.
func (c *Client) Reject(ctx context.Context, reason string) (*Result, error) {
	s, err := c.beginInstalled()
	if err != nil {
		return nil, err
	}
	defer s.end()
	return s.reject(ctx, reason)
}

// reject remembers first: a crash in between leaves a release on probation that
// has failed already.
func (s *session) reject(ctx context.Context, reason string) (*Result, error) {
	failed := s.installed.Release.Version
	if err := s.condemn(s.digest.String(), failed, reason); err != nil {
		return nil, err
	}
	r, err := s.rollback(ctx, true, false)
	if err != nil {
		return r, fmt.Errorf("go back from %s, which has failed (%s): %w", failed, reason, err)
	}
	r.Rejected = reason
	return r, nil
}

// condemn remembers that a release has failed here.
func (s *session) condemn(digest, version, reason string) error {
	list, err := s.c.rejections()
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(r Rejection) bool { return r.Digest == digest })
	list = append(list, Rejection{digest, version, reason, s.c.stamp()})
	return writeJSON(s.c.state(rejectedName), list[max(0, len(list)-maxRejections):])
}

// beginTrial puts the release that is about to be committed on probation, or on
// none. What is installed keeps its own, in case that the commit fails.
func (s *session) beginTrial(p *Plan, o Probation) error {
	all, err := s.c.trials()
	if err != nil {
		return err
	}
	installed, next := s.digest.String(), manifest.Sum(p.encoded).String()
	_, before := all[next]
	maps.DeleteFunc(all, func(digest string, _ Trial) bool { return digest != installed })
	switch {
	case o != (Probation{}):
		t := Trial{Version: p.To.Version, Starts: o.Starts, Bounded: o.Starts > 0}
		if o.Within > 0 {
			t.Until = s.c.now().Add(o.Within).UTC()
		}
		all[next] = t
	case !before:
		return nil
	}
	return writeJSON(s.c.state(probationName), all)
}

// endTrial forgets the probation of the installed release.
func (s *session) endTrial() error {
	all, err := s.c.trials()
	if _, ok := all[s.digest.String()]; !ok || err != nil {
		return err
	}
	delete(all, s.digest.String())
	return writeJSON(s.c.state(probationName), all)
}

// trials returns the probations under way, by the digest of the release's manifest.
func (c *Client) trials() (map[string]Trial, error) {
	return readMap[Trial](c.state(probationName))
}

func (c *Client) rejections() ([]Rejection, error) {
	return readList[Rejection](c.state(rejectedName))
}
