package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Drift is one managed path that is not what the installed manifest says, or
// something unmanaged where a managed path must go. Want and Got are for
// people.
type Drift struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (d Drift) String() string { return fmt.Sprintf("%s: want %s, got %s", d.Path, d.Want, d.Got) }

func drifts(found []atomicfs.Drift) []Drift {
	var all []Drift
	for _, d := range found {
		all = append(all, Drift{d.Path, d.Want.String(), d.Got.String()})
	}
	return all
}

// readers is how many files are read at once: enough to keep a cold disk busy.
const readers = 8

// Verify compares the whole tree with the installed manifest, without network.
func (c *Client) Verify(ctx context.Context) ([]Drift, error) {
	s, err := c.beginToRead()
	if err != nil {
		return nil, err
	}
	defer s.end()
	found, err := s.inspect(ctx)
	if err == nil && s.readOnly {
		err = s.unchanged()
	}
	if err != nil {
		return nil, err
	}
	var all []Drift
	for _, ch := range found {
		all = append(all, difference(ch))
	}
	return all, nil
}

// inspect returns what a repair would change: for each managed path that is not
// as it should be, what is there and what should be.
func (s *session) inspect(ctx context.Context) ([]atomicfs.Change, error) {
	all := make([]*atomicfs.Node, len(s.installed.Entries))
	total := s.installed.Content()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	var done counter
	for i := range s.installed.Entries {
		e := &s.installed.Entries[i]
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			all[i], err = s.found(e.Path)
			s.c.emit(Event{Phase: Verifying, Done: done.bytes.Add(e.Size), Total: total})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var changes []atomicfs.Change
	for i := range s.installed.Entries {
		want := node(&s.installed.Entries[i])
		if got := all[i]; got != nil && got.Kind == atomicfs.File && s.installed.Entries[i].Config != manifest.NoConfig {
			continue // the user may edit it
		}
		if got := all[i]; got == nil || *got != *want {
			changes = append(changes, atomicfs.Change{Path: s.installed.Entries[i].Path, Old: got, New: want})
		}
	}
	return changes, nil
}

// found describes what is at a path of the tree; nil for nothing.
func (s *session) found(name string) (*atomicfs.Node, error) {
	path := filepath.FromSlash(name)
	info, err := s.root.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || notFolder(err) {
			return nil, nil
		}
		return nil, err
	}
	n := &atomicfs.Node{Mode: info.Mode().Perm()}
	switch info.Mode().Type() {
	case 0:
		n.Kind = atomicfs.File
		f, err := s.root.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if n.Digest, n.Size, err = manifest.SumReader(f); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	case fs.ModeDir:
		n.Kind = atomicfs.Dir
	case fs.ModeSymlink:
		n.Kind, n.Mode = atomicfs.Symlink, 0
		if n.Link, err = s.root.Readlink(path); err != nil {
			return nil, err
		}
		n.Link = filepath.ToSlash(n.Link)
	default:
		n.Kind = atomicfs.Other
	}
	return n, nil
}

// difference describes a change for people.
func difference(ch atomicfs.Change) Drift {
	d := Drift{ch.Path, ch.New.String(), ch.Old.String()}
	if d.Want == d.Got {
		d.Want, d.Got = fmt.Sprintf("mode %04o", ch.New.Mode), fmt.Sprintf("mode %04o", ch.Old.Mode)
	}
	return d
}

// Repair makes the tree what the installed manifest says, with content from
// other local files where it is there, and else from the repository. Files
// that no manifest lists stay. The way back to the release before stays too,
// but there is none from the repair itself: it keeps no copy of what it
// replaces, local changes included. An installed manifest that has rotten is
// fetched again first.
func (c *Client) Repair(ctx context.Context) (*Result, error) {
	s, damaged, err := c.beginRepair()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := c.connect(false)
	if damaged != nil {
		if err == nil {
			err = s.mend(ctx, r, damaged)
		}
		if err != nil {
			err = fmt.Errorf("%v; it cannot be fetched again: %w", damaged, err)
		}
	}
	if err == nil {
		err = s.need()
	}
	if err != nil {
		return nil, err
	}
	res, err := s.repair(ctx, r)
	if err == nil && damaged != nil {
		res.UpToDate, res.Changed = false, res.Changed+1
		res.Downloaded, res.Requests = r.fetch.bytes.Load(), int(r.fetch.requests.Load())
	}
	return res, err
}

// repair makes the tree what the installed manifest says.
func (s *session) repair(ctx context.Context, r *remote) (*Result, error) {
	changes, err := s.inspect(ctx)
	if err != nil {
		return nil, err
	}
	if len(changes) == 0 {
		return s.nothingDone(), nil
	}
	p, err := s.repairPlan(ctx, r, changes)
	if err != nil {
		return nil, err
	}
	return s.apply(ctx, r, p, UpdateOptions{}, verbRepair)
}

// repairPlan plans changes to what the installed manifest says. The repository
// is asked only for what is not here.
func (s *session) repairPlan(ctx context.Context, r *remote, changes []atomicfs.Change) (*Plan, error) {
	l := &local{content: map[manifest.Digest]string{}}
	bad := map[string]bool{}
	for _, ch := range changes {
		bad[ch.Path] = true
	}
	need := wanted(changes, nil)
	for _, e := range s.installed.Entries {
		if e.Kind == manifest.File && need[e.Digest] && !bad[e.Path] {
			l.content[e.Digest] = e.Path
		}
	}
	p := &Plan{From: s.facts(), To: s.facts(), job: job{from: s.digest, to: s.installed, changes: changes, local: l}}
	p.Steps = decide(changes, l, nil, s.digest)
	if len(p.contents(Get)) > 0 {
		if err := s.installedObjects(ctx, r, p); err != nil {
			return nil, err
		}
	}
	p.price(0, func(manifest.Object) bool { return false })
	return p, nil
}

// installedObjects finds how the contents of the installed release are stored.
func (s *session) installedObjects(ctx context.Context, r *remote, p *Plan) error {
	all, err := r.releases(ctx, s.c.settings.Product)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Digest != s.digest {
			continue
		}
		index, err := r.index(ctx, &all[i])
		if err != nil {
			return err
		}
		p.listing = index.Objects
		return r.needObjects(ctx, p)
	}
	return fmt.Errorf("repair: the repository lists %s %s no more: %w", p.To.Product, p.To.Version, ErrNoRelease)
}
