package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sizeOf(n int64) string { return fmt.Sprintf("%d bytes", n) }

func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var said []string
	err := Run(context.Background(), Options{Size: sizeOf, Say: func(text string) { said = append(said, text) }})
	if err != nil {
		t.Fatalf("after %q: %v", said, err)
	}
	if len(said) != 13 || !strings.HasPrefix(said[12], "13. One byte of the delta is flipped") {
		t.Errorf("want 13 steps, got %q", said)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	err := Run(ctx, Options{Size: sizeOf, Say: func(text string) {
		if strings.HasPrefix(text, " 5. ") {
			cancel()
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "step 6: ") {
		t.Errorf("want an error in step 6, got %v", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestCompare makes sure that the demo's own check can fail.
func TestCompare(t *testing.T) {
	s := show{ctx: context.Background(), dir: t.TempDir(), own: true}
	for _, err := range []error{
		writeTree(s.path(oldVersion), oldVersion),
		writeTree(s.path("app"), oldVersion),
		os.WriteFile(filepath.Join(s.path("app"), ownFile), []byte(ownText), 0o600),
		s.compare(oldVersion),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"README": "changed", ownFile: "changed"} {
		file := filepath.Join(s.path("app"), name)
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.compare(oldVersion); err == nil {
			t.Errorf("a changed %s goes unnoticed", name)
		}
		if err := os.WriteFile(file, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEngine(t *testing.T) {
	old, new := engine(oldVersion), engine(newVersion)
	if !bytes.Equal(old, engine(oldVersion)) {
		t.Error("two engines of one version differ")
	}
	if bytes.Equal(old, new) || len(old) < 200_000 || len(new) <= len(old) {
		t.Errorf("engines of %d and %d bytes", len(old), len(new))
	}
}

// TestServer checks the counts that the demo tells, and its damage.
func TestServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	get := func() string {
		r, err := http.Get(s.url + "/f")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct{ prefix, after, want string }{
		{"", "", `{"version":2}`},
		{"f", `"version":`, `{"version":3}`},
		{"f", "", `{"vershon":2}`},
		{"g", "", `{"version":2}`},
	} {
		s.flip(c.prefix, c.after)
		if got := get(); got != c.want {
			t.Errorf("flip(%q, %q): want %s, got %s", c.prefix, c.after, c.want, got)
		}
	}
	if requests, sent := s.count(); requests != 4 || sent != 4*13 {
		t.Errorf("want 4 requests and 52 bytes, got %d and %d", requests, sent)
	}
	if requests, sent := s.count(); requests != 0 || sent != 0 {
		t.Errorf("counted twice: %d and %d", requests, sent)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
