package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table is what was measured of one change.
type table struct{ rows []*row }

// row is one way to make it. What was not measured is empty.
type row struct {
	what              string
	synced, commits   []time.Duration
	unsynced, windows []time.Duration
	sweeps            int
}

// floors are the rows that come first; the second is the least that can make
// all files durable.
const (
	floors    = 3
	baseFloor = 1
)

// String is the table in Markdown.
func (t *table) String() string {
	var b strings.Builder
	b.WriteString("| | wall ms | of it commit | ÷ floor | without syncs | mixed for ms | looks |\n|---|--:|--:|--:|--:|--:|--:|\n")
	base := median(t.rows[baseFloor].synced)
	for i, r := range t.rows {
		if i < floors {
			fmt.Fprintf(&b, "| %s | %s | | %.1f | | | |\n", r.what, times(r.synced), ratio(r.synced, base))
			continue
		}
		mixed := "never"
		if slices.Max(r.windows) > 0 {
			mixed = times(r.windows)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %.1f | %s | %s | %d |\n",
			r.what, times(r.synced), times(r.commits), ratio(r.synced, base), times(r.unsynced), mixed, r.sweeps)
	}
	return b.String()
}

func times(all []time.Duration) string {
	return fmt.Sprintf("%s (%s)", millis(median(all)), millis(slices.Max(all)))
}

func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func ratio(all []time.Duration, base time.Duration) float64 {
	return float64(median(all)) / float64(base)
}

// median returns the middle one, of two the lower.
func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[(len(all)-1)/2]
}
