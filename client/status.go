package client

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Status is what can be said of a tree without network.
type Status struct {
	Dir        string
	Repository string
	Product    string
	Channel    string
	Platform   string // "" means that of the host

	Installed  *manifest.Release
	Fetched    string // version of a release whose download is complete
	Rollback   string // version that Rollback would bring back, "nothing" for an empty tree; "" when it would do nothing
	RolledBack string // newer version that somebody went back from by hand; an update may take it again
	Busy       string // who is at work on the tree; "" for nobody
	Trial      *Trial // the probation of what is installed, if it is on one
	Rejected   []Rejection

	State    lifecycle.State
	Run      *Run             // the run under way; nil for none
	CutShort bool             // whoever carried the run out has ended: it waits for resume or abort
	Hold     *Hold            // nil for none
	Pin      string           // version that updates go to
	Approval bool             // policy wants an update to be approved
	Data     lifecycle.Data   // version of the data
	Needs    []lifecycle.Data // versions that it must be migrated to
	Unfit    string           // why the release cannot work with the data
	Seen     *Sighting        // what was found when the repository was asked last
}

// A Sighting is what an earlier check has found. It goes stale.
type Sighting struct {
	Time      time.Time         `json:"time"`
	Version   string            `json:"version,omitempty"` // newer than the installed one; "" for none
	Severity  manifest.Severity `json:"severity,omitempty"`
	Digest    string            `json:"manifest,omitempty"`
	Installed string            `json:"installed"`           // manifest that was installed then
	Withdrawn string            `json:"withdrawn,omitempty"` // why the installed release was
	TooNew    bool              `json:"too_new,omitempty"`   // it is newer than the channel recommends
	Unmet     []lifecycle.Unmet `json:"unmet,omitempty"`     // what the newer one lacks here
}

// Status reports the state of the tree. While another process works on it, the
// answer may be of before or after that work.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	if err := c.known(); err != nil {
		return nil, err
	}
	st := &Status{Dir: c.o.Dir, Repository: c.settings.Repository, Product: c.settings.Product,
		Channel: c.settings.Channel, Platform: c.settings.Platform}
	s, err := c.enter(true)
	var locked *atomicfs.LockedError
	switch {
	case errors.As(err, &locked):
		st.Busy = err.Error()
	case err != nil:
		return nil, err
	default:
		defer s.end()
	}
	m, b, err := c.installed()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, c.notInstalled()
	}
	if err != nil {
		return nil, err
	}
	st.Installed = &m.Release
	if s != nil {
		if st.Rollback, err = c.rollsBackTo(s.tree, st.Installed); err != nil {
			return nil, err
		}
	}
	return st, c.fillStatus(st, manifest.Sum(b).String())
}

// fillStatus reads what is recorded of the product.
func (c *Client) fillStatus(st *Status, digest string) (err error) {
	if st.Fetched, err = c.fetched(); err != nil {
		return err
	}
	all, err := c.trials()
	if err != nil {
		return err
	}
	if t, ok := all[digest]; ok {
		st.Trial = &t
	}
	if st.Rejected, err = c.rejections(); err != nil {
		return err
	}
	st.RolledBack = c.rolledBackFrom(st.Installed, st.Rejected)
	return c.fillState(st, digest)
}

// fillState works out in which state the tree is.
func (c *Client) fillState(st *Status, digest string) (err error) {
	if st.Run, err = c.currentRun(); err != nil {
		return err
	}
	if st.Hold, err = c.Held(); err != nil {
		return err
	}
	if st.Data, err = c.Data(); err != nil {
		return err
	}
	policy, err := c.policy()
	if err != nil {
		return err
	}
	approved, err := c.approvals()
	if err != nil {
		return err
	}
	st.Pin, st.Approval = c.settings.Pin, policy.RequireApproval
	chain, err := lifecycle.Chain(st.Data, st.Installed)
	if err != nil {
		st.Unfit = err.Error()
	}
	for _, step := range chain {
		st.Needs = append(st.Needs, step.To)
	}
	var seen Sighting
	if _, err := readJSON(c.state(seenName), &seen); err == nil && seen.Installed == digest { // a crash may have cut it short
		st.Seen = &seen
	}
	if st.Run != nil && st.Run.Product == st.Product {
		st.State, st.CutShort = st.Run.State, st.Run.CutShort()
	} else {
		st.State = lifecycle.Rest(st.facts(approved))
	}
	return nil
}

func (st *Status) facts(approved []Approval) lifecycle.Facts {
	f := lifecycle.Facts{NeedsMigration: len(st.Needs) > 0 || st.Unfit != "", Held: st.Hold != nil, OnProbation: st.Trial != nil}
	for _, r := range st.Rejected { // older ones are history
		f.Left = f.Left || manifest.CompareVersions(r.Version, st.Installed.Version) > 0
	}
	if s := st.Seen; s != nil {
		f.Withdrawn, f.TooNew = s.Withdrawn != "", s.TooNew
		f.Newer, f.Unmet, f.Fetched = s.Version != "", len(s.Unmet) > 0, st.Fetched == s.Version
		f.Unapproved = st.Approval && !slices.ContainsFunc(approved, func(a Approval) bool { return a.Digest == s.Digest })
	}
	if st.Seen == nil && st.RolledBack != "" && (st.Pin == "" || st.Pin == st.RolledBack) {
		f.Newer = true // until a check says otherwise
	}
	if st.Fetched != "" && (st.Seen == nil || !f.Newer) {
		f.Newer, f.Fetched = true, true
	}
	return f
}

// sight remembers what a check has found. It is a convenience, so it need not be
// durable.
func (s *session) sight(x Sighting) error {
	if s.readOnly {
		return nil
	}
	x.Time = s.c.stamp()
	b, err := json.Marshal(&x)
	if err != nil {
		return err
	}
	return os.WriteFile(s.c.state(seenName), append(b, '\n'), 0o600)
}

// fetched returns the version whose download is complete.
func (c *Client) fetched() (string, error) {
	b, err := smallfile.Read(c.state(fetchedName), maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}
