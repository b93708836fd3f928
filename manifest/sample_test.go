package manifest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// sample returns a valid manifest with every kind of entry and every fact.
func sample() *Manifest {
	return &Manifest{
		Release: Release{
			Product: "demo", Version: "1.2.3-rc.1", Sequence: 7, Platform: "linux-amd64",
			Severity: Security, CriticalSince: "1.0.0", Barrier: true, Strict: true, Essential: true,
			Requires: &Requires{
				OS: []string{"linux"}, Arch: []string{"amd64", "arm64"}, MinOS: "5.15", Disk: 1 << 20, Memory: 1 << 30,
				Commands: []string{"git"}, Packages: []Dependency{{"libc6", "2.36"}}, Installed: "1.0.0", BelowNext: "2.0.0",
			},
			Schema:      &Schema{Min: 0, Max: 4, Query: []string{"bin/latest", "version"}},
			Migrations:  []Migration{{Version: 3, Up: []string{"bin/app", "migrate", "3"}}, {Version: 4, Up: []string{"sh", "-c", "a\nb"}, Down: []string{"false"}, Seconds: 60, Once: true}},
			Hooks:       []Hook{{Phase: "offline", Command: []string{"bin/app", "stop"}, Veto: true, Seconds: 5, Once: true}},
			Depends:     []Dependency{{"base", "1.0.0"}, {Name: "fonts"}},
			EntryPoints: []string{"bin/app"},
			Notes:       "Quicker <start> & \"quotes\"\u2028ünïcode\n",
		},
		Entries: []Entry{
			file("README", 0o644, "read me\n"),
			file("bin/app", 0o755, "\x7fELF"),
			{Path: "bin/latest", Kind: Symlink, Link: "app"},
			{Path: "cache", Kind: Dir, Mode: 0o700},
			withConfig(file("etc/app.conf", 0o600, "a=1\n"), MergeConfig),
			withConfig(file("etc/other.conf", 0o444, ""), KeepConfig),
			{Path: "lib/up", Kind: Symlink, Link: "../bin/app"},
			{Path: "lib/ünï/deep", Kind: Dir, Mode: DirMode},
		},
	}
}

// small returns a valid manifest with the given entries and few facts.
func small(entries ...Entry) *Manifest {
	return &Manifest{Release{Product: "p", Version: "1.0.0", Sequence: 1, Platform: AnyPlatform}, entries}
}

func file(path string, mode fs.FileMode, content string) Entry {
	return Entry{Path: path, Mode: mode, Size: int64(len(content)), Digest: Sum([]byte(content))}
}

func withConfig(e Entry, c ConfigRule) Entry {
	e.Config = c
	return e
}

// synthetic returns a manifest like that of a Go toolchain: 11,516 files.
func synthetic() *Manifest {
	m := small()
	for i := range 11516 {
		path := fmt.Sprintf("src/pkg%03d/internal/part%02d/file_%03d.go", i/97, i/13%8, i)
		m.Entries = append(m.Entries, file(path, 0o644, path))
	}
	slices.SortFunc(m.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return m
}

func encode(tb testing.TB, m *Manifest) []byte {
	tb.Helper()
	b, err := m.Canonical()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// component draws a valid name. Few letters make prefixes and collisions
// likely.
func component(t *rapid.T) string {
	return rapid.StringMatching(`[aAb.é]{0,3}[aBc1-]`).Filter(func(s string) bool { return CheckPath(s) == nil }).Draw(t, "name")
}

func drawEntry(t *rapid.T) Entry {
	var names []string
	for range rapid.IntRange(1, 4).Draw(t, "depth") {
		names = append(names, component(t))
	}
	e := Entry{Path: strings.Join(names, "/"), Kind: Kind(rapid.IntRange(0, 2).Draw(t, "kind"))}
	mode := fs.FileMode(rapid.IntRange(0, 0o777).Draw(t, "mode"))
	switch e.Kind {
	case File:
		e.Mode = mode
		e.Size = rapid.Int64Range(0, MaxFileSize).Draw(t, "size")
		e.Digest = Sum(fmt.Append(nil, e.Size))
		e.Config = ConfigRule(rapid.IntRange(0, 2).Draw(t, "config"))
	case Dir:
		e.Mode = mode
	case Symlink:
		e.Link = strings.Repeat("../", rapid.IntRange(0, len(names)-1).Draw(t, "ups")) + component(t)
	}
	return e
}

// drawEntries draws a valid list: each entry that would make it invalid is left
// out again.
func drawEntries(t *rapid.T) []Entry {
	var list []Entry
	for range rapid.IntRange(0, 12).Draw(t, "entries") {
		e := drawEntry(t)
		if longer := insert(list, e); ValidateEntries(longer) == nil {
			list = longer
		}
	}
	return list
}

// insert returns a copy of the list with e at its place.
func insert(list []Entry, e Entry) []Entry {
	i, _ := slices.BinarySearchFunc(list, e.Path, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	return slices.Insert(slices.Clone(list), i, e)
}

// drawManifest draws a valid manifest.
func drawManifest(t *rapid.T) *Manifest {
	m := sample()
	if rapid.Bool().Draw(t, "few facts") {
		m = small()
	}
	m.Release.Sequence = rapid.Uint64Range(1, MaxSequence).Draw(t, "sequence")
	m.Release.Severity = rapid.SampledFrom([]Severity{Optional, Recommended, Security, Critical}).Draw(t, "severity")
	m.Release.Notes = rapid.StringOf(rapid.RuneFrom([]rune("a\"\\<>&\n\tü\u2028😀\ufffd"))).Draw(t, "notes")
	m.Release.EntryPoints = nil
	m.Entries = drawEntries(t)
	if m.Release.Hooks != nil { // their programs are in the sample's tree only
		m.Release.Schema.Query, m.Release.Migrations[0].Up[0], m.Release.Hooks[0].Command[0] = nil, "app", "app"
	}
	for _, e := range m.Entries {
		if e.Kind != Dir && rapid.Bool().Draw(t, "entry point") {
			m.Release.EntryPoints = append(m.Release.EntryPoints, e.Path)
		}
	}
	return m
}

// wantFault fails unless err is an InvalidError with a fault at path whose
// reason contains reason.
func wantFault(tb testing.TB, err error, path, reason string) {
	tb.Helper()
	invalid, ok := err.(*InvalidError)
	if !ok {
		tb.Errorf("got %v, want an InvalidError: %q: %s", err, path, reason)
		return
	}
	if !slices.ContainsFunc(invalid.Faults, func(f Fault) bool { return f.Path == path && strings.Contains(f.Reason, reason) }) {
		tb.Errorf("got %v, want fault %q: %s", err, path, reason)
	}
}
