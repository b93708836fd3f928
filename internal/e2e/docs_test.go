package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every script that docs/SAFETY.md names is there.
func TestSafetyNamesScripts(t *testing.T) {
	b, err := os.ReadFile("../../docs/SAFETY.md")
	must(t, err)
	names := regexp.MustCompile("`([a-z]+\\.txtar)`").FindAllSubmatch(b, -1)
	if len(names) == 0 {
		t.Error("want scripts named, got none")
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join("testdata/script", string(name[1]))); err != nil {
			t.Error(err)
		}
	}
}
