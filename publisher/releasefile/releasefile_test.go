package releasefile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

const whole = `
product = "shop"
version = "1.4.0"
platform = "linux-amd64"
channel = "beta"
severity = "security"
critical_since = "1.2.0"
barrier = true
strict = true
essential = true
entry_points = ["bin/shop"]
notes_file = "news.txt"

[requires]
os = ["linux"]
arch = ["amd64", "arm64"]
min_os = "5.15"
disk = "200MiB"
memory = "1 GiB"
commands = ["git"]
packages = [{ name = "libc6", version = "2.36" }]
installed = "1.0.0"
below_next = "2.0.0"

[schema]
min = 3
max = 4
query = ["bin/shop", "data"]

[[migrations]]
version = 3
up = ["bin/shop", "migrate", "{old}"]

[[migrations]]
version = 4
up = ["sh", "-c", "true"]
down = ["false"]
time = "1m30s"
once = true

[[hooks]]
phase = "offline"
command = ["bin/shop", "stop"]
veto = true
once = true
time = "5s"

[[depends]]
name = "core"
version = "1.0.0"

[config]
merge = ["etc/*.conf"]
keep = ["etc/site.ini"]
`

func TestWhole(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "news.txt"), "Faster.\r\nSafer.\n\n")
	write(t, filepath.Join(dir, "release.toml"), whole)
	got, err := Read(filepath.Join(dir, "release.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Release{
		Channel: "beta",
		Config:  map[string]manifest.ConfigRule{"etc/*.conf": manifest.MergeConfig, "etc/site.ini": manifest.KeepConfig},
		Facts: manifest.Release{
			Product: "shop", Version: "1.4.0", Platform: "linux-amd64", Severity: manifest.Security, CriticalSince: "1.2.0",
			Barrier: true, Strict: true, Essential: true,
			Requires: &manifest.Requires{OS: []string{"linux"}, Arch: []string{"amd64", "arm64"}, MinOS: "5.15",
				Disk: 200 << 20, Memory: 1 << 30, Commands: []string{"git"},
				Packages: []manifest.Dependency{{Name: "libc6", Version: "2.36"}}, Installed: "1.0.0", BelowNext: "2.0.0"},
			Schema: &manifest.Schema{Min: 3, Max: 4, Query: []string{"bin/shop", "data"}},
			Migrations: []manifest.Migration{{Version: 3, Up: []string{"bin/shop", "migrate", "{old}"}},
				{Version: 4, Up: []string{"sh", "-c", "true"}, Down: []string{"false"}, Once: true, Seconds: 90}},
			Hooks:       []manifest.Hook{{Phase: "offline", Command: []string{"bin/shop", "stop"}, Veto: true, Once: true, Seconds: 5}},
			Depends:     []manifest.Dependency{{Name: "core", Version: "1.0.0"}},
			EntryPoints: []string{"bin/shop"}, Notes: "Faster.\nSafer.",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v,\nwant %+v", got, want)
	}
	// Nothing of it is left out by mistake: every fact is set.
	for v, i := reflect.ValueOf(got.Facts), 0; i < v.NumField(); i++ {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Sequence" {
			t.Errorf("fact %s: no way to write it", name)
		}
	}
}

func TestEmpty(t *testing.T) {
	got, err := parse("release.toml", nil, nil)
	if err != nil || got.Channel != "" || len(got.Config) != 0 || !reflect.DeepEqual(got.Facts, manifest.Release{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = parse("release.toml", []byte(`severity = "optional"`), nil); err != nil || got.Facts.Severity != manifest.Optional {
		t.Errorf("optional: got %+v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ text, path, reason string }{
		{"serverity = \"security\"", "line 1", `unknown key "serverity"`},
		{"\n\n[requires]\nram = 1", "line 4", `unknown key "requires.ram"`},
		{"[[hooks]]\nphase = \"place\"\ncommand = [\"a\"]\nsecond = 5", "line 4", `unknown key "hooks.second"`},
		{"[scheme]\nmin = 1", "line 1", `unknown key "scheme"`},
		{"version = 1", "line 1", "cannot"},
		{"barrier = \"yes\"", "line 1", "cannot"},
		{"\nversion = \"1.0.0", "line 2", ""},
		{"[schema]\nmin = -1", "line 2", ""},
		{"product = \"A\"\nproduct = \"B\"", "line 2", "already"},
		{"severity = \"dire\"", "severity", "unknown severity"},
		{"version = \"1\"", "version", "MAJOR"},
		{"channel = \"Stable\"", "channel", "letter or digit"},
		{"notes = \"a\"\nnotes_file = \"b\"", "notes_file", "one of both"},
		{"notes_file = \"gone\"", "notes_file", "no such notes"},
		{"[requires]\ndisk = \"much\"", "requires.disk", "want bytes"},
		{"[requires]\nmemory = \"9000000TiB\"", "requires.memory", "want bytes"},
		{"[requires]\nmemory = \"-1\"", "requires.memory", "want bytes"},
		{"[[migrations]]\nversion = 1\nup = [\"a\"]\ntime = \"1.5s\"", "migrations", "whole seconds"},
		{"[[migrations]]\nversion = 1\nup = [\"a\"]\ntime = \"800h\"", "migrations", "whole seconds"},
		{"[[migrations]]\nversion = 1", "migrations", "want a command"},
		{"[[hooks]]\nphase = \"never\"\ncommand = [\"a\"]", "hooks", "want one of"},
		{"[config]\nmerge = [\"etc/[\"]", "config", "want a path"},
		{"[config]\nkeep = [\"a\"]\nmerge = [\"a\"]", "config", "twice"},
	} {
		_, err := parse("release.toml", []byte(c.text), func(string) ([]byte, error) { return nil, errors.New("no such notes") })
		var invalid *manifest.InvalidError
		if !errors.As(err, &invalid) || !slices.ContainsFunc(invalid.Faults, func(f manifest.Fault) bool {
			return f.Path == c.path && strings.Contains(f.Reason, c.reason)
		}) {
			t.Errorf("%q: want fault %q: %q, got %v", c.text, c.path, c.reason, err)
		}
	}
}

// TestAllFaultsAtOnce wants nobody to mend a file fault by fault.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := parse("release.toml", []byte("colour = 1\nversion = \"x\"\nseverity = \"y\"\nchannel = \"Z\"\n[requires]\ndisk = \"w\"\nshoe = 2\n"), nil)
	var invalid *manifest.InvalidError
	if !errors.As(err, &invalid) || invalid.What != "release.toml" || len(invalid.Faults) != 6 {
		t.Errorf("want 6 faults of release.toml, got %v", err)
	}
}

func TestReadBounds(t *testing.T) {
	name := filepath.Join(t.TempDir(), "release.toml")
	if _, err := Read(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
	write(t, name, strings.Repeat("#", maxFile+1))
	if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a huge file: got %v", err)
	}
	write(t, name, strings.Repeat("#", maxFile))
	if _, err := Read(name); err != nil {
		t.Error(err)
	}
}

// FuzzParse wants no file to bring the reader down, and what it takes to be
// facts that a manifest may have.
func FuzzParse(f *testing.F) {
	for _, s := range []string{whole, "", "version = 1", "[[hooks]]\n[[hooks]]", "a.b.c = {d = [[{}]]}", "[config]\nmerge = [\"[\"]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse("f", b, func(string) ([]byte, error) { return []byte("news"), nil })
		if err != nil {
			return
		}
		facts := got.Facts
		facts.Product, facts.Version, facts.Platform, facts.Sequence = "p", "1.0.0", "any", 1
		if err := facts.Validate(); err != nil {
			t.Errorf("%q: %v", b, err)
		}
	})
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
