package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// buildOurs builds the commands as they are shipped, stripped, into dir.
func buildOurs(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, _, err := measure.Run(ctx, measure.Command{Argv: []string{
		"go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir + string(filepath.Separator), "./cmd/mkrelease", "./cmd/applyrelease"}})
	return err
}

// updateOverHTTP publishes the old tree, installs it from nginx, publishes the
// new one, updates, asks again, and rolls back with the server gone. After
// each step that changes the install tree it must be the release.
func updateOverHTTP(ctx context.Context, j job) (u report.Update, err error) {
	repo, keys, tree := j.path("repo"), j.path("keys"), j.path("install")
	for _, dir := range []string{repo, keys, j.path("home")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return u, err
		}
	}
	nginx, err := newServer(j.path("nginx"), repo)
	if err != nil {
		return u, err
	}
	local := func(command string, args ...string) (c measure.Cost) {
		if err == nil {
			c, _, err = measure.Run(ctx, measure.Command{Argv: append([]string{filepath.Join(j.bin, command)}, args...), Env: j.env()})
		}
		return c
	}
	overHTTP := func(args ...string) (t report.Transfer) {
		if err == nil {
			var c measure.Cost
			t, err = nginx.during(ctx, func() error { c = local("applyrelease", args...); return err })
			t.Cost = c
		}
		return t
	}
	mustBe := func(s side) {
		if err == nil {
			err = j.checkTree(tree, s)
		}
	}
	product, from, _ := strings.Cut(j.pair.old, "@")
	_, to, _ := strings.Cut(j.pair.new, "@")
	publish := []string{"publish", "--repo", repo, "--keys", keys, "--product", product, "--version"}

	local("mkrelease", "init", "--repo", repo, "--keys", keys)
	local("mkrelease", append(publish, from, j.old.dir)...)
	u.Install = overHTTP("install", "--repo", nginx.url(), "--root", filepath.Join(keys, "root.json"), "--product", product, tree)
	mustBe(j.old)
	u.Publish = local("mkrelease", append(publish, to, j.new.dir)...)
	u.Update = overHTTP("update", tree)
	mustBe(j.new)
	u.Check = overHTTP("check", tree)
	u.Rollback = local("applyrelease", "rollback", tree)
	mustBe(j.old)
	return u, err
}

// env gives our commands a home of their own, and the passphrase of keys that
// live as long as the measurement.
func (j job) env() []string {
	home := j.path("home")
	return []string{
		"MKRELEASE_PASSPHRASE=benchmark", "NO_COLOR=1", "CI=1", "HOME=" + home,
		"XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_STATE_HOME=" + home, "XDG_DATA_HOME=" + home,
	}
}

// sizeFact says how large the stripped client is.
func sizeFact(bin string, built error) report.Fact {
	value := "did not build"
	if info, err := os.Stat(filepath.Join(bin, "applyrelease")); err == nil && built == nil {
		value = fmt.Sprintf("%d bytes", info.Size())
	}
	return report.Fact{Name: "applyrelease, stripped", Value: value}
}
