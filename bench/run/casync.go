package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

// casync returns a measurement with the given average chunk size. Both trees
// go into one chunk store; a client that has the old tree downloads the index
// of the new one and the chunks that the old one has not.
func casync(chunk string) func(context.Context, job) (measured, error) {
	return func(ctx context.Context, j job) (m measured, err error) {
		store, index, out := j.path("store.castr"), j.path("new.caidx"), j.path("out")
		pack := func(index, dir string) (measure.Cost, error) {
			c, _, err := measure.Run(ctx, measure.Command{Argv: []string{
				"casync", "make", "--store=" + store, "--chunk-size=" + chunk, index, dir}})
			return c, err
		}
		if _, err := pack(j.path("old.caidx"), j.old.dir); err != nil {
			return m, err
		}
		before, err := folderBytes(store)
		if err != nil {
			return m, err
		}
		if m.Diff, err = pack(index, j.new.dir); err != nil {
			return m, err
		}
		after, err := folderBytes(store)
		if err != nil {
			return m, err
		}
		info, err := os.Stat(index)
		if err != nil {
			return m, err
		}
		m.Bytes = after - before + info.Size()
		m.Patch, _, err = measure.Run(ctx, measure.Command{Argv: []string{
			"casync", "extract", "--store=" + store, "--seed=" + j.old.dir, index, out}})
		if err != nil {
			return m, err
		}
		return m, j.checkTree(out, j.new)
	}
}

// folderBytes sums the sizes of all files below dir.
func folderBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
