package publisher

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// listingsOf returns what is listed of published releases.
func listingsOf(all []published) []manifest.Listing {
	list := make([]manifest.Listing, len(all))
	for i := range all {
		list[i] = all[i].Listing
	}
	return list
}

// basesOf returns the releases that packs to a release start from: the last n
// before it on a channel, newest first. Where its platform has none there, those
// for any platform count. No update comes from before the last stop of a route,
// but all older installs come from that stop itself, so it is one of them
// however long ago it was.
func basesOf(all []published, to *manifest.Release, channel string, n int) (bases []published) {
	listing := to.List()
	from := uint64(0)
	if stop := lifecycle.NewLine(listingsOf(all), channel, to.Platform).Stop(&listing); stop != nil {
		from = stop.Sequence
	}
	for _, platform := range []string{to.Platform, manifest.AnyPlatform} {
		for _, p := range all {
			if p.Platform == platform && from <= p.Sequence && p.Sequence < to.Sequence && slices.Contains(p.Channels, channel) {
				bases = append(bases, p)
			}
		}
		if len(bases) > 0 {
			break
		}
	}
	slices.SortStableFunc(bases, func(a, b published) int { return cmp.Compare(b.Sequence, a.Sequence) })
	chosen := bases[:min(max(n, 0), len(bases))]
	if last := len(bases) - 1; 0 < n && n <= last && bases[last].Sequence == from {
		chosen = append(slices.Clip(chosen), bases[last])
	}
	return chosen
}

// find returns the release that a listing is of.
func find(all []published, l *manifest.Listing) *published {
	for i := range all {
		if p := &all[i]; p.Sequence == l.Sequence && p.Platform == l.Platform && p.Version == l.Version {
			return p
		}
	}
	return nil
}

// fits checks the release against others of its channel, and returns all faults
// in one error.
func (j *job) fits(ctx context.Context) error {
	facts := &j.manifest.Release
	line := lifecycle.NewLine(listingsOf(j.all), j.channel, facts.Platform)
	for _, l := range line {
		if slices.Contains(l.Recommended, j.channel) {
			j.report.Recommended = l.Version
		}
	}
	faults, err := j.dropped(ctx, line, facts)
	if err != nil {
		return err
	}
	for _, d := range facts.Depends {
		more, err := j.conflicts(ctx, d.Name)
		if err != nil {
			return err
		}
		faults = append(faults, more...)
	}
	if len(faults) > 0 {
		return &manifest.InvalidError{What: fmt.Sprintf("%s %s on channel %s", facts.Product, facts.Version, j.channel), Faults: faults}
	}
	return nil
}

// dropped finds migrations that earlier releases have and this one has not. An
// update may skip all releases since the last stop of a route, so it must carry
// the migrations of all of them. One that is not strict carries those of all
// before it, so the search ends there.
func (s *session) dropped(ctx context.Context, line lifecycle.Line, facts *manifest.Release) (faults []manifest.Fault, err error) {
	listing := facts.List()
	from, done := uint64(0), uint64(0) // the stop, and the data version it makes
	if stop := line.Stop(&listing); stop != nil {
		m, err := s.manifestOf(ctx, stop)
		if err != nil {
			return nil, err
		}
		from, done = stop.Sequence, dataOf(&m.Release)
	}
	told := map[uint64]bool{}
	for i := range slices.Backward(line) {
		earlier := &line[i]
		if earlier.Sequence <= from || earlier.Sequence >= facts.Sequence {
			continue
		}
		m, err := s.manifestOf(ctx, earlier)
		if err != nil {
			return nil, err
		}
		for _, g := range m.Release.Migrations {
			if g.Version > done && !told[g.Version] && !migrates(facts, g.Version) {
				told[g.Version] = true
				faults = append(faults, manifest.Fault{Path: "migrations",
					Reason: fmt.Sprintf("version %d of release %s is missing: want all since the last barrier", g.Version, earlier.Version)})
			}
		}
		if !earlier.Strict {
			break
		}
	}
	return faults, nil
}

func migrates(r *manifest.Release, version uint64) bool {
	return slices.ContainsFunc(r.Migrations, func(g manifest.Migration) bool { return g.Version == version })
}

// dataOf returns the version that data has at least when a release runs.
func dataOf(r *manifest.Release) uint64 {
	switch n := len(r.Migrations); {
	case n > 0:
		return r.Migrations[n-1].Version
	case r.Schema != nil:
		return r.Schema.Min
	}
	return 0
}

// manifestOf reads the manifest of a release that is listed.
func (s *session) manifestOf(ctx context.Context, l *manifest.Listing) (*manifest.Manifest, error) {
	all, err := releases(l.Product, s.editor.Targets(l.Product))
	if err != nil {
		return nil, err
	}
	p := find(all, l)
	if p == nil {
		return nil, fmt.Errorf("%s %s for %s: not listed", l.Product, l.Version, l.Platform)
	}
	m, _, err := loadManifest(ctx, s.o.Store, *p)
	return m, err
}

// conflicts returns the paths that the release and the head of another product
// on its channel cannot both have in one tree. What is not published here is
// left to the clients to check.
func (j *job) conflicts(ctx context.Context, product string) ([]manifest.Fault, error) {
	all, err := releases(product, j.editor.Targets(product))
	if err != nil {
		return nil, err
	}
	line := lifecycle.NewLine(listingsOf(all), j.channel, j.manifest.Release.Platform)
	if len(line) == 0 {
		return nil, nil
	}
	head := &line[len(line)-1]
	m, err := j.manifestOf(ctx, head)
	if err != nil {
		return nil, err
	}
	faults := manifest.Conflicts(j.manifest.Entries, m.Entries)
	for i := range faults {
		faults[i].Reason += fmt.Sprintf(" (with %s %s)", product, head.Version)
	}
	return faults, nil
}

// unlocks returns what keeps a barrier from being withdrawn: without it,
// installs from before would go straight to releases that lack its migrations.
func (s *session) unlocks(ctx context.Context, all []published, barrier *published) (faults []manifest.Fault, err error) {
	without := listingsOf(all)
	for i := range without {
		if without[i].Version == barrier.Version && without[i].Platform == barrier.Platform {
			without[i].Withdrawn = "about to be"
		}
	}
	m, err := s.manifestOf(ctx, &barrier.Listing)
	if err != nil {
		return nil, err
	}
	for _, channel := range barrier.Channels {
		line := lifecycle.NewLine(without, channel, barrier.Platform)
		for i := range line {
			if line[i].Sequence < barrier.Sequence {
				continue
			}
			later, err := s.manifestOf(ctx, &line[i])
			if err != nil {
				return nil, err
			}
			for _, g := range m.Release.Migrations {
				if !migrates(&later.Release, g.Version) {
					faults = append(faults, manifest.Fault{Path: line[i].Version,
						Reason: fmt.Sprintf("it lacks migration %d of the barrier %s: withdraw it first", g.Version, barrier.Version)})
				}
			}
			if line[i].Barrier {
				break
			}
		}
	}
	return faults, nil
}
