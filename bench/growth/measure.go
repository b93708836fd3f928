package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
	"github.com/treegraft-dev/treegraft/manifest"
)

// measureGrowth measures all sizes at all levels, in a folder of its own below
// the cache: three times the largest size must find room there.
func measureGrowth(ctx context.Context, o options) (g report.Growth, err error) {
	g = report.Growth{Memory: o.memory, Levels: o.levels}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return g, err
	}
	dir, err := os.MkdirTemp(o.cache, "growth")
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, size := range o.sizes {
		old, new, err := makeSample(dir, o.cache, size)
		if err != nil {
			return g, err
		}
		for _, level := range o.levels {
			p, err := measureSize(ctx, dir, old, new, level, o.memory)
			if err != nil {
				return g, fmt.Errorf("%d bytes, level %s: %w", size, level, err)
			}
			fmt.Fprintf(os.Stderr, "%11d %-5s %d bytes, diff %.2f s %d MB, patch %.2f s %d MB\n", size, level, p.Bytes,
				p.Diff.CPU.Seconds(), p.Diff.RSS/mb, p.Patch.CPU.Seconds(), p.Patch.RSS/mb)
			p.Size = size
			g.Points = append(g.Points, p)
		}
	}
	return g, nil
}

// measureSize diffs, patches and compares.
func measureSize(ctx context.Context, dir, old, new, level string, memory int64) (p report.GrowthPoint, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	p.Level = level
	delta, out := filepath.Join(dir, "delta"), filepath.Join(dir, "out")
	p.Diff, _, err = measure.Run(ctx, measure.Command{Argv: []string{self, diffRole, old, new, delta, level, strconv.FormatInt(memory, 10)}})
	if err != nil {
		return p, err
	}
	info, err := os.Stat(delta)
	if err != nil {
		return p, err
	}
	p.Bytes = info.Size()
	defer os.Remove(out)
	if p.Patch, _, err = measure.Run(ctx, measure.Command{Argv: []string{self, patchRole, old, delta, out}}); err != nil {
		return p, err
	}
	return p, same(new, out)
}

// same compares two files by their digests.
func same(a, b string) error {
	var sums [2]manifest.Digest
	for i, name := range []string{a, b} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		sums[i], _, err = manifest.SumReader(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("patch: want %v, got %v", sums[0], sums[1])
	}
	return nil
}
