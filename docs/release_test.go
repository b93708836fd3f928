package docs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/publisher/releasefile"
)

// TestReleaseFile reads the whole release file that RELEASING.md shows, and
// wants it to show every fact that there is.
func TestReleaseFile(t *testing.T) {
	b, err := os.ReadFile("RELEASING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "<!-- read by release_test.go -->\n```toml\n")
	text, _, ended := strings.Cut(text, "```\n")
	if !found || !ended {
		t.Fatal("no release file in RELEASING.md")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"release.toml": text, "NEWS.txt": "Faster.\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := releasefile.Read(filepath.Join(dir, "release.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Channel == "" || len(r.Config) != 2 {
		t.Errorf("got %+v", r)
	}
	wantAll(t, "facts", reflect.ValueOf(r.Facts), "Sequence")
	wantAll(t, "requires", reflect.ValueOf(*r.Facts.Requires))
	wantAll(t, "schema", reflect.ValueOf(*r.Facts.Schema))
	wantAll(t, "migration", reflect.ValueOf(r.Facts.Migrations[1]))
	wantAll(t, "hook", reflect.ValueOf(r.Facts.Hooks[0]), "Once") // as a migration's
}

// wantAll wants every field of a struct to be set.
func wantAll(t *testing.T, what string, v reflect.Value, but ...string) {
	t.Helper()
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && !strings.Contains(strings.Join(but, " "), name) {
			t.Errorf("%s: %s is not shown", what, name)
		}
	}
}
