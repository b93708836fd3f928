package report

import (
	"fmt"
	"strings"
)

// Generated parts of a document. Each stands between two comments, which say
// where it begins and where it ends.
const (
	ResultsPart = "results"
	GrowthPart  = "growth"
)

// Replace puts text into the document's part, whose two markers must occur
// exactly once each, in this order.
func Replace(document, part, text string) (string, error) {
	begin, end := "<!-- begin "+part+" -->", "<!-- end "+part+" -->"
	for _, m := range []string{begin, end} {
		if n := strings.Count(document, m); n != 1 {
			return "", fmt.Errorf("replace %s: want marker %q once, got it %d times", part, m, n)
		}
	}
	before, rest, _ := strings.Cut(document, begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("replace %s: want marker %q after %q", part, end, begin)
	}
	return before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}
