// Package releasefile reads what people write about a release: a file in TOML
// with the facts that a publish signs, and the rules for settings files.
//
// docs/RELEASING.md has a whole example. The names are those of the facts in
// docs/FORMAT.md, but for what people would rather write another way: time
// limits ("90s", "5m") and sizes ("200MiB"), notes in a file of their own, and
// settings files by patterns.
//
// # Invariants
//
// [Read] returns all faults of a file at once: keys that it does not know, with
// their lines, and facts that no release may have. What takes the release's
// tree to see is left to the publish. A file that is no TOML, or has a value of
// a wrong type, has that one fault.
package releasefile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
)

// maxFile bounds the bytes of a release file, and of one with notes.
const maxFile = manifest.MaxFacts

// Release is what a release file says.
type Release struct {
	Facts   manifest.Release               // Sequence is 0: the next one; what the file leaves out is empty
	Channel string                         // "" if the file leaves it out
	Config  map[string]manifest.ConfigRule // by path or pattern, as a publish takes it
}

// Read reads a release file. Its faults are a *[manifest.InvalidError].
func Read(name string) (*Release, error) {
	b, err := smallfile.Read(name, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read release file: %w", err)
	}
	return parse(name, b, func(notes string) ([]byte, error) {
		return smallfile.Read(filepath.Join(filepath.Dir(name), filepath.FromSlash(notes)), maxFile)
	})
}

// file is a release file as it is written.
type file struct {
	Product       string   `toml:"product"`
	Version       string   `toml:"version"`
	Platform      string   `toml:"platform"`
	Channel       string   `toml:"channel"`
	Severity      string   `toml:"severity"`
	CriticalSince string   `toml:"critical_since"`
	Barrier       bool     `toml:"barrier"`
	Strict        bool     `toml:"strict"`
	Essential     bool     `toml:"essential"`
	EntryPoints   []string `toml:"entry_points"`
	Notes         string   `toml:"notes"`
	NotesFile     string   `toml:"notes_file"`

	Requires   *requires    `toml:"requires"`
	Schema     *schema      `toml:"schema"`
	Migrations []migration  `toml:"migrations"`
	Hooks      []hook       `toml:"hooks"`
	Depends    []dependency `toml:"depends"`
	Config     config       `toml:"config"`
}

type requires struct {
	OS        []string     `toml:"os"`
	Arch      []string     `toml:"arch"`
	MinOS     string       `toml:"min_os"`
	Disk      string       `toml:"disk"`
	Memory    string       `toml:"memory"`
	Commands  []string     `toml:"commands"`
	Packages  []dependency `toml:"packages"`
	Installed string       `toml:"installed"`
	BelowNext string       `toml:"below_next"`
}

type schema struct {
	Min   uint64   `toml:"min"`
	Max   uint64   `toml:"max"`
	Query []string `toml:"query"`
}

type migration struct {
	Version uint64   `toml:"version"`
	Up      []string `toml:"up"`
	Down    []string `toml:"down"`
	Once    bool     `toml:"once"`
	Time    string   `toml:"time"`
}

type hook struct {
	Phase   string   `toml:"phase"`
	Command []string `toml:"command"`
	Veto    bool     `toml:"veto"`
	Once    bool     `toml:"once"`
	Time    string   `toml:"time"`
}

type dependency struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
}

type config struct {
	Merge []string `toml:"merge"`
	Keep  []string `toml:"keep"`
}

// reader turns a file into a release, and collects its faults.
type reader struct{ faults []manifest.Fault }

func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, manifest.Fault{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func parse(name string, b []byte, notes func(string) ([]byte, error)) (*Release, error) {
	var f file
	var r reader
	dec := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	var strict *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch err := dec.Decode(&f); {
	case err == nil:
	case errors.As(err, &strict):
		for i := range strict.Errors {
			line, _ := strict.Errors[i].Position()
			r.fault(fmt.Sprintf("line %d", line), "unknown key %.80q", strings.Join(strict.Errors[i].Key(), "."))
		}
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		r.fault(fmt.Sprintf("line %d", line), "%s", strings.TrimPrefix(wrong.Error(), "toml: "))
		return nil, &manifest.InvalidError{What: name, Faults: r.faults}
	default:
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	release := r.release(&f)
	if f.NotesFile != "" {
		r.notes(&f, release, notes)
	}
	r.validate(&f, release)
	if len(r.faults) > 0 {
		return nil, &manifest.InvalidError{What: name, Faults: r.faults}
	}
	return release, nil
}

func (r *reader) release(f *file) *Release {
	facts := manifest.Release{
		Product: f.Product, Version: f.Version, Platform: f.Platform, Severity: manifest.Severity(f.Severity),
		CriticalSince: f.CriticalSince, Barrier: f.Barrier, Strict: f.Strict, Essential: f.Essential,
		EntryPoints: f.EntryPoints, Notes: f.Notes, Depends: dependencies(f.Depends),
	}
	if f.Severity == "optional" {
		facts.Severity = manifest.Optional
	}
	if q := f.Requires; q != nil {
		facts.Requires = &manifest.Requires{OS: q.OS, Arch: q.Arch, MinOS: q.MinOS, Commands: q.Commands,
			Packages: dependencies(q.Packages), Installed: q.Installed, BelowNext: q.BelowNext,
			Disk: r.size("requires.disk", q.Disk), Memory: r.size("requires.memory", q.Memory)}
	}
	if s := f.Schema; s != nil {
		facts.Schema = &manifest.Schema{Min: s.Min, Max: s.Max, Query: s.Query}
	}
	for _, g := range f.Migrations {
		facts.Migrations = append(facts.Migrations, manifest.Migration{Version: g.Version, Up: g.Up, Down: g.Down,
			Once: g.Once, Seconds: r.seconds("migrations", g.Time)})
	}
	for _, h := range f.Hooks {
		facts.Hooks = append(facts.Hooks, manifest.Hook{Phase: h.Phase, Command: h.Command, Veto: h.Veto,
			Once: h.Once, Seconds: r.seconds("hooks", h.Time)})
	}
	return &Release{Facts: facts, Channel: f.Channel, Config: r.config(&f.Config)}
}

func dependencies(all []dependency) (list []manifest.Dependency) {
	for _, d := range all {
		list = append(list, manifest.Dependency(d))
	}
	return list
}

// notes takes what is new from a file of its own.
func (r *reader) notes(f *file, release *Release, read func(string) ([]byte, error)) {
	if f.Notes != "" {
		r.fault("notes_file", "there are notes already: want one of both")
		return
	}
	b, err := read(f.NotesFile)
	if err != nil {
		r.fault("notes_file", "%v", err)
	}
	release.Facts.Notes = strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
}

// validate finds the faults that a publish would find in any tree. What the
// file leaves out may come from elsewhere, such as flags.
func (r *reader) validate(f *file, release *Release) {
	facts := release.Facts
	facts.Sequence = 1
	for _, given := range []struct {
		fact  *string
		other string
	}{{&facts.Product, "product"}, {&facts.Version, "1.0.0"}, {&facts.Platform, manifest.AnyPlatform}} {
		if *given.fact == "" {
			*given.fact = given.other
		}
	}
	var invalid *manifest.InvalidError
	if errors.As(facts.Validate(), &invalid) {
		r.faults = append(r.faults, invalid.Faults...)
	}
	if f.Channel != "" {
		if err := manifest.CheckName(f.Channel); err != nil {
			r.fault("channel", "%v", err)
		}
	}
}

// config returns the rules by pattern.
func (r *reader) config(c *config) map[string]manifest.ConfigRule {
	rules := map[string]manifest.ConfigRule{}
	add := func(patterns []string, rule manifest.ConfigRule) {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil || p == "" {
				r.fault("config", "pattern %.200q: want a path, or one with *, ? or [a-z]", p)
			}
			if _, twice := rules[p]; twice {
				r.fault("config", "pattern %.200q: twice", p)
			}
			rules[p] = rule
		}
	}
	add(c.Merge, manifest.MergeConfig)
	add(c.Keep, manifest.KeepConfig)
	return rules
}

// seconds parses a time limit.
func (r *reader) seconds(fact, s string) int {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d%time.Second != 0 || d > manifest.MaxSeconds*time.Second {
		r.fault(fact, `time limit %.40q: want whole seconds up to 30 days, such as "90s" or "5m"`, s)
		return 0
	}
	return int(d / time.Second)
}

// size parses a number of bytes.
func (r *reader) size(fact, s string) int64 {
	if s == "" {
		return 0
	}
	number, shift := s, 0
	for i, unit := range [...]string{"KiB", "MiB", "GiB", "TiB"} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			number, shift = strings.TrimRight(n, " "), 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		r.fault(fact, `size %.40q: want bytes, or a number of KiB, MiB, GiB or TiB such as "200MiB"`, s)
		return 0
	}
	return n << shift
}
