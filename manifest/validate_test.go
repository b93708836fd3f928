package manifest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestValidateAcceptsSample(t *testing.T) {
	if err := sample().Validate(); err != nil {
		t.Error(err)
	}
	if err := small().Validate(); err != nil {
		t.Error(err)
	}
}

// TestFacts spoils one fact of a valid release at a time.
func TestFacts(t *testing.T) {
	for _, c := range []struct {
		name, fact, why string
		spoil           func(*Release)
	}{
		{"product", "product", "letter or digit", func(r *Release) { r.Product = "A" }},
		{"version", "version", "MAJOR.MINOR.PATCH", func(r *Release) { r.Version = "v1.0.0" }},
		{"platform", "platform", "GOOS-GOARCH", func(r *Release) { r.Platform = "linux" }},
		{"no sequence", "sequence", "want 1 to", func(r *Release) { r.Sequence = 0 }},
		{"sequence beyond JSON", "sequence", "want 1 to", func(r *Release) { r.Sequence = MaxSequence + 1 }},
		{"severity", "severity", "unknown severity", func(r *Release) { r.Severity = "urgent" }},
		{"critical since", "critical_since", "MAJOR.MINOR.PATCH", func(r *Release) { r.CriticalSince = "1" }},
		{"disk", "requires", "negative", func(r *Release) { r.Requires.Disk = -1 }},
		{"memory", "requires", "negative", func(r *Release) { r.Requires.Memory = -1 }},
		{"installed", "requires", "MAJOR.MINOR.PATCH", func(r *Release) { r.Requires.Installed = "x" }},
		{"below next", "requires", "MAJOR.MINOR.PATCH", func(r *Release) { r.Requires.BelowNext = "x" }},
		{"package name", "requires", "not UTF-8", func(r *Release) { r.Requires.Packages[0].Name = "\xff" }},
		{"command on the path", "requires", "control character", func(r *Release) { r.Requires.Commands[0] = "a\x00" }},
		{"system", "requires", "control character", func(r *Release) { r.Requires.OS[0] = "\x1b[0m" }},
		{"schema", "schema", "above", func(r *Release) { r.Schema.Min = 5 }},
		{"migration to 0", "migrations", "must rise", func(r *Release) { r.Migrations[0].Version = 0 }},
		{"migration twice", "migrations", "must rise", func(r *Release) { r.Migrations[1].Version = 3 }},
		{"migration down", "migrations", "must rise", func(r *Release) { r.Migrations[1].Version = 2 }},
		{"migration without command", "migrations", "want a command", func(r *Release) { r.Migrations[0].Up = nil }},
		{"migration time", "migrations", "time limit", func(r *Release) { r.Migrations[0].Seconds = -1 }},
		{"migration text", "migrations", "not UTF-8", func(r *Release) { r.Migrations[1].Down[0] = "\xff" }},
		{"hook without phase", "hooks", "want one of offline, ", func(r *Release) { r.Hooks[0].Phase = "" }},
		{"hook of no phase", "hooks", "want one of offline, ", func(r *Release) { r.Hooks[0].Phase = "before" }},
		{"hook that is no file", "hooks", "no file", func(r *Release) { r.Hooks[0].Command[0] = "bin/gone" }},
		{"hook that is a folder", "hooks", "no file", func(r *Release) { r.Hooks[0].Command[0] = "lib/ünï/deep" }},
		{"hook outside", "hooks", "no file", func(r *Release) { r.Hooks[0].Command[0] = "/bin/sh" }},
		{"hook by a Windows path", "hooks", "no file", func(r *Release) { r.Hooks[0].Command[0] = `bin\app` }},
		{"hook with an empty command", "hooks", "a command", func(r *Release) { r.Hooks[0].Command[0] = "" }},
		{"hook for ever", "hooks", "time limit", func(r *Release) { r.Hooks[0].Seconds = MaxSeconds + 1 }},
		{"query that is no file", "schema", "no file", func(r *Release) { r.Schema.Query[0] = "bin/gone" }},
		{"query text", "schema", "not UTF-8", func(r *Release) { r.Schema.Query[1] = "\xff" }},
		{"migration that is no file", "migrations", "no file", func(r *Release) { r.Migrations[0].Up[0] = "bin/gone" }},
		{"migration back that is no file", "migrations", "no file", func(r *Release) { r.Migrations[1].Down[0] = "./false" }},
		{"migration back without command", "migrations", "want a command", func(r *Release) { r.Migrations[1].Down[0] = "" }},
		{"migrations beyond the schema", "migrations", "end at version 4", func(r *Release) { r.Schema.Max = 3 }},
		{"migrations short of the schema", "migrations", "end at version 4", func(r *Release) { r.Schema.Min, r.Schema.Max = 5, 6 }},
		{"hook without command", "hooks", "a command", func(r *Release) { r.Hooks[0].Command = nil }},
		{"hook time", "hooks", "time limit", func(r *Release) { r.Hooks[0].Seconds = -1 }},
		{"hook text", "hooks", "control character", func(r *Release) { r.Hooks[0].Phase = "a\rb" }},
		{"dependency name", "depends", "letter or digit", func(r *Release) { r.Depends[0].Name = "../x" }},
		{"dependency version", "depends", "MAJOR.MINOR.PATCH", func(r *Release) { r.Depends[0].Version = "1" }},
		{"entry point missing", "entry_points", "no file", func(r *Release) { r.EntryPoints[0] = "bin/no" }},
		{"entry point a folder", "entry_points", "no file", func(r *Release) { r.EntryPoints[0] = "cache" }},
		{"notes", "notes", "not UTF-8", func(r *Release) { r.Notes = "a\xffb" }},
		{"notes to a terminal", "notes", "control character", func(r *Release) { r.Notes = "\x1b]0;pwned\a" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := sample()
			c.spoil(&m.Release)
			wantFault(t, m.Validate(), c.fact, c.why)
		})
	}
}

// TestReleaseAlone wants facts checked where there are no entries to go by.
func TestReleaseAlone(t *testing.T) {
	r := sample().Release
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	r.Schema.Min, r.Hooks[0].Phase = 5, ""
	err := r.Validate()
	wantFault(t, err, "schema", "above")
	wantFault(t, err, "hooks", "want one of")
}

// TestEntries tries what is wrong with one entry by itself.
func TestEntries(t *testing.T) {
	d := Sum(nil)
	for _, c := range []struct {
		name, why string
		e         Entry
	}{
		{"path", "clean relative path", Entry{Path: "../x", Digest: d}},
		{"kind", "unknown kind", Entry{Path: "x", Kind: 3}},
		{"mode of a file", "more than permission bits", Entry{Path: "x", Mode: 0o644 | fs.ModeSetuid, Digest: d}},
		{"mode of a folder", "more than permission bits", Entry{Path: "x", Kind: Dir, Mode: 0o755 | fs.ModeDir}},
		{"mode of a symlink", "has no mode", Entry{Path: "x", Kind: Symlink, Link: "y", Mode: 0o777}},
		{"negative size", "out of range", Entry{Path: "x", Size: -1, Digest: d}},
		{"huge size", "out of range", Entry{Path: "x", Size: MaxFileSize + 1, Digest: d}},
		{"no digest", "no digest", Entry{Path: "x"}},
		{"config rule", "unknown config rule", Entry{Path: "x", Digest: d, Config: 3}},
		{"file with link", "no link target", Entry{Path: "x", Digest: d, Link: "y"}},
		{"folder with link", "no link target", Entry{Path: "x", Kind: Dir, Link: "y"}},
		{"folder with size", "neither size", Entry{Path: "x", Kind: Dir, Size: 1}},
		{"folder with digest", "neither size", Entry{Path: "x", Kind: Dir, Digest: d}},
		{"folder with config rule", "neither size", Entry{Path: "x", Kind: Dir, Config: KeepConfig}},
		{"symlink with size", "neither size", Entry{Path: "x", Kind: Symlink, Link: "y", Size: 1}},
		{"symlink with config rule", "neither size", Entry{Path: "x", Kind: Symlink, Link: "y", Config: KeepConfig}},
		{"symlink outside", "out of the tree", Entry{Path: "x", Kind: Symlink, Link: "../y"}},
		{"symlink without target", "empty target", Entry{Path: "x", Kind: Symlink}},
	} {
		t.Run(c.name, func(t *testing.T) { wantFault(t, ValidateEntries([]Entry{c.e}), c.e.Path, c.why) })
	}
}

// TestCollisions tries lists whose entries are good one by one. A name that
// ends in "/" is a folder's, any other a file's.
func TestCollisions(t *testing.T) {
	for _, c := range []struct{ paths, fault, why string }{
		{"a b", "", ""},
		{"a/ a/b", "", ""},
		{"a/b/c a/b/d a/c", "", ""},
		{"a a-b a.b", "", ""},
		{"A/x B/x a2/x", "", ""},
		{"sz ß", "", ""},

		{"b a", "a", "not in order"},
		{"a/b a-b", "a-b", "not in order"}, // "-" comes before "/"
		{"a a", "a", "not in order"},
		{"a/ a/", "a/", "not in order"},
		{"A a", "a", `the same as "A"`},
		{"README a readme", "readme", `the same as "README"`},
		{"A/ a", "a", `the same as "A"`},
		{"A/x a/y", "a", `the same as "A"`},
		{"A/x/1 b A/X/2", "A/X", `the same as "A/x"`},
		{"D/x d", "d", `the same as "D"`},
		{"a/b/c a/b/C", "a/b/C", `the same as "a/b/c"`},
		{"STRASSE straße", "straße", `the same as "STRASSE"`},
		{"É é", "é", `the same as "É"`},
		{"ΣΑΣ σας", "σας", `the same as "ΣΑΣ"`},
		{"Ꮬ ꮬ", "ꮬ", `the same as "Ꮬ"`},
		{"ΑΙ ᾳ", "ᾳ", `the same as "ΑΙ"`},
		{"ﬁ fi", "fi", `the same as "ﬁ"`},
		{"a a/b", "a", "both a folder"},
		{"a a/b/c", "a", "both a folder"},
		{"a/b a/b/c/d", "a/b", "both a folder"},
		{"a/b/c/ a/b/c", "a/b/c", "both a folder"},
	} {
		t.Run(c.paths, func(t *testing.T) {
			var entries []Entry
			for p := range strings.SplitSeq(c.paths, " ") {
				e := file(p, 0o644, "")
				if dir, is := strings.CutSuffix(p, "/"); is {
					e = Entry{Path: dir, Kind: Dir, Mode: DirMode}
				}
				entries = append(entries, e)
			}
			err := ValidateEntries(entries)
			if c.why == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, strings.TrimSuffix(c.fault, "/"), c.why)
		})
	}
}

func TestEntriesBelowASymlink(t *testing.T) {
	entries := []Entry{{Path: "a", Kind: Symlink, Link: "b"}, file("a/x", 0o644, "")}
	wantFault(t, ValidateEntries(entries), "a", "both a folder and something else")
}

// TestAllFaults wants every fault of a bad manifest named in one error.
func TestAllFaults(t *testing.T) {
	m := small(
		file("a", 0o644, ""),
		file("A", 0o644, ""),
		file("b\\c", 0o644, ""),
		Entry{Path: "con", Mode: 0o4755, Kind: Dir},
		Entry{Path: "d", Mode: fs.ModeSticky, Size: -1},
		Entry{Path: "e", Kind: Symlink, Link: "/etc", Mode: 0o777},
	)
	m.Release.Product, m.Release.Version, m.Release.Sequence = "", "1", 0
	err := m.Validate()
	for _, f := range []Fault{
		{"product", ""}, {"version", ""}, {"sequence", ""},
		{"A", "not in order"}, {"A", "where case is ignored"}, {"b\\c", "holds"}, {"con", "device"},
		{"d", "mode"}, {"d", "size"}, {"d", "no digest"}, {"e", "no mode"}, {"e", "not relative"},
	} {
		wantFault(t, err, f.Path, f.Reason)
	}
	if n := len(err.(*InvalidError).Faults); n != 12 {
		t.Errorf("got %d faults, want 12:\n%v", n, err)
	}
}

func TestLimits(t *testing.T) {
	wantFault(t, ValidateEntries(make([]Entry, MaxEntries+1)), "", "entries, at most")

	// Paths far too long reach the limit of all together with few entries.
	long := strings.Repeat("p", 1<<16)
	list := make([]Entry, MaxText/len(long)+1)
	for i := range list {
		list[i] = Entry{Path: long, Digest: Sum(nil)}
	}
	last := len(list) - 1
	list[last].Path = "q"
	wantFault(t, ValidateEntries(list), "q", "all paths and links")
	err := ValidateEntries(list[:last]).(*InvalidError)
	if slices.ContainsFunc(err.Faults, func(f Fault) bool { return strings.Contains(f.Reason, "all paths") }) {
		t.Errorf("%d bytes are refused, but %d are allowed", last*len(long), MaxText)
	}
}

func TestInvalidErrorText(t *testing.T) {
	one := &InvalidError{What: "tree", Faults: []Fault{{"a\x1b", "bad"}}}
	if got, want := one.Error(), "tree: 1 fault\n  \"a\\x1b\": bad"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	many := &InvalidError{What: "tree", Faults: make([]Fault, maxShown+5)}
	if got := many.Error(); !strings.HasPrefix(got, "tree: 25 faults\n") || !strings.HasSuffix(got, "\n  … and 5 more") || strings.Count(got, "\n") != maxShown+1 {
		t.Errorf("got %q", got)
	}
	var invalid *InvalidError
	if err := small(Entry{}).Encode(nil); !errors.As(err, &invalid) || invalid.What != "manifest" {
		t.Errorf("encode an invalid manifest: got %v", err)
	}
}
