package lifecycle

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/manifest"
)

// drawReleases draws what a product may have published, in no order.
func drawReleases(t *rapid.T) []manifest.Listing {
	var all []manifest.Listing
	sequence := uint64(0)
	for i := range rapid.IntRange(1, 9).Draw(t, "releases") {
		sequence += rapid.Uint64Range(0, 2).Draw(t, "step")
		flag := func(name string, oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(t, name) == 1 }
		l := manifest.Listing{Product: "app", Version: fmt.Sprintf("%d.0.0", i+1), Sequence: max(1, sequence), Platform: manifest.AnyPlatform,
			Channels: []string{"stable"}, Digest: manifest.Sum([]byte{byte(i)}),
			Barrier: flag("barrier", 3), Strict: flag("strict", 4), Unstable: flag("unstable", 6)}
		if flag("withdrawn", 5) {
			l.Withdrawn, l.Retreat = "bad", rapid.Bool().Draw(t, "retreat")
		}
		if flag("linux", 3) {
			l.Platform = "linux-amd64"
		}
		if flag("beta", 4) {
			l.Channels = []string{"beta"}
		}
		if flag("limited", 3) {
			l.Rollout = map[string]manifest.Rollout{"stable": {Percent: rapid.SampledFrom([]int{0, 40, 100}).Draw(t, "percent"), Halted: flag("halted", 4)}}
		}
		if flag("recommended", 8) {
			l.Recommended = []string{"stable"}
		}
		l.Severity = rapid.SampledFrom([]manifest.Severity{"", "", "security", "critical"}).Draw(t, "severity")
		all = append(all, l)
	}
	return shuffled(t, all)
}

func shuffled(t *rapid.T, all []manifest.Listing) []manifest.Listing {
	all = slices.Clone(all)
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func drawWish(t *rapid.T, all []manifest.Listing) Wish {
	w := Wish{Channel: "stable", Platform: rapid.SampledFrom([]string{"linux-amd64", "any"}).Draw(t, "platform"),
		Unstable: rapid.Bool().Draw(t, "take unstable"), Install: []byte(rapid.StringN(1, 4, 8).Draw(t, "id")),
		TooNew:   rapid.SampledFrom([]WhenTooNew{"", WarnTooNew, HoldTooNew, ReturnTooNew}).Draw(t, "too new"),
		Rejected: map[manifest.Digest]string{}}
	if rapid.Bool().Draw(t, "by version") {
		w.Version = rapid.SampledFrom(all).Draw(t, "version").Version
	}
	if l := rapid.SampledFrom(all).Draw(t, "installed"); rapid.Bool().Draw(t, "is installed") {
		w.Installed = &manifest.Release{Product: "app", Version: l.Version, Sequence: l.Sequence, Platform: l.Platform}
	}
	if rapid.Bool().Draw(t, "one failed here") {
		w.Rejected[rapid.SampledFrom(all).Draw(t, "failed").Digest] = "smoke"
	}
	return w
}

// stands returns the releases that an install may be on, by the words of the
// rules and not by the code of NewLine.
func stands(all []manifest.Listing, w Wish) (list []manifest.Listing) {
	for _, l := range all {
		isTwin := func(o manifest.Listing) bool {
			return o.Sequence == l.Sequence && o.Withdrawn == "" && slices.Contains(o.Channels, w.Channel) &&
				(o.Platform == w.Platform && l.Platform != w.Platform || o.Platform == l.Platform && o.Version < l.Version)
		}
		if l.Withdrawn == "" && slices.Contains(l.Channels, w.Channel) && (l.Platform == w.Platform || l.Platform == "any") &&
			!slices.ContainsFunc(all, isTwin) {
			list = append(list, l)
		}
	}
	return list
}

// mayHop says whether an update may go from one sequence to a release at once.
func mayHop(releases []manifest.Listing, from uint64, to manifest.Listing) bool {
	for _, between := range releases {
		if between.Sequence > from && between.Sequence < to.Sequence && (between.Barrier || to.Strict) {
			return false
		}
	}
	return true
}

// TestRoutes wants every route to begin after what is installed, to end where
// it should, to jump nothing that may not be jumped, and to have no hop that it
// could do without.
func TestRoutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawReleases(t)
		w := drawWish(t, all)
		c, err := Choose(all, w)
		if err != nil || c.Head == nil {
			if c.Route != nil {
				t.Fatalf("a route to nowhere: %+v", c.Route)
			}
			return
		}
		if last := c.Route[len(c.Route)-1]; !reflect.DeepEqual(last, *c.Head) {
			t.Fatalf("head %s, but the route ends at %s", c.Head.Version, last.Version)
		}
		if w.Version != "" && c.Head.Version != w.Version {
			t.Fatalf("want version %s, got %s", w.Version, c.Head.Version)
		}
		if w.Installed == nil || c.Head.Sequence <= w.Installed.Sequence {
			if len(c.Route) != 1 {
				t.Fatalf("from %v: want one hop, got %+v", w.Installed, c.Route)
			}
			return
		}
		from, releases := w.Installed.Sequence, stands(all, w)
		for i, hop := range c.Route {
			if hop.Sequence <= from || !slices.ContainsFunc(releases, func(l manifest.Listing) bool { return l.Digest == hop.Digest }) {
				t.Fatalf("hop to %s after %d", hop.Version, from)
			}
			if !mayHop(releases, from, hop) {
				t.Fatalf("from %d to %s something is jumped that may not be", from, hop.Version)
			}
			if i+1 < len(c.Route) && mayHop(releases, from, c.Route[i+1]) {
				t.Fatalf("the stop at %s is needless", hop.Version)
			}
			from = hop.Sequence
		}
	})
}

// TestNewest compares the choice with a search through everything that can be
// reached by taking only what may be taken.
func TestNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawReleases(t)
		w := drawWish(t, all)
		if w.Version = ""; w.Installed == nil {
			return
		}
		line := NewLine(all, w.Channel, w.Platform)
		limit := uint64(manifest.MaxSequence)
		if r := line.recommended("stable"); r != nil && (w.Installed.Sequence <= r.Sequence || w.TooNew == HoldTooNew || w.TooNew == ReturnTooNew) {
			limit = r.Sequence
		}
		releases := stands(all, w)
		reached := map[uint64]bool{w.Installed.Sequence: true}
		newest := w.Installed.Sequence
		slices.SortFunc(releases, func(a, b manifest.Listing) int { return cmp.Compare(a.Sequence, b.Sequence) })
		for _, l := range releases {
			if l.Sequence <= w.Installed.Sequence || l.Sequence > limit || w.reason(&l) != "" {
				continue
			}
			for from := range reached {
				if mayHop(releases, from, l) {
					reached[l.Sequence], newest = true, l.Sequence
					break
				}
			}
		}
		c, err := Choose(all, w)
		got := w.Installed.Sequence
		if err == nil && c.Head != nil {
			got = max(got, c.Head.Sequence)
		}
		if got != newest {
			t.Fatalf("want sequence %d, got %d: %+v, %v", newest, got, c, err)
		}
	})
}

// TestSame wants the same answer whatever the order, and after the update
// nothing more to do.
func TestSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawReleases(t)
		w := drawWish(t, all)
		c, err := Choose(all, w)
		again, err2 := Choose(shuffled(t, all), w)
		if !reflect.DeepEqual(c, again) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("got %+v, %v, in another order %+v, %v", c, err, again, err2)
		}
		if err != nil || c.Head == nil || w.Version != "" {
			return
		}
		w.Installed = &manifest.Release{Product: "app", Version: c.Head.Version, Sequence: c.Head.Sequence, Platform: c.Head.Platform}
		if then, err := Choose(all, w); err != nil || then.Head != nil && then.Head.Sequence != c.Head.Sequence {
			t.Fatalf("went to %s, and then on to %+v, %v", c.Head.Version, then, err)
		}
	})
}

func TestRollout(t *testing.T) {
	release, other := manifest.Sum([]byte("release")), manifest.Sum([]byte("other"))
	const installs = 4000
	share := map[int]int{}
	both := 0
	for i := range installs {
		id := binary.BigEndian.AppendUint64(nil, uint64(i))
		was := false
		for _, percent := range []int{0, 1, 10, 50, 99, 100} {
			in := inRollout(id, release, percent)
			if was && !in {
				t.Fatalf("install %d is in before %d %%, and then out", i, percent)
			}
			if was = in; in {
				share[percent]++
			}
		}
		if inRollout(id, release, 50) && inRollout(id, other, 50) {
			both++
		}
	}
	if share[0] != 0 || share[100] != installs {
		t.Errorf("0 %%: %d of %d, 100 %%: %d", share[0], installs, share[100])
	}
	// The ids are fixed, so this is too: about five standard deviations.
	for percent, tolerance := range map[int]int{1: 32, 10: 95, 50: 160, 99: 32} {
		if want := installs * percent / 100; share[percent] < want-tolerance || share[percent] > want+tolerance {
			t.Errorf("%d %%: want about %d, got %d", percent, want, share[percent])
		}
	}
	if both < 860 || both > 1140 {
		t.Errorf("the first half for one release: %d of them for the other, want about a quarter of all", both)
	}
	// SHA-256 of "a" and 32 zeros begins with df2a0ad6, which is 87.17 % of 2^32.
	if inRollout([]byte("a"), manifest.Digest{}, 87) || !inRollout([]byte("a"), manifest.Digest{}, 88) {
		t.Error("not the number that is documented")
	}
}
