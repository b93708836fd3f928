package main

import (
	"fmt"
	"slices"
	"strings"
)

// pair is an old and a new release, or one file of each.
type pair struct {
	id       string
	old, new string // releases, as name@version
	file     string // path of the file; empty for the whole tree
	what     string
	goal     int64 // bytes that ours shall not exceed
}

func (p pair) tree() bool { return p.file == "" }

// pairs returns what is measured. Others are measured elsewhere: a codec that
// is tuned to these files is of no use.
func pairs() []pair {
	const (
		goOld, goNew = "go@1.26.7", "go@1.26.8"
		goFar        = "go@1.25.0"
		nodeOld      = "node@26.9.0"
		nodeNew      = "node@26.10.0"
		pwOld, pwNew = "playwright-core@1.64.1", "playwright-core@1.65.1"
		compiler     = "pkg/tool/linux_amd64/compile"
	)
	return []pair{
		{"esbuild", "esbuild@0.28.1", "esbuild@0.28.2", "bin/esbuild", "esbuild 0.28.1 → 0.28.2, Go, ELF, x86-64", 180_000},
		{"compile", goOld, goNew, compiler, "Go's compile 1.26.7 → 1.26.8", 20_000},
		{"gocmd", goOld, goNew, "bin/go", "the go command 1.26.7 → 1.26.8", 5_000},
		{"compile-far", goFar, goNew, compiler, "Go's compile 1.25.0 → 1.26.8", 4_300_000},
		{"buildifier", "buildifier@8.2.0", "buildifier@8.2.1", "buildifier-linux_amd64",
			"buildifier 8.2.0 → 8.2.1, Go with compressed debug sections, ELF, x86-64", 0},
		{"buildifier-win", "buildifier@8.2.0", "buildifier@8.2.1", "buildifier-windows_amd64.exe",
			"buildifier.exe 8.2.0 → 8.2.1, Go with compressed debug sections, PE, x86-64", 0},
		{"buildifier-mac", "buildifier@8.2.0", "buildifier@8.2.1", "buildifier-darwin_arm64",
			"buildifier 8.2.0 → 8.2.1, Go with compressed debug sections, Mach-O, ARM64", 0},
		{"esbuild-win", "esbuild-win@0.28.1", "esbuild-win@0.28.2", "esbuild.exe", "esbuild.exe 0.28.1 → 0.28.2, Go, PE, x86-64", 0},
		{"esbuild-mac", "esbuild-mac@0.28.1", "esbuild-mac@0.28.2", "bin/esbuild", "esbuild 0.28.1 → 0.28.2, Go, Mach-O, ARM64", 0},
		{"oxlint", "oxlint@1.93.0", "oxlint@1.94.0", "oxlint.linux-x64-gnu.node", "oxlint 1.93.0 → 1.94.0, Rust, ELF, x86-64", 0},
		{"lightningcss", "lightningcss@1.32.0", "lightningcss@1.33.0", "lightningcss.linux-arm64-gnu.node",
			"lightningcss 1.32.0 → 1.33.0, Rust, ELF, ARM64", 0},
		{"node-bin", nodeOld, nodeNew, "bin/node", "node 26.9.0 → 26.10.0, C++, ELF, x86-64", 1_500_000},
		{"typescript-js", "typescript@5.8.2", "typescript@5.8.3", "lib/typescript.js", "typescript.js 5.8.2 → 5.8.3", 700},
		{"playwright-js", pwOld, pwNew, "lib/coreBundle.js", "playwright-core's coreBundle.js 1.64.1 → 1.65.1", 16_000},
		{"typescript-tgz", "typescript-tgz@5.8.2", "typescript-tgz@5.8.3", "typescript.tgz", "typescript 5.8.2 → 5.8.3, the npm archive itself", 0},
		{"tools-zip", "tools-zip@0.39.0", "tools-zip@0.40.0", "tools.zip", "golang.org/x/tools 0.39.0 → 0.40.0, the module zip itself", 0},

		{"go-patch", goOld, goNew, "", "Go toolchain 1.26.7 → 1.26.8, a patch release", 50_000},
		{"playwright", pwOld, pwNew, "", "playwright-core 1.64.1 → 1.65.1, bundles, some renamed", 95_000},
		{"node", nodeOld, nodeNew, "", "node 26.9.0 → 26.10.0, one large binary among sources", 1_550_000},
		{"go-far", goFar, goNew, "", "Go toolchain 1.25.0 → 1.26.8, a year of changes", 12_500_000},
	}
}

// choosePairs returns the pairs with the given ids, all if there are none.
func choosePairs(all []pair, ids []string) ([]pair, error) {
	return choose(all, ids, func(p pair) string { return p.id })
}

// choose keeps the order of all and refuses names that match nothing.
func choose[T any](all []T, names []string, id func(T) string) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []T
	var known []string
	for _, x := range all {
		known = append(known, id(x))
		if slices.Contains(names, id(x)) {
			chosen = append(chosen, x)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("choose %q: want one of %s", n, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// splitList splits the value of a flag at commas.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
