package client

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// Rollback brings back the release before the last update, once; after an
// install, the folder as it was before. It needs no network and no space. Local changes since then are refused, or with force
// kept beside; those that a forced update moved aside come back to their place,
// and their copies stay beside.
func (c *Client) Rollback(ctx context.Context, force bool) (*Result, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	return s.rollback(ctx, force)
}

func (s *session) rollback(ctx context.Context, force bool) (*Result, error) {
	res := &Result{From: s.facts(), Recovered: s.recovered()}
	to, err := wayBack(s.tree)
	if err != nil {
		return nil, err
	}
	done, err := s.tree.Rollback(ctx, atomicfs.CommitOptions{KeepDrift: force, Version: to})
	var drift *atomicfs.DriftError
	if errors.As(err, &drift) {
		return nil, &DriftError{drifts(drift.Drift)}
	}
	if err != nil && !errors.Is(err, atomicfs.ErrNotDurable) {
		return nil, err
	}
	from := s.installed
	s.installed, s.canonical = nil, nil
	if err := s.load(); err != nil {
		return nil, err
	}
	res.To, res.Missing, res.Fallbacks = s.facts(), done.Missing, inPlace(done)
	for _, c := range treeChanges(from, s.installed) {
		switch {
		case c.New == nil:
			res.Removed++
		case c.Old == nil || *c.Old != *c.New:
			res.Changed++
		}
	}
	for _, kept := range done.Kept {
		res.Kept = append(res.Kept, kept)
	}
	slices.Sort(res.Kept)
	s.tidy("rollback", res.From, res.To)
	return res, err
}

// wayBack names the release that a rollback goes back to; "" if there is none.
func wayBack(tree *atomicfs.Tree) (string, error) {
	snapshots, err := tree.Snapshots()
	if err != nil || len(snapshots) == 0 {
		return "", err
	}
	from, _, _ := strings.Cut(snapshots[len(snapshots)-1].ID, " to ")
	return from, nil
}

// Cleanup removes downloads, and all snapshots but the newest keep. It returns
// the number of bytes freed.
func (c *Client) Cleanup(ctx context.Context, keep int) (int64, error) {
	s, err := c.begin()
	if err != nil {
		return 0, err
	}
	defer s.end()
	freed := treeSize(c.state(downloadsName))
	before, err := s.tree.Snapshots()
	if err != nil {
		return 0, err
	}
	for i := range len(before) - keep {
		freed += before[i].Bytes
	}
	return freed, errors.Join(
		s.tree.DropSnapshots(keep),
		os.RemoveAll(c.state(downloadsName)),
		os.RemoveAll(c.state(fetchedName)))
}

// treeSize returns the bytes of the files in a folder, as far as they can be
// seen.
func treeSize(dir string) (n int64) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
