package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// A Finding is one thing that a doctor has looked at.
type Finding struct {
	// What it is about: "installed", "run", "data", "gate", "hold", "probation",
	// "lock", "files", "permissions", "way back", "repository" or "clock".
	What   string `json:"what"`
	Well   bool   `json:"well"`
	Detail string `json:"detail"`
}

// Doctor looks at everything that could keep the tree from being updated, or its
// programs from running. It changes nothing but what every operation does first:
// to finish what a crash has left.
func (c *Client) Doctor(ctx context.Context) []Finding {
	d := &doctor{c: c}
	st, err := c.Status(ctx)
	d.say("installed", err, fmt.Sprintf("%s %s", c.settings.Product, versionOf(installedOf(st))))
	if err != nil {
		return d.found
	}
	d.state(st)
	s, err := c.beginInstalled()
	d.say("lock", err, "nobody is at work")
	if err != nil {
		return d.found
	}
	defer s.end()
	d.files(ctx, s)
	d.repository(ctx, s)
	return d.found
}

func installedOf(st *Status) *manifest.Release {
	if st == nil {
		return nil
	}
	return st.Installed
}

type doctor struct {
	c     *Client
	found []Finding
}

// say adds a finding: well, or else with the error.
func (d *doctor) say(what string, err error, well string) {
	f := Finding{What: what, Well: err == nil, Detail: well}
	if err != nil {
		f.Detail = err.Error()
	}
	d.found = append(d.found, f)
}

func (d *doctor) state(st *Status) {
	var err error
	if st.Run != nil && (st.CutShort || st.State == lifecycle.Failed) {
		err = fmt.Errorf("%s of %s to %s, phase %s: %s", st.Run.Verb, st.Run.Product, st.Run.To, st.Run.Phase, st.Run.Reason)
	}
	d.say("run", err, "none is left behind")
	err = nil
	switch {
	case st.Unfit != "":
		err = errors.New(st.Unfit)
	case len(st.Needs) > 0:
		err = fmt.Errorf("data of version %v must be migrated to %v first", st.Data, st.Needs[len(st.Needs)-1])
	}
	d.say("data", err, "version "+st.Data.String())
	err = nil
	if closed := gate.Look(d.c.o.Dir); closed != nil && st.Run == nil && len(st.Needs) == 0 {
		err = closed
	}
	d.say("gate", err, "open, or closed for what is told above")
	err = nil
	if st.Hold != nil {
		err = &HeldError{*st.Hold}
	}
	d.say("hold", err, "none")
	err = nil
	if t := st.Trial; t != nil && t.over(d.c.now()) != "" {
		err = errors.New(t.Version + ": " + t.over(d.c.now()))
	}
	d.say("probation", err, "none has failed")
}

func (d *doctor) files(ctx context.Context, s *session) {
	drift, err := s.inspect(ctx)
	if err == nil && len(drift) > 0 {
		err = fmt.Errorf("%d differ, the first one is %s", len(drift), drift[0].Path)
	}
	d.say("files", err, "all as they were signed")
	d.say("permissions", unwritable(ctx, s), "every file can be replaced")
	back, err := s.c.rollsBackTo(s.tree, s.facts())
	text := "there is none"
	if back != "" {
		text = "to " + back
	}
	d.say("way back", err, text)
}

// unwritable looks for what would keep every file of the tree from being replaced,
// but for space, which no update needs for all of them at once.
func unwritable(ctx context.Context, s *session) error {
	var all []atomicfs.Change
	for i := range s.installed.Entries {
		n := node(&s.installed.Entries[i])
		other := *n
		if n.Kind == atomicfs.File {
			other.Digest[0] ^= 1
		}
		all = append(all, atomicfs.Change{Path: s.installed.Entries[i].Path, Old: n, New: &other})
	}
	err := s.tree.Preflight(ctx, all, 0)
	var found *atomicfs.PreflightError
	if !errors.As(err, &found) {
		return err
	}
	left := slices.DeleteFunc(found.Obstacles, func(o atomicfs.Obstacle) bool { return o.Kind == "space" || o.Kind == "inodes" })
	if len(left) == 0 {
		return nil
	}
	return &atomicfs.PreflightError{Obstacles: left}
}

func (d *doctor) repository(ctx context.Context, s *session) {
	r, err := d.c.connect(false)
	if err == nil {
		_, err = r.releases(ctx, d.c.settings.Product)
	}
	d.say("repository", err, d.c.settings.Repository)
	now := d.c.now()
	err = nil
	if info, statErr := os.Stat(d.c.state(settingsName)); statErr == nil && info.ModTime().After(now.Add(24*time.Hour)) {
		err = fmt.Errorf("it is %s, before this tree was installed (%s)", now.Format(time.DateTime), info.ModTime().Format(time.DateTime))
	} else if statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
		err = statErr
	}
	d.say("clock", err, now.Local().Format(time.DateTime))
}
