package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Rollback brings back the release before the last update; after an install, the
// folder as it was before. Where a way back has led already, it does nothing, and
// the result says UpToDate: [Client.Restore] goes further, to the release that it
// is told. It needs no network and no space. Local
// changes since then are refused, or with force kept beside; those that a forced
// update moved aside come back to their place, and their copies stay beside.
// Other products of the tree stay as they are; if one would miss what it needs,
// the rollback is refused with a *[DependencyError].
func (c *Client) Rollback(ctx context.Context, force bool) (*Result, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	if res, err := s.rolledBack(); res != nil || err != nil {
		return res, err // by opening the tree
	}
	spent, err := s.spent()
	if err != nil {
		return nil, err
	}
	if spent {
		return s.nothingDone(), nil
	}
	return s.rollback(ctx, force, false)
}

// rolledBack returns what a rollback did that was cut short, if all that was left
// of it has just been finished.
func (s *session) rolledBack() (*Result, error) {
	done := s.tree.Recovered()
	product, _, from := parseChangeID(done.ID)
	r, err := s.c.currentRun()
	if err != nil || r != nil || product != s.c.settings.Product || !done.Rollback || !done.Forward {
		return nil, err
	}
	res := &Result{To: s.facts(), Recovered: s.recovered()}
	if from != nothingYet {
		res.From = &manifest.Release{Product: product, Version: from}
	}
	s.tidy(verbRollback, res.From, res.To)
	return res, nil
}

func (s *session) rollback(ctx context.Context, force, passing bool) (*Result, error) {
	res := &Result{Recovered: s.recovered()}
	r, err := s.c.currentRun()
	if err != nil {
		return nil, err
	}
	if r != nil && r.Verb == verbRollback {
		return s.resume(ctx, r, UpdateOptions{})
	}
	if r != nil {
		return s.abort(ctx, r)
	}
	h, err := s.rollbackHop(ctx, force, passing)
	if err != nil {
		return nil, err
	}
	if h == nil {
		res, err = s.rollbackFiles(ctx, force)
	} else {
		res, err = h.runBack(ctx)
	}
	if res != nil {
		res.Recovered = s.recovered()
	}
	if err == nil || errors.Is(err, atomicfs.ErrNotDurable) {
		s.tidy(verbRollback, res.From, res.To)
	}
	return res, err
}

// rollbackFiles brings back the files of the release before, and nothing else.
func (s *session) rollbackFiles(ctx context.Context, force bool) (*Result, error) {
	res := &Result{From: s.facts()}
	back, err := wayBack(s.tree, s.c.settings.Product)
	if err != nil {
		return nil, err
	}
	if back == nil {
		return nil, fmt.Errorf("roll back %s: %w", s.c.settings.Product, atomicfs.ErrNoSnapshot)
	}
	if err := s.staysTogether(back); err != nil {
		return nil, fmt.Errorf("roll back to %s: %w", back.from, err)
	}
	if err := s.noteLanding(back); err != nil { // no reason to stay
		s.c.emit(Event{Phase: Planning, Note: "another rollback would go further back: " + err.Error()})
	}
	o := atomicfs.CommitOptions{KeepDrift: force, Version: back.from, Snapshot: back.seq}
	done, err := s.tree.Rollback(ctx, o)
	var drift *atomicfs.DriftError
	if errors.As(err, &drift) && onlyConfig(drift.Drift, s.installed) {
		o.KeepDrift = true
		done, err = s.tree.Rollback(ctx, o)
	}
	if errors.As(err, &drift) {
		return nil, &DriftError{drifts(drift.Drift)}
	}
	if err != nil && !errors.Is(err, atomicfs.ErrNotDurable) {
		return nil, err
	}
	from := s.installed
	if err := s.load(); err != nil {
		return nil, err
	}
	res.To = s.facts()
	res.change(done)
	for _, c := range treeChanges(from, s.installed) {
		switch {
		case c.New == nil:
			res.Removed++
		case c.Old == nil || *c.Old != *c.New:
			res.Changed++
		}
	}
	return res, err
}

// nothingYet stands for the version before an install, or after an uninstall.
const nothingYet = "nothing"

// changeID names a change, and the snapshot of it, for people and for
// [parseChangeID]. A version may be "" for none.
func changeID(product, from, to string) string {
	return product + ": " + cmp.Or(from, nothingYet) + " to " + cmp.Or(to, nothingYet)
}

// parseChangeID returns the product of a change, and the versions it began with
// and led to.
func parseChangeID(id string) (product, from, to string) {
	product, versions, _ := strings.Cut(id, ": ")
	from, to, _ = strings.Cut(versions, " to ")
	return product, from, to
}

// way is a snapshot as a product sees it.
type way struct {
	seq  uint64
	from string // version that it brings back, "nothing" for none
	time time.Time
}

// waysBack returns the ways back of a product, the one that a rollback takes
// first.
func waysBack(tree *atomicfs.Tree, product string) (ways []way, err error) {
	snapshots, err := tree.Snapshots()
	for _, s := range slices.Backward(snapshots) {
		if of, from, _ := parseChangeID(s.ID); of == product {
			ways = append(ways, way{s.Seq, from, s.Time})
		}
	}
	return ways, err
}

// wayBack returns the way that a rollback of a product takes; nil if there is
// none.
func wayBack(tree *atomicfs.Tree, product string) (*way, error) {
	ways, err := waysBack(tree, product)
	if err != nil || len(ways) == 0 {
		return nil, err
	}
	return &ways[0], nil
}

// A landing is where a way back leads: to a release, and to the next way back
// from there. While both hold, nothing has been installed since, and a rollback
// has nothing to do: who asks twice, or does not know that an update was taken
// back by itself, does not want to lose one more release.
type landing struct {
	Version string    `json:"version"` // "nothing" for none
	Next    uint64    `json:"next"`    // number of the next snapshot, and its time; 0 for none
	Time    time.Time `json:"time,omitzero"`
}

// landingAt is the landing at a version with the ways that are left there.
func landingAt(version string, left []way) landing {
	l := landing{Version: cmp.Or(version, nothingYet)}
	if len(left) > 0 {
		l.Next, l.Time = left[0].seq, left[0].time.UTC()
	}
	return l
}

// noteLanding records where a way back leads, before it is taken: until then, it
// is not true of the tree, and so means nothing.
func (s *session) noteLanding(back *way) error {
	ways, err := waysBack(s.tree, s.c.settings.Product)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(ways, func(w way) bool { return w.seq >= back.seq })
	return writeJSON(s.c.state(landingName), landingAt(back.from, left))
}

// spent reports whether the tree is where a way back has led.
func (s *session) spent() (bool, error) {
	if r, err := s.c.currentRun(); r != nil || err != nil {
		return false, err // that has to be taken back
	}
	return s.c.landed(s.tree, s.facts())
}

// landed is spent for who only looks. A record that cannot be read says nothing:
// it must not keep anyone from going back.
func (c *Client) landed(tree *atomicfs.Tree, installed *manifest.Release) (bool, error) {
	var was landing
	if found, err := readJSON(c.state(landingName), &was); !found || err != nil {
		return false, nil
	}
	ways, err := waysBack(tree, c.settings.Product)
	is := landingAt(versionOf(installed), ways)
	return was.Version == is.Version && was.Next == is.Next && was.Time.Equal(is.Time), err
}

// rollsBackTo returns the version that a rollback would bring back, "nothing" for
// none; "" if it would do nothing.
func (c *Client) rollsBackTo(tree *atomicfs.Tree, installed *manifest.Release) (string, error) {
	back, err := wayBack(tree, c.settings.Product)
	if err != nil || back == nil {
		return "", err
	}
	if spent, err := c.landed(tree, installed); err != nil || spent {
		return "", err
	}
	return back.from, nil
}

// staysTogether checks that the other products have what they need after a
// rollback. What the release before needs itself, it had.
func (s *session) staysTogether(back *way) error {
	others, err := s.others()
	if err != nil || len(others) == 0 {
		return err
	}
	to := &manifest.Manifest{Release: manifest.Release{Product: s.c.settings.Product, Version: back.from}}
	if back.from == nothingYet {
		to = nil
	}
	return together(s.c.settings.Product, to, others)
}

// Cleanup removes downloads, and all snapshots but the newest keep of each
// product. It returns the number of bytes freed.
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
	drop, bytes := surplus(before, keep)
	return freed + bytes, errors.Join(
		s.tree.DropSnapshot(drop...),
		os.RemoveAll(c.state(downloadsName)),
		os.RemoveAll(c.state(fetchedName)))
}

// surplus returns the snapshots beyond the newest keep of each product.
func surplus(snapshots []atomicfs.Snapshot, keep int) (seqs []uint64, bytes int64) {
	count := map[string]int{}
	for _, s := range slices.Backward(snapshots) {
		product, _, _ := parseChangeID(s.ID)
		if count[product]++; count[product] > keep {
			seqs = append(seqs, s.Seq)
			bytes += s.Bytes
		}
	}
	slices.Reverse(seqs)
	return seqs, bytes
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
