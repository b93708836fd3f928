package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client/gate"
)

// Uninstall removes the product's files from the tree, and leaves those of
// others and of nobody. Files that were changed locally are refused, or with
// force kept beside; edited settings files are kept beside in any case.
// [Client.Rollback] brings the product back, and so does another install. The
// product's data and what the client remembers of it stay.
//
// It fails with a *[DependencyError] if another product of the tree needs this
// one, and with a *[BusyError] while programs of the tree run. No hooks run:
// they belong to a change from one release to another.
func (c *Client) Uninstall(ctx context.Context, force bool) (*Result, error) {
	s, err := c.beginInstalled()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := s.uninstall(ctx, force)
	if err != nil {
		return nil, fmt.Errorf("uninstall %s: %w", c.settings.Product, err)
	}
	return r, nil
}

func (s *session) uninstall(ctx context.Context, force bool) (*Result, error) {
	r, err := s.c.currentRun()
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, &StoppedError{Run: *r, Err: errUnderWay}
	}
	inside, err := gate.Participants(s.c.o.Dir)
	if err != nil {
		return nil, err
	}
	if len(inside) > 0 {
		return nil, &BusyError{inside}
	}
	others, err := s.others()
	if err != nil {
		return nil, err
	}
	product := s.c.settings.Product
	if err := together(product, nil, others); err != nil {
		return nil, err
	}
	changes := keepFolders(treeChanges(s.installed, nil), others)
	if err := s.tree.Preflight(ctx, changes, 0); err != nil {
		return nil, err
	}
	done, err := s.removeAll(ctx, changes, force)
	var drift *atomicfs.DriftError
	if errors.As(err, &drift) && onlyConfig(drift.Drift, s.installed) {
		done, err = s.removeAll(ctx, changes, true)
	}
	if errors.As(err, &drift) {
		return nil, &DriftError{drifts(drift.Drift)}
	}
	if err != nil && !errors.Is(err, atomicfs.ErrNotDurable) {
		return nil, err
	}
	res := &Result{From: s.facts(), Recovered: s.recovered()}
	res.change(done)
	for _, c := range changes {
		if c.New == nil {
			res.Removed++
		}
	}
	s.tidy(verbUninstall, res.From, nil)
	return res, errors.Join(err, s.setGate()) // it may have been closed for what has gone
}

// removeAll commits the changes of an uninstall, and that of what is installed.
func (s *session) removeAll(ctx context.Context, changes []atomicfs.Change, keep bool) (atomicfs.Result, error) {
	product := s.c.settings.Product
	stage, err := s.tree.Stage(changeID(product, s.facts().Version, ""))
	if err != nil {
		return atomicfs.Result{}, err
	}
	defer stage.Discard()
	all := append(slices.Clip(changes), atomicfs.Change{Path: metaManifest(product)}, atomicfs.Change{Path: metaDigest(product)})
	return stage.Commit(ctx, all, atomicfs.CommitOptions{KeepDrift: keep, Version: nothingYet})
}
