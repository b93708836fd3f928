package report

import (
	"fmt"
	"strings"
)

// Markers around the generated part of a document.
const (
	Begin = "<!-- begin results -->"
	End   = "<!-- end results -->"
)

// Replace puts text between the markers of the document, each of which must
// occur exactly once, in this order.
func Replace(document, text string) (string, error) {
	for _, m := range []string{Begin, End} {
		if n := strings.Count(document, m); n != 1 {
			return "", fmt.Errorf("replace results: want marker %q once, got it %d times", m, n)
		}
	}
	before, rest, _ := strings.Cut(document, Begin)
	_, after, ok := strings.Cut(rest, End)
	if !ok {
		return "", fmt.Errorf("replace results: want marker %q after %q", End, Begin)
	}
	return before + Begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + End + after, nil
}
