package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// A Hold says that there shall be no updates, nor checks for them.
type Hold struct {
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is lifted
}

func (h Hold) String() string {
	text := h.Reason
	if text == "" {
		text = "no reason was given"
	}
	if h.By != "" {
		text += " (by " + h.By + ")"
	}
	if !h.Until.IsZero() {
		text += ", until " + h.Until.Local().Format(time.DateTime)
	}
	return text
}

// Hold puts updates of the product on hold.
func (c *Client) Hold(ctx context.Context, h Hold) error {
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	if h.Since.IsZero() {
		h.Since = c.stamp()
	}
	return writeJSON(c.state(holdName), h)
}

// Unhold lifts the hold of [Client.Hold], and the pin of an update. It cannot
// lift that of an administrator.
func (c *Client) Unhold(ctx context.Context) error {
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	if err := os.Remove(c.state(holdName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c.settings.Pin == "" {
		return nil
	}
	return c.changeSettings(func(s *settings) { s.Pin = "" })
}

// Held returns why updates are on hold, or nil. The administrator's policy goes
// before [Options.Hold], and that before the user's own.
func (c *Client) Held() (*Hold, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	switch {
	case p.Hold != "":
		return &Hold{Reason: p.Hold, By: "the administrator's policy"}, nil
	case !p.Allows(c.settings.Channel):
		return &Hold{Reason: "channel " + c.settings.Channel + " is not allowed", By: "the administrator's policy"}, nil
	case c.o.Hold != "":
		return &Hold{Reason: c.o.Hold}, nil
	}
	h := Hold{}
	if _, err := readJSON(c.state(holdName), &h); err != nil {
		return nil, err
	}
	if h.Since.IsZero() || !h.Until.IsZero() && c.now().After(h.Until) {
		return nil, nil
	}
	return &h, nil
}

// notHeld returns a *[HeldError] if updates are on hold.
func (c *Client) notHeld() error {
	h, err := c.Held()
	if err == nil && h != nil {
		err = &HeldError{*h}
	}
	return err
}

// policyPath returns where the administrator's policy of this machine is.
func policyPath() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "treegraft", "policy.json")
	}
	return "/etc/treegraft/policy.json"
}

// maxPolicy bounds what is read of a policy.
const maxPolicy = 64 << 10

// policy reads what the administrator demands. A policy that cannot be read is an
// error, for else it could be got rid of by breaking it.
func (c *Client) policy() (*lifecycle.Policy, error) {
	name := c.o.Policy
	if name == "" {
		name = policyPath()
	}
	b, err := smallfile.Read(name, maxPolicy)
	if errors.Is(err, fs.ErrNotExist) {
		return &lifecycle.Policy{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p, err := lifecycle.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", name, err)
	}
	return p, nil
}

// An Approval is somebody's word that a release may be applied. It is for the
// very manifest, whatever is published under that version later.
type Approval struct {
	Digest  string    `json:"manifest"` // of the canonical manifest
	Version string    `json:"version"`
	By      string    `json:"by"`
	Time    time.Time `json:"time"`
}

// Approve approves a release: that of a version, or else the fetched one, or else
// the newest.
func (c *Client) Approve(ctx context.Context, version, by string) (*Approval, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	fetched, err := c.fetched()
	if err != nil {
		return nil, err
	}
	if version == "" {
		version = fetched
	}
	r, err := c.connect(version != "" && version == fetched)
	if err != nil {
		return nil, err
	}
	x, err := s.choose(ctx, r, UpdateOptions{Version: version, Downgrade: true})
	if err != nil {
		return nil, err
	}
	if len(x.hops) == 0 {
		return nil, fmt.Errorf("approve: there is nothing newer: %w", ErrNoRelease)
	}
	next := x.hops[0]
	a := Approval{next.Digest.String(), next.Version, by, c.stamp()}
	list, err := c.approvals()
	if err != nil {
		return nil, err
	}
	list = append(slices.DeleteFunc(list, func(o Approval) bool { return o.Digest == a.Digest }), a)
	return &a, writeJSON(c.state(approvedName), list[max(0, len(list)-maxApprovals):])
}

// maxApprovals bounds how many of them are kept.
const maxApprovals = 100

func (c *Client) approvals() ([]Approval, error) {
	return readList[Approval](c.state(approvedName))
}

// SetChannel has the product follow another channel from now on.
func (c *Client) SetChannel(ctx context.Context, channel string) error {
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	if err := manifest.CheckName(channel); err != nil {
		return err
	}
	p, err := c.policy()
	if err != nil {
		return err
	}
	if !p.Allows(channel) {
		return &HeldError{Hold{Reason: "channel " + channel + " is not allowed", By: "the administrator's policy"}}
	}
	return c.changeSettings(func(s *settings) { s.Channel = channel })
}

// may says whether an update may be applied now: the policy, the people and the
// host have a say.
func (s *session) may(p *Plan, o UpdateOptions, verb string) error {
	policy, err := s.c.policy()
	if err != nil {
		return err
	}
	if verb == verbUpdate {
		if err := s.c.notHeld(); err != nil {
			return err
		}
		if open, next := policy.Open(s.c.now().Local()); !open && !(o.Now && policy.AllowNow) {
			return &HeldError{Hold{Reason: "it is outside of the hours for updates", By: "the administrator's policy", Until: next}}
		}
	}
	if len(p.Unmet) > 0 {
		err := s.sight(Sighting{Version: p.To.Version, Severity: p.To.Severity, Digest: manifest.Sum(p.encoded).String(),
			Installed: s.digest.String(), Unmet: p.Unmet})
		return errors.Join(&BlockedError{p.To.Version, p.Unmet}, err)
	}
	if p.Unfit != nil && !asksData(p.To, verb) {
		return &IncompatibleError{p.To.Version, p.Unfit}
	}
	if policy.RequireApproval && verb != verbInstall {
		return s.approved(p)
	}
	return nil
}

// foresee works out what a plan meets besides files.
func (s *session) foresee(p *Plan) error {
	data, err := s.c.Data()
	if err != nil {
		return err
	}
	p.Unmet = lifecycle.Check(p.To.Requires, s.c.host(p.To.Requires, s.facts()))
	p.Migrations, p.Unfit = lifecycle.Chain(data, p.To)
	return nil
}

// approved looks for an approval of the very manifest.
func (s *session) approved(p *Plan) error {
	list, err := s.c.approvals()
	if err != nil {
		return err
	}
	digest := manifest.Sum(p.encoded).String()
	if !slices.ContainsFunc(list, func(a Approval) bool { return a.Digest == digest }) {
		return &ApprovalError{p.To.Version}
	}
	return nil
}
