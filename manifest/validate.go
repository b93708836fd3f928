package manifest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing that is wrong with a manifest or a tree.
type Fault struct {
	Path   string // the entry's path, or the name of a fact
	Reason string
}

// InvalidError lists everything that is wrong with a manifest or a tree.
type InvalidError struct {
	What   string // "manifest", or the folder that was scanned
	Faults []Fault
}

// maxShown bounds the length of an error's text; Faults has the whole list.
const maxShown = 20

// Error names the first faults, one a line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d fault", e.What, len(e.Faults))
	if len(e.Faults) != 1 {
		b.WriteByte('s')
	}
	for i, f := range e.Faults {
		if i == maxShown {
			fmt.Fprintf(&b, "\n  … and %d more", len(e.Faults)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %.200q: %s", f.Path, f.Reason)
	}
	return b.String()
}

// Validate checks everything that can be checked without the files, and
// returns an [*InvalidError] with all faults, or nil.
func (m *Manifest) Validate() error {
	var v validator
	v.release(&m.Release)
	v.entries(m.Entries)
	for _, p := range m.Release.EntryPoints {
		if e := m.Lookup(p); e == nil || e.Kind == Dir {
			v.fault("entry_points", "no file %.200q in the release", p)
		}
	}
	v.programs(m)
	return v.err("manifest")
}

// Validate checks the facts alone: all that needs no entries.
func (r *Release) Validate() error {
	var v validator
	v.release(r)
	return v.err("release")
}

// ValidateEntries checks a list of entries alone, as [Manifest.Validate] does.
func ValidateEntries(entries []Entry) error {
	var v validator
	v.entries(entries)
	return v.err("tree")
}

type validator struct{ faults []Fault }

func (v *validator) err(what string) error {
	if len(v.faults) == 0 {
		return nil
	}
	return &InvalidError{What: what, Faults: v.faults}
}

func (v *validator) fault(path, format string, args ...any) {
	v.faults = append(v.faults, Fault{path, fmt.Sprintf(format, args...)})
}

func (v *validator) check(path string, err error) {
	if err != nil {
		v.fault(path, "%v", err)
	}
}

func (v *validator) release(r *Release) {
	v.check("product", CheckName(r.Product))
	v.check("version", CheckVersion(r.Version))
	v.check("platform", CheckPlatform(r.Platform))
	if r.Sequence == 0 || r.Sequence > MaxSequence {
		v.fault("sequence", "%d: want 1 to %d", r.Sequence, uint64(MaxSequence))
	}
	switch r.Severity {
	case Optional, Recommended, Security, Critical:
	default:
		v.fault("severity", "unknown severity %.40q", r.Severity)
	}
	if r.CriticalSince != "" {
		v.check("critical_since", CheckVersion(r.CriticalSince))
	}
	if q := r.Requires; q != nil {
		v.texts("requires", slices.Concat(q.OS, q.Arch, []string{q.MinOS}, q.Commands)...)
		for _, p := range q.Packages {
			v.texts("requires", p.Name, p.Version)
		}
		if q.Disk < 0 || q.Memory < 0 {
			v.fault("requires", "disk and memory must not be negative")
		}
		for _, version := range []string{q.Installed, q.BelowNext} {
			if version != "" {
				v.check("requires", CheckVersion(version))
			}
		}
	}
	if s := r.Schema; s != nil {
		v.texts("schema", s.Query...)
		if s.Min > s.Max {
			v.fault("schema", "min %d is above max %d", s.Min, s.Max)
		}
	}
	v.commands(r)
	for _, d := range r.Depends {
		v.check("depends", CheckName(d.Name))
		if d.Version != "" {
			v.check("depends", CheckVersion(d.Version))
		}
	}
	v.texts("notes", r.Notes)
}

// texts checks what CheckName and its like do not: JSON holds only UTF-8, and
// no fact may hide what it says from a terminal or end early as a C string.
func (v *validator) texts(fact string, texts ...string) {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			v.fault(fact, "not UTF-8")
		}
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
			v.fault(fact, "holds a control character other than newline and tab")
		}
	}
}

func (v *validator) commands(r *Release) {
	last := uint64(0)
	for i, g := range r.Migrations {
		if g.Version == 0 || i > 0 && g.Version <= last {
			v.fault("migrations", "version %d: versions must rise, from 1", g.Version)
		}
		last = g.Version
		v.texts("migrations", g.Up...)
		v.texts("migrations", g.Down...)
		if !isCommand(g.Up) || len(g.Down) > 0 && !isCommand(g.Down) || !isLimit(g.Seconds) {
			v.fault("migrations", "version %d: want a command, and a time limit of 0 to %d seconds", g.Version, MaxSeconds)
		}
	}
	if n := len(r.Migrations); r.Schema != nil && n > 0 && (last < r.Schema.Min || last > r.Schema.Max) {
		v.fault("migrations", "they end at version %d: want one from %d to %d, as the schema says", last, r.Schema.Min, r.Schema.Max)
	}
	for _, h := range r.Hooks {
		v.texts("hooks", h.Phase)
		v.texts("hooks", h.Command...)
		if !slices.Contains(hookPhases[:], h.Phase) {
			v.fault("hooks", "phase %.40q: want one of %s", h.Phase, strings.Join(hookPhases[:], ", "))
		}
		if !isCommand(h.Command) || !isLimit(h.Seconds) {
			v.fault("hooks", "phase %.40q: want a command, and a time limit of 0 to %d seconds", h.Phase, MaxSeconds)
		}
	}
}

// hookPhases are those of [Hook].
var hookPhases = [...]string{"offline", "backup", "place", "online", "undo", "restored"}

func isCommand(words []string) bool { return len(words) > 0 && words[0] != "" }
func isLimit(seconds int) bool      { return 0 <= seconds && seconds <= MaxSeconds }

// programs checks that what commands begin with is in the release, where it is
// a path. What else they name may be made by the programs themselves.
func (v *validator) programs(m *Manifest) {
	check := func(fact string, words []string) {
		if len(words) == 0 || !strings.ContainsAny(words[0], `/\`) {
			return
		}
		if e := m.Lookup(words[0]); e == nil || e.Kind == Dir {
			v.fault(fact, "no file %.200q in the release: a command is the path of one, or a name without a slash", words[0])
		}
	}
	if s := m.Release.Schema; s != nil {
		check("schema", s.Query)
	}
	for _, g := range m.Release.Migrations {
		check("migrations", g.Up)
		check("migrations", g.Down)
	}
	for _, h := range m.Release.Hooks {
		check("hooks", h.Command)
	}
}

// entries checks each entry, the order, and that no two paths are the same
// file, or one below a file, on any file system.
func (v *validator) entries(entries []Entry) {
	if len(entries) > MaxEntries {
		v.fault("", "%d entries, at most %d", len(entries), MaxEntries)
		return
	}
	seen := newNames(len(entries))
	text := 0
	for i := range entries {
		e := &entries[i]
		if text += len(e.Path) + len(e.Link); text > MaxText {
			v.fault(e.Path, "all paths and links have more than %d bytes", MaxText)
			return
		}
		if i > 0 && e.Path <= entries[i-1].Path {
			v.fault(e.Path, "not in order after %.200q", entries[i-1].Path)
		}
		if err := CheckPath(e.Path); err != nil {
			v.check(e.Path, err)
			continue
		}
		v.entry(e)
		seen.add(v, e)
	}
}

func (v *validator) entry(e *Entry) {
	if e.Mode&^0o777 != 0 {
		v.fault(e.Path, "mode %v has more than permission bits", e.Mode)
	}
	if e.Kind > Symlink {
		v.fault(e.Path, "unknown kind %d", e.Kind)
	}
	if e.Kind != File && (e.Size != 0 || !e.Digest.IsZero() || e.Config != NoConfig) {
		v.fault(e.Path, "a %v has neither size, digest nor config rule", e.Kind)
	}
	if e.Kind != Symlink && e.Link != "" {
		v.fault(e.Path, "a %v has no link target", e.Kind)
	}
	switch e.Kind {
	case File:
		if e.Size < 0 || e.Size > MaxFileSize {
			v.fault(e.Path, "size %d is out of range", e.Size)
		}
		if e.Digest.IsZero() {
			v.fault(e.Path, "no digest")
		}
		if e.Config > KeepConfig {
			v.fault(e.Path, "unknown config rule %d", e.Config)
		}
	case Symlink:
		if e.Mode != 0 {
			v.fault(e.Path, "a symlink has no mode")
		}
		v.check(e.Path, CheckLink(e.Path, e.Link))
	}
}

// names finds paths that collide on a file system that ignores case, and
// entries below something that is not a folder.
type names struct {
	seen map[string]name // by folded path
	dirs map[string]bool // folders already noted, by their own spelling
}

type name struct {
	spelling string
	dir      bool
}

func newNames(n int) *names {
	return &names{make(map[string]name, n), map[string]bool{}}
}

// add notes an entry and the folders above it.
func (n *names) add(v *validator, e *Entry) {
	for d := path.Dir(e.Path); d != "." && !n.dirs[d]; d = path.Dir(d) {
		n.dirs[d] = true
		n.note(v, name{d, true})
	}
	n.note(v, name{e.Path, e.Kind == Dir})
}

func (n *names) note(v *validator, now name) {
	f := fold(now.spelling)
	first, seen := n.seen[f]
	switch {
	case !seen:
		n.seen[f] = now
	case first.spelling != now.spelling:
		v.fault(now.spelling, "the same as %.200q where case is ignored", first.spelling)
	case first.dir != now.dir:
		v.fault(now.spelling, "both a folder and something else")
	}
}
