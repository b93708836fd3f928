package publisher

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Level says how much a Finding matters.
type Level string

// The levels of a Finding.
const (
	Fault   Level = "fault"   // clients fail because of it
	Warning Level = "warning" // they will, or somebody can make them
	Note    Level = "note"    // good to know
)

// Finding is something that the publisher of a repository should know.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // a file, role, product or channel
	Text  string `json:"text"`
}

// Examine looks for what is wrong with a repository, and for what will be: expiry,
// keys, releases whose files are missing or of another size, channels without a
// release, files that nothing needs. It reads the signed documents, and only lists
// the rest: [Publisher.Verify] reads all. It takes no lock and needs no keys.
func (p *Publisher) Examine(ctx context.Context) ([]Finding, error) {
	c := &check{Publisher: p}
	x := &examiner{collector: &collector{session: &session{Publisher: p, editor: c.metadata(ctx)}, used: map[string]bool{timestampName: true}},
		now: p.o.Now(), files: map[string]store.Info{}}
	for _, f := range c.faults {
		x.find(Fault, f.Path, "%s", f.Reason)
	}
	if x.editor == nil {
		return x.findings, ctx.Err()
	}
	x.old = x.now.Add(-defaultGrace)
	if err := x.survey(ctx); err != nil {
		return nil, err
	}
	for _, file := range x.all {
		x.files[file.Name] = file
	}
	roles := x.editor.Roles()
	x.expiry(roles)
	x.keys(roles)
	for _, product := range x.editor.Products() {
		if err := x.product(ctx, product); err != nil {
			return nil, err
		}
	}
	x.leftovers(ctx)
	slices.SortStableFunc(x.findings, func(a, b Finding) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return x.findings, ctx.Err()
}

func (l Level) rank() int { return slices.Index([]Level{Fault, Warning, Note}, l) }

// examiner is one examination under way.
type examiner struct {
	*collector
	now      time.Time
	files    map[string]store.Info // all that the store holds
	findings []Finding
}

func (x *examiner) find(l Level, about, format string, args ...any) {
	x.findings = append(x.findings, Finding{l, about, fmt.Sprintf(format, args...)})
}

// expiry warns of what has less than a quarter of its life before it. What has
// expired is known already.
func (x *examiner) expiry(roles []trust.Role) {
	for _, r := range roles {
		left, life := r.Expires.Sub(x.now), r.Expires.Sub(x.files[r.File].Modified)
		if left > 0 && left < life/4 {
			x.find(Warning, r.File, "expires on %s, in %s", r.Expires.UTC().Format(time.DateOnly), roughly(left))
		}
	}
}

func roughly(d time.Duration) string {
	if days := int(d.Hours() / 24); days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	return d.Round(time.Minute).String()
}

// keys looks for keys whose loss or theft would be worse than it need be.
func (x *examiner) keys(roles []trust.Role) {
	root := roles[0]
	for _, r := range roles {
		switch n := len(r.Keys); {
		case n < r.Threshold:
			x.find(Fault, r.Name, "needs %d signatures, and has %d keys that count", r.Threshold, n)
		case n > 1 && n == r.Threshold:
			x.find(Warning, r.Name, "needs all of its %d keys: if one is lost, nobody can sign", n)
		}
		if r.Name == root.Name {
			continue
		}
		for _, id := range r.Keys {
			if slices.Contains(root.Keys, id) {
				x.find(Warning, r.Name, "its key %.16s is one of root: who uses it from day to day can lose it to a thief", id)
			}
		}
	}
	if root.Threshold == 1 {
		x.find(Note, root.Name, "one key replaces all others, and there is no second opinion")
	}
	if len(root.Keys) == 1 {
		x.find(Note, root.Name, "has one key: if it is lost, installs need a new root.json by another way, by %s",
			root.Expires.UTC().Format(time.DateOnly))
	}
}

// product looks for missing files, and at what the channels lead to.
func (x *examiner) product(ctx context.Context, product string) error {
	targets := x.editor.Targets(product)
	all, err := releases(product, targets)
	if err != nil {
		x.find(Fault, product, "%v", err)
		return nil
	}
	want := map[string]int64{}
	for _, t := range targets {
		want[t.File()] = t.Length
	}
	loaded := map[string]*release{}
	for _, p := range all {
		if !x.there(p.manifestFile.File()) || !x.there(p.indexFile.File()) {
			continue // told below
		}
		r, err := load(ctx, x.o.Store, p)
		if err != nil {
			x.find(Fault, fmt.Sprintf("%s %s for %s", p.Product, p.Version, p.Platform), "%v", err)
			continue
		}
		loaded[p.manifestFile.Name] = r
		maps.Copy(want, r.files())
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if file, there := x.files[name]; !there {
			x.find(Fault, name, "is missing")
		} else if file.Size != want[name] {
			x.find(Fault, name, "want %d bytes, got %d", want[name], file.Size)
		}
	}
	x.channels(product, all, loaded)
	return ctx.Err()
}

func (x *examiner) there(name string) bool {
	_, ok := x.files[name]
	return ok
}

// channels tells where the channels of a product lead to.
func (x *examiner) channels(product string, all []published, loaded map[string]*release) {
	type line struct{ platform, channel string }
	heads := map[line][]published{} // that stand, in order of sequences
	for _, p := range all {
		for _, channel := range p.Channels {
			l := line{p.Platform, channel}
			stand := heads[l]
			if p.Withdrawn == "" {
				stand = append(stand, p)
			}
			heads[l] = stand // none, too
		}
	}
	for _, l := range slices.SortedFunc(maps.Keys(heads), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.channel, b.channel), cmp.Compare(a.platform, b.platform))
	}) {
		about, stand := fmt.Sprintf("%s %s for %s", product, l.channel, l.platform), heads[l]
		if len(stand) == 0 {
			x.find(Warning, about, "all of its releases are withdrawn: nobody can install it")
			continue
		}
		i := headOf(stand, l.channel)
		if i < 0 {
			x.find(Note, about, "leads nowhere: each of its releases is unstable, halted, or rolled out to nobody")
			continue
		}
		head := stand[i]
		share := ""
		if r, limited := head.Rollout[l.channel]; limited && r.Percent < 100 {
			share = fmt.Sprintf(" for %d %% of installs", r.Percent)
		}
		x.find(Note, about, "leads to %s%s; a program built now may name %d as its floor", head.Version, share, head.Sequence)
		r := loaded[head.manifestFile.Name]
		if r == nil || i == 0 {
			continue
		}
		before := stand[i-1]
		if !slices.ContainsFunc(r.index.Packs, func(p manifest.Pack) bool { return p.FromDigest == before.Digest }) {
			x.find(Note, about, "has no delta from %s to %s", before.Version, head.Version)
		}
	}
}

// headOf returns the index of the release that a channel leads to, of those that
// stand: the newest that installs may take by themselves; -1 if there is none.
func headOf(stand []published, channel string) int {
	recommended := func(p published) bool { return slices.Contains(p.Recommended, channel) }
	beyond := slices.ContainsFunc(stand, recommended)
	for i, p := range slices.Backward(stand) {
		beyond = beyond && !recommended(p)
		rollout, limited := p.Rollout[channel]
		if !beyond && !p.Unstable && !(limited && (rollout.Halted || rollout.Percent == 0)) {
			return i
		}
	}
	return -1
}

// leftovers tells what nothing needs, and what time will not make old.
func (x *examiner) leftovers(ctx context.Context) {
	for _, file := range x.all {
		if file.Modified.After(x.now.Add(time.Hour)) {
			x.find(Warning, file.Name, "was written at %s, which is still to come: a clock is wrong", file.Modified.UTC().Format(time.RFC3339))
		}
	}
	if x.mark(ctx) != nil {
		return // told already
	}
	done := x.choose()
	if len(done.Files) > 0 {
		x.find(Note, "gc", "%d files with %d bytes can go", len(done.Files), done.Bytes)
	}
	if done.Young > 0 {
		x.find(Note, "gc", "%d files are out of use, and can go later", done.Young)
	}
}
