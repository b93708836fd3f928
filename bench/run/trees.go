package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

// side is one release of a pair, as it lies in the cache.
type side struct {
	dir  string
	tree corpus.Tree
}

// job is one pair, ready to be measured by one tool.
type job struct {
	pair     pair
	old, new side
	work     string // an empty folder, removed afterwards
	bin      string // our own commands; empty when they did not build
}

// path returns a path in the job's own folder.
func (j job) path(name string) string { return filepath.Join(j.work, name) }

// checkTree compares a tree that a tool made with the new release.
func (j job) checkTree(dir string, want side) error {
	got, err := corpus.TreeDigest(dir)
	if err == nil && got.Digest != want.tree.Digest {
		err = fmt.Errorf("check %s: got a tree that differs from %s", filepath.Base(dir), want.dir)
	}
	return err
}

// file measures the codec on the pair's one file.
func (c codec) file(ctx context.Context, j job) (measured, error) {
	return c.deltaFile(ctx, j.work, j.bin, filepath.Join(j.old.dir, j.pair.file), filepath.Join(j.new.dir, j.pair.file),
		j.new.tree.Files[j.pair.file])
}

// wholeTree hands both trees to the codec, for tools that understand folders.
func (c codec) wholeTree(ctx context.Context, j job) (measured, error) {
	out := j.path("out")
	m, err := c.delta(ctx, j.bin, j.old.dir, j.new.dir, j.path("delta"), out)
	if err != nil {
		return m, err
	}
	return m, j.checkTree(out, j.new)
}

// tarred packs each tree into one tar file for tools that know only files.
// Packing is not charged.
func (c codec) tarred(ctx context.Context, j job) (measured, error) {
	old, new := j.path("old.tar"), j.path("new.tar")
	if err := writeTar(ctx, old, j.old.dir); err != nil {
		return measured{}, err
	}
	if err := writeTar(ctx, new, j.new.dir); err != nil {
		return measured{}, err
	}
	want, err := fileDigest(new)
	if err != nil {
		return measured{}, err
	}
	return c.deltaFile(ctx, j.work, j.bin, old, new, want)
}

// perFile sums the codec's deltas of all changed files and the compressed new
// ones. Names, modes, digests and the list of deleted files come on top of
// that in any real use; they are not counted.
func (c codec) perFile(ctx context.Context, j job) (sum measured, err error) {
	full := fullCodec()
	for _, path := range slices.Sorted(maps.Keys(j.new.tree.Files)) {
		want := j.new.tree.Files[path]
		got, both := j.old.tree.Files[path]
		if both && got == want {
			continue
		}
		how := c
		if !both {
			how = full
		}
		m, err := how.deltaFile(ctx, j.work, j.bin, filepath.Join(j.old.dir, path), filepath.Join(j.new.dir, path), want)
		if err != nil {
			return sum, err
		}
		sum = sum.plus(m)
	}
	return sum, nil
}

// writeTar packs a tree with GNU tar: sorted, without owners and times, so that
// two equal trees give equal bytes.
func writeTar(ctx context.Context, path, dir string) error {
	_, _, err := measure.Run(ctx, measure.Command{Argv: []string{
		"tar", "--format=gnu", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-cf", path, "-C", dir, "."}})
	return err
}
