package main

import (
	"context"
	"os"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

// ostree measures a self-contained static delta between two commits. Making
// it includes committing the new tree; applying it does not include the
// checkout, which links files and costs next to nothing.
func ostree(ctx context.Context, j job) (m measured, err error) {
	server, client, delta, out := j.path("server"), j.path("client"), j.path("delta"), j.path("out")
	run := func(args ...string) (c measure.Cost, stdout string) {
		if err == nil {
			c, stdout, err = measure.Run(ctx, measure.Command{Argv: append([]string{"ostree"}, args...)})
		}
		return c, strings.TrimSpace(stdout)
	}
	commit := func(dir string) (measure.Cost, string) {
		return run("commit", "--repo="+server, "--branch=app", "--canonical-permissions", "--timestamp=@0", "--tree=dir="+dir)
	}
	run("init", "--repo="+server, "--mode=archive")
	_, from := commit(j.old.dir)
	committed, to := commit(j.new.dir)
	// Without a fallback size of 0 large files are left out of the delta.
	generated, _ := run("static-delta", "generate", "--repo="+server, "--from="+from, "--to="+to,
		"--inline", "--min-fallback-size=0", "--filename="+delta)
	m.Diff = committed.Add(generated)
	run("init", "--repo="+client, "--mode=bare-user-only")
	run("pull-local", "--repo="+client, server, from)
	m.Patch, _ = run("static-delta", "apply-offline", "--repo="+client, delta)
	run("checkout", "--repo="+client, "--user-mode", to, out)
	if err != nil {
		return m, err
	}
	info, err := os.Stat(delta)
	if err != nil {
		return m, err
	}
	m.Bytes = info.Size()
	return m, j.checkTree(out, j.new)
}
