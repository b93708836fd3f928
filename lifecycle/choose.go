package lifecycle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Errors of a choice that callers tell apart.
var (
	// ErrNoRelease means that the channel has no release that fits.
	ErrNoRelease = errors.New("no such release")
	// ErrDowngrade means that the release is older than the installed one.
	ErrDowngrade = errors.New("older than the installed release")
	// ErrFloor means that a release is older than any that may be installed here.
	ErrFloor = errors.New("below the floor of this install")
)

// A WithdrawnError says that the publisher has taken a release back.
type WithdrawnError struct {
	Version string
	Reason  string // the publisher's
}

func (e *WithdrawnError) Error() string {
	return fmt.Sprintf("version %s was withdrawn: %s", e.Version, e.Reason)
}

// WhenTooNew says what becomes of an install that is newer than the release that
// its channel recommends.
type WhenTooNew string

// What may become of it. The empty one means WarnTooNew.
const (
	WarnTooNew   WhenTooNew = "warn"   // it is told, and goes on to newer ones
	HoldTooNew   WhenTooNew = "hold"   // it stays until something newer is recommended
	ReturnTooNew WhenTooNew = "return" // it goes back to what is recommended
)

// ParseTooNew reads one of these words, or none.
func ParseTooNew(s string) (WhenTooNew, error) {
	switch t := WhenTooNew(s); t {
	case "", WarnTooNew, HoldTooNew, ReturnTooNew:
		return t, nil
	}
	return "", fmt.Errorf("too new: want warn, hold or return, got %.40q", s)
}

// Wish says which release is wanted, and what is known of the install.
type Wish struct {
	Channel   string
	Platform  string
	Version   string            // "" means the newest that the install takes by itself
	Installed *manifest.Release // nil when nothing is
	Floor     uint64            // lowest sequence
	Downgrade bool              // an older release than the installed one will do
	Unstable  bool              // so will an unstable one
	TooNew    WhenTooNew
	Install   []byte                     // the install's id, for rollouts
	Rejected  map[manifest.Digest]string // releases that failed here, and why
}

// Choice is what becomes of a wish.
type Choice struct {
	Head        *manifest.Listing  // where to go; nil: stay
	Route       []manifest.Listing // the hops to it, Head the last; none to stay
	Severity    manifest.Severity  // the most urgent one among what is newer, up to Head
	Passed      []Passed           // newer releases than Head, or than what is installed, newest first
	Recommended string             // version that the channel recommends; "" for none
	TooNew      bool               // what is installed is newer than that
}

// Passed is a release that is not taken by itself. It can be asked for by its
// version.
type Passed struct {
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// Choose returns where an install is to go. It depends on nothing but its
// arguments, and not on the order of the releases.
//
// Without a version it is the newest release of the line that the install takes
// by itself: not unstable, not failed here, not beyond what the channel
// recommends, and with its rollout come this far; critical ones do not wait for
// that, but do not go on where it is halted. The same must hold for every stop
// on the way, because what may not be taken may not be jumped either. Who has a
// withdrawn release goes back without asking only if the publisher signed that.
func Choose(all []manifest.Listing, w Wish) (*Choice, error) {
	line := NewLine(all, w.Channel, w.Platform)
	c := &Choice{}
	if r := line.recommended(w.Channel); r != nil {
		c.Recommended = r.Version
		c.TooNew = w.Installed != nil && w.Installed.Sequence > r.Sequence
	}
	if w.Version != "" {
		return c, w.byVersion(c, line, all)
	}
	return c, w.byItself(c, line, all)
}

// byVersion goes to the version that is asked for, whatever is said of it, but
// that it is withdrawn.
func (w *Wish) byVersion(c *Choice, line Line, all []manifest.Listing) error {
	i := slices.IndexFunc(line, func(l manifest.Listing) bool { return l.Version == w.Version })
	if i < 0 {
		for _, l := range all {
			if l.Version == w.Version && l.Withdrawn != "" && onLine(&l, w.Channel, w.Platform) {
				return &WithdrawnError{l.Version, l.Withdrawn}
			}
		}
		return fmt.Errorf("version %s on channel %s for %s: %w", w.Version, w.Channel, w.Platform, ErrNoRelease)
	}
	for j := i + 1; j < len(line); j++ {
		if line[j].Version == w.Version { // for this platform, and newer than that for any
			i = j
		}
	}
	to := &line[i]
	if err := w.aboveFloor(to); err != nil {
		return err
	}
	if w.isBack(to) && !w.Downgrade {
		return fmt.Errorf("version %s (sequence %d) over %s (sequence %d): %w",
			to.Version, to.Sequence, w.Installed.Version, w.Installed.Sequence, ErrDowngrade)
	}
	w.goTo(c, line, to, all)
	return nil
}

func (w *Wish) byItself(c *Choice, line Line, all []manifest.Listing) error {
	if len(line) == 0 {
		return fmt.Errorf("channel %s for %s: %w", w.Channel, w.Platform, ErrNoRelease)
	}
	if err := w.aboveFloor(&line[len(line)-1]); err != nil {
		return err
	}
	reasons := w.reasons(line, c.Recommended)
	best := -1
	for i := range slices.Backward(line) {
		if reasons[i] == "" {
			best = i
			break
		}
		if !w.isBack(&line[i]) && !w.isInstalled(&line[i]) {
			c.Passed = append(c.Passed, Passed{line[i].Version, reasons[i]})
		}
	}
	switch {
	case best < 0 && w.Installed == nil:
		return fmt.Errorf("channel %s for %s: %s is not for this install: %s: %w",
			w.Channel, w.Platform, c.Passed[0].Version, c.Passed[0].Reason, ErrNoRelease)
	case best < 0:
		return nil
	case w.isBack(&line[best]) && !w.Downgrade && !mustRetreat(all, w.Installed) &&
		!(c.TooNew && w.TooNew == ReturnTooNew && line[best].Version == c.Recommended):
		return nil
	}
	if err := w.aboveFloor(&line[best]); err != nil {
		return err
	}
	w.goTo(c, line, &line[best], all)
	return nil
}

// goTo completes a choice.
func (w *Wish) goTo(c *Choice, line Line, to *manifest.Listing, all []manifest.Listing) {
	c.Head = to
	switch {
	case w.Installed == nil:
		c.Route = line.Route(0, to)
	case w.isBack(to):
		c.Route = []manifest.Listing{*to}
	default:
		c.Route = line.Route(w.Installed.Sequence, to)
	}
	c.Severity = w.urgency(to, all)
}

// reasons says of each release of the line why the install does not take it by
// itself, or "".
func (w *Wish) reasons(line Line, recommended string) []string {
	why := make([]string, len(line))
	index := make(map[uint64]int, len(line))
	limit := uint64(manifest.MaxSequence)
	if r := line.recommended(w.Channel); r != nil && !(w.isBack(r) && (w.TooNew == "" || w.TooNew == WarnTooNew)) {
		limit = r.Sequence
	}
	for i := range line {
		l := &line[i]
		index[l.Sequence] = i
		why[i] = w.reason(l)
		if l.Sequence > limit {
			why[i] = "the channel recommends " + recommended
		}
		stop := line.Stop(l)
		if why[i] != "" || stop == nil || w.Installed == nil || w.isBack(stop) || w.isInstalled(stop) {
			continue
		}
		if j := index[stop.Sequence]; why[j] != "" {
			why[i] = stop.Version + " comes before it: " + why[j]
		}
	}
	return why
}

// reason says why the install does not take a release by itself, as far as that
// has nothing to do with other releases.
func (w *Wish) reason(l *manifest.Listing) string {
	failed, isRejected := w.Rejected[l.Digest]
	rollout, limited := l.Rollout[w.Channel]
	switch {
	case isRejected:
		return "it has failed here: " + failed
	case l.Unstable && !w.Unstable:
		return "it is unstable"
	case limited && rollout.Halted:
		return "its rollout is halted"
	case limited && !isCritical(l, w.Installed) && !inRollout(w.Install, l.Digest, rollout.Percent):
		return fmt.Sprintf("its rollout is at %d %%", rollout.Percent)
	}
	return ""
}

// recommended returns the newest release that the channel recommends, or nil.
func (l Line) recommended(channel string) *manifest.Listing {
	for i := range slices.Backward(l) {
		if slices.Contains(l[i].Recommended, channel) {
			return &l[i]
		}
	}
	return nil
}

// isBack reports whether the way to a release is back.
func (w *Wish) isBack(l *manifest.Listing) bool {
	return w.Installed != nil && w.Installed.Sequence > l.Sequence
}

func (w *Wish) isInstalled(l *manifest.Listing) bool {
	return w.Installed != nil && w.Installed.Sequence == l.Sequence
}

func (w *Wish) aboveFloor(l *manifest.Listing) error {
	if l.Sequence >= w.Floor || w.Downgrade {
		return nil
	}
	return fmt.Errorf("version %s (sequence %d), floor %d: %w", l.Version, l.Sequence, w.Floor, ErrFloor)
}

// urgency returns the most urgent severity among the releases after the
// installed one, up to a release; also of those withdrawn, whose fixes are in
// what came after them.
func (w *Wish) urgency(to *manifest.Listing, all []manifest.Listing) manifest.Severity {
	severities := []manifest.Severity{manifest.Optional, manifest.Recommended, manifest.Security, manifest.Critical}
	worst := slices.Index(severities, to.Severity)
	for i := range all {
		l := &all[i]
		if w.Installed == nil || !onLine(l, w.Channel, w.Platform) || l.Sequence > to.Sequence || l.Sequence <= w.Installed.Sequence {
			continue
		}
		if worst = max(worst, slices.Index(severities, l.Severity)); isCritical(l, w.Installed) {
			return manifest.Critical
		}
	}
	return severities[max(worst, 0)]
}

// ListingOf returns what is published of an installed release, or nil.
func ListingOf(all []manifest.Listing, installed *manifest.Release) *manifest.Listing {
	for i := range all {
		l := &all[i]
		if installed != nil && l.Version == installed.Version && l.Platform == installed.Platform && l.Sequence == installed.Sequence {
			return l
		}
	}
	return nil
}

func mustRetreat(all []manifest.Listing, installed *manifest.Release) bool {
	l := ListingOf(all, installed)
	return l != nil && l.Withdrawn != "" && l.Retreat
}
