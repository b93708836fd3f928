package publisher

import (
	"fmt"

	"github.com/treegraft-dev/treegraft/manifest"
)

// ExistsError says that a version is published already, and not the same.
type ExistsError struct {
	Product, Version, Platform string
	Changes                    []manifest.Change // from the published tree to the other one; none where only facts differ
}

// Error names the release and the first difference.
func (e *ExistsError) Error() string {
	what := "other facts"
	if n := len(e.Changes); n > 0 {
		what = fmt.Sprintf("%d other entries, the first %s", n, e.Changes[0].Path)
	}
	return fmt.Sprintf("publish %s %s for %s: that version is published with %s", e.Product, e.Version, e.Platform, what)
}

// SequenceError says that a release's sequence does not rise.
type SequenceError struct {
	Product, Version string
	Got              uint64 // the one asked for
	Highest          uint64 // of the product's other releases
}

// Error names both sequences.
func (e *SequenceError) Error() string {
	return fmt.Sprintf("publish %s %s: sequence %d: want more than %d, the highest one published", e.Product, e.Version, e.Got, e.Highest)
}
