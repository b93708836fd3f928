package lifecycle

import (
	"cmp"
	"slices"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Line is what of a product's releases an install may go along, in order of
// sequences: those of a channel and a platform that stand. What is withdrawn is
// as if it had never been.
type Line []manifest.Listing

// NewLine returns the line among all releases of a product. Where a sequence
// has a release for the platform and one for any, the former is taken.
func NewLine(all []manifest.Listing, channel, platform string) Line {
	var line Line
	for _, l := range all {
		if l.Withdrawn == "" && onLine(&l, channel, platform) {
			line = append(line, l)
		}
	}
	slices.SortStableFunc(line, func(a, b manifest.Listing) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Version, b.Version))
	})
	return slices.CompactFunc(line, func(a, b manifest.Listing) bool { return a.Sequence == b.Sequence })
}

func onLine(l *manifest.Listing, channel, platform string) bool {
	return slices.Contains(l.Channels, channel) && (l.Platform == platform || l.Platform == manifest.AnyPlatform)
}

// rank is lower for what goes first.
func rank(l *manifest.Listing) int {
	if l.Platform == manifest.AnyPlatform {
		return 1
	}
	return 0
}

// Stop returns the last release that every older install has to be brought to
// before it goes on to a release, which need not be on the line yet: the one
// just before a strict release, or else the last barrier. It is nil where there
// is none.
func (l Line) Stop(to *manifest.Listing) *manifest.Listing {
	before := len(l)
	for before > 0 && l[before-1].Sequence >= to.Sequence {
		before--
	}
	for i := before - 1; i >= 0; i-- {
		if to.Strict || l[i].Barrier {
			return &l[i]
		}
	}
	return nil
}

// Route returns the hops from the release with a sequence to a newer one, which
// is the last of them. It jumps no barrier, and comes to a strict release only
// from the one just before. A sequence of 0 is that of no release: an install
// from nothing goes straight to its end, for there is nothing to migrate.
func (l Line) Route(from uint64, to *manifest.Listing) []manifest.Listing {
	hops := []manifest.Listing{*to}
	if from == 0 {
		return hops
	}
	for stop := l.Stop(to); stop != nil && stop.Sequence > from; stop = l.Stop(stop) {
		hops = append(hops, *stop)
	}
	slices.Reverse(hops)
	return hops
}
