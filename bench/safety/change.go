package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
)

// change is what becomes of a tree from an old release to a new one.
type change struct {
	old, new release
	work     string
	list     []atomicfs.Change
	bytes    int64 // of new content
	files    int   // with new content
	removed  int
}

// newChange compares two releases, and writes the list for the children.
func newChange(old, new release, work string) (*change, error) {
	c := &change{old: old, new: new, work: work}
	for p := range new.tree.Files {
		if old.tree.Files[p] == new.tree.Files[p] {
			continue
		}
		from, err := node(old, p)
		if err != nil {
			return nil, err
		}
		to, err := node(new, p)
		if err != nil {
			return nil, err
		}
		c.list = append(c.list, atomicfs.Change{Path: p, Old: from, New: to})
		c.files++
		c.bytes += to.Size
	}
	for p := range old.tree.Files {
		if new.tree.Files[p].IsZero() {
			from, err := node(old, p)
			if err != nil {
				return nil, err
			}
			c.list = append(c.list, atomicfs.Change{Path: p, Old: from})
			c.removed++
		}
	}
	slices.SortFunc(c.list, func(a, b atomicfs.Change) int { return cmp.Compare(a.Path, b.Path) })
	b, err := json.Marshal(c.list)
	if err != nil {
		return nil, err
	}
	return c, errors.Join(os.MkdirAll(work, 0o755), os.WriteFile(c.listName(), b, 0o644))
}

// node describes a file of a release, nil for one that it has not.
func node(r release, p string) (*atomicfs.Node, error) {
	digest := r.tree.Files[p]
	if digest.IsZero() {
		return nil, nil
	}
	info, err := os.Lstat(filepath.Join(r.dir, filepath.FromSlash(p)))
	if err != nil {
		return nil, err
	}
	return &atomicfs.Node{Kind: atomicfs.File, Mode: info.Mode().Perm(), Size: info.Size(), Digest: digest}, nil
}

func (c *change) listName() string { return filepath.Join(c.work, "changes.json") }

// String says how much changes.
func (c *change) String() string {
	return fmt.Sprintf("%d files with %.1f MB come, %d go, of %d", c.files, float64(c.bytes)/1e6, c.removed, len(c.old.tree.Files))
}

// spent is what a child took.
type spent struct {
	Wall   time.Duration
	Commit time.Duration // of Wall
}

// run has a child do something.
func (c *change) run(ctx context.Context, j job) (s spent, err error) {
	j.List, j.Content = c.listName(), c.new.dir
	spec, err := json.Marshal(j)
	if err != nil {
		return s, err
	}
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	flush()
	cmd := exec.CommandContext(ctx, self, childArg, string(spec))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("%s: %w", j.Do, err)
	}
	return s, json.Unmarshal(out, &s)
}

// measure returns the table of this change.
func (c *change) measure(ctx context.Context, runs int) (*table, error) {
	t := &table{}
	floors := []struct{ sync, what string }{
		{"", "plain writes, nothing synced"}, {"all", "plain writes, one syncfs"}, {"each", "plain writes, each file synced"},
	}
	for _, f := range floors {
		r := &row{what: f.what}
		for range runs {
			dir := filepath.Join(c.work, "floor")
			s, err := c.run(ctx, job{Do: doFloor, Root: dir, Sync: f.sync})
			if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
				return nil, err
			}
			r.synced = append(r.synced, s.Wall)
		}
		t.rows = append(t.rows, r)
	}
	for _, s := range []atomicfs.Strategy{atomicfs.InPlace, atomicfs.Exchange, atomicfs.Versioned} {
		r, err := c.strategy(ctx, s, runs)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", s, err)
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// strategy measures one strategy, on a tree of its own.
func (c *change) strategy(ctx context.Context, s atomicfs.Strategy, runs int) (*row, error) {
	root := filepath.Join(c.work, s.String(), "tree")
	defer os.RemoveAll(filepath.Dir(root))
	if err := os.CopyFS(root, os.DirFS(c.old.dir)); err != nil {
		return nil, err
	}
	r := &row{what: s.String()}
	for i := range runs {
		for _, how := range []struct{ unsynced, watched bool }{{false, false}, {true, false}, {false, true}} {
			var w *watch
			if how.watched {
				w = watchPaths(root, c.list)
			}
			took, err := c.run(ctx, job{Do: doCommit, Root: root, Strategy: s, Unsynced: how.unsynced})
			if how.watched {
				window, sweeps := w.stop()
				r.windows, r.sweeps = append(r.windows, window), r.sweeps+sweeps
			}
			if err != nil {
				return nil, err
			}
			switch {
			case how.unsynced:
				r.unsynced = append(r.unsynced, took.Wall)
			case !how.watched:
				r.synced, r.commits = append(r.synced, took.Wall), append(r.commits, took.Commit)
			}
			if err := c.back(ctx, root, s, i == 0); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// back rolls back. With check, the tree must be the new release before, and the
// old one after.
func (c *change) back(ctx context.Context, root string, s atomicfs.Strategy, check bool) error {
	if err := c.mustBe(root, c.new, check); err != nil {
		return err
	}
	if _, err := c.run(ctx, job{Do: doRollback, Root: root, Strategy: s}); err != nil {
		return err
	}
	return c.mustBe(root, c.old, check)
}

func (c *change) mustBe(root string, want release, check bool) error {
	if !check {
		return nil
	}
	dir, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	got, err := corpus.TreeDigest(dir)
	if err == nil && got.Digest != want.tree.Digest {
		err = fmt.Errorf("check %s: got a tree that differs from %s", root, want.dir)
	}
	return err
}
