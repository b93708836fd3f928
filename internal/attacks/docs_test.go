package attacks

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumented wants each attack in docs/SECURITY.md, with the error it gets.
// There "null …" stands for all whose names begin so.
func TestDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`[^`]+`")
	rows := map[string]string{} // name to the rest of its row
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 {
			continue
		}
		for _, name := range code.FindAllString(cells[0], -1) {
			rows[strings.Trim(name, "`")] = cells[2]
		}
	}
	for _, a := range table() {
		name := strings.TrimSuffix(a.name, " beside a good key")
		errorCell, ok := rows[name]
		for prefix, cell := range rows {
			if p, short := strings.CutSuffix(prefix, "…"); short && strings.HasPrefix(name, p) {
				errorCell, ok = cell, true
			}
		}
		switch {
		case !ok:
			t.Errorf("%s is not in docs/SECURITY.md", a.name)
		case !strings.Contains(errorCell, a.want):
			t.Errorf("%s gets %s, and docs/SECURITY.md says %s", a.name, a.want, errorCell)
		}
	}
}
