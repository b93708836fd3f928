package main

import (
	"cmp"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// Ours at the levels that are quicker to make and to apply.
const (
	oursBalanced = report.Ours + "-balanced"
	oursFast     = report.Ours + "-fast"
)

// tool is one column of the tables.
type tool struct {
	name     string
	settings string   // for the reader, and part of what a cached result is bound to
	programs []string // must be on the PATH
	pkg      string   // Debian package, asked for its version
	note     string   // what its figure for trees includes
	file     measurement
	tree     measurement
}

// measurement runs one tool on one pair and checks the result. A nil one means
// that the tool does not do that kind of pair.
type measurement func(context.Context, job) (measured, error)

// tools returns what can be run here. Ours comes first; the order is that of
// the columns.
func tools() []tool {
	return []tool{
		{
			name: report.Ours, settings: "mkrelease diff; applyrelease patch",
			note: "patch makes a second, whole tree", file: oursCodec("small").file, tree: oursCodec("small").wholeTree,
		},
		{
			name: oursBalanced, settings: "mkrelease diff --level balanced; applyrelease patch",
			note: "patch makes a second, whole tree", file: oursCodec("balanced").file, tree: oursCodec("balanced").wholeTree,
		},
		{
			name: oursFast, settings: "mkrelease diff --level fast; applyrelease patch",
			note: "patch makes a second, whole tree", file: oursCodec("fast").file, tree: oursCodec("fast").wholeTree,
		},
		{
			name: "full", settings: "zstd -19 of the new file or tar", programs: []string{"tar", "zstd"}, pkg: "zstd",
			note: "one tar", file: fullCodec().file, tree: fullCodec().tarred,
		},
		{
			name: report.Baseline, settings: "bsdiff; new files of a tree zstd -19", programs: []string{"bsdiff", "bspatch", "zstd"}, pkg: "bsdiff",
			note: "file by file, without names and digests", file: bsdiffCodec().file, tree: bsdiffCodec().perFile,
		},
		{
			name: "xdelta3", settings: "-9 -S lzma -I 0 -B 512 MiB", programs: []string{"tar", "xdelta3"}, pkg: "xdelta3",
			note: "one tar", file: xdeltaCodec().file, tree: xdeltaCodec().tarred,
		},
		{
			name: "zstd", settings: "-19 --long=31 --patch-from", programs: []string{"tar", "zstd"}, pkg: "zstd",
			note: "one tar", file: patchFromCodec().file, tree: patchFromCodec().tarred,
		},
		{
			name: "casync-16k", settings: "--chunk-size=16K", programs: []string{"casync"}, pkg: "casync",
			note: "new chunks and index", tree: casync("16K"),
		},
		{
			name: "casync-64k", settings: "--chunk-size=64K", programs: []string{"casync"}, pkg: "casync",
			note: "new chunks and index", tree: casync("64K"),
		},
		{
			name: "ostree", settings: "static-delta --inline --min-fallback-size=0", programs: []string{"ostree"}, pkg: "ostree",
			note: "diff includes the commit", tree: ostree,
		},
	}
}

// chooseTools returns the tools with the given names, all if there are none.
func chooseTools(all []tool, names []string) ([]tool, error) {
	return choose(all, names, func(t tool) string { return t.name })
}

func (t tool) ours() bool { return strings.HasPrefix(t.name, report.Ours) }

// measurement returns what the tool does with a pair, nil if nothing.
func (t tool) measurement(p pair) measurement {
	if p.tree() {
		return t.tree
	}
	return t.file
}

// missing returns the first program that is not installed.
func (t tool) missing() string {
	for _, p := range t.programs {
		if _, err := exec.LookPath(p); err != nil {
			return p
		}
	}
	return ""
}

// version names the tool's build: ours by its commit, the others by their
// Debian package. Where there is no dpkg, nobody knows.
func (t tool) version(ctx context.Context) string {
	argv := []string{"dpkg-query", "-W", "-f", "${Version}", t.pkg}
	if t.ours() {
		argv = []string{"git", "describe", "--always", "--dirty", "--tags"}
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if s := strings.TrimSpace(string(out)); err == nil && s != "" {
		return s
	}
	return "unknown version"
}

// absolute finds the folders of an absolute path, with what stands before it.
// Host and path of a URL are none.
var absolute = regexp.MustCompile(`(^|[\s'"` + "`" + `(\[=:,])(?:/[^\s'"` + "`" + `():,/]+)+/([^\s'"` + "`" + `():,/])`)

// reason is an error's text for a cell of a table: of a program that failed,
// its name and the last that it said. Of paths it keeps the base names, since a
// table tells nothing about the machine's folders.
func reason(err error) string {
	text := err.Error()
	var failed *measure.Error
	if errors.As(err, &failed) {
		name := filepath.Base(failed.Argv[0]) + ": "
		said := strings.TrimPrefix(cmp.Or(failed.Output, failed.Err.Error()), failed.Argv[0]+": ")
		text = name + strings.TrimPrefix(said, name)
	}
	return absolute.ReplaceAllString(text, "$1$2")
}
