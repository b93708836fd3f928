package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// world is a repository with two releases, and an install of the first.
type world struct {
	dir string
	old map[string]string // the trees, as readTree describes them
	new map[string]string
}

// path returns the name of something in the world: v1, v2, repo, keys, tree.
func (w *world) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	t.Setenv("MKRELEASE_PASSPHRASE", "correct horse")
	t.Setenv("XDG_CONFIG_HOME", w.path("config"))
	old, new := os.Getenv("TREEGRAFT_OLD"), os.Getenv("TREEGRAFT_NEW")
	if old == "" || new == "" {
		old, new = w.path("v1"), w.path("v2")
		w.writeTrees(t)
	}
	w.want(t, 0, "mkrelease", "init", "--repo", w.path("repo"), "--keys", w.path("keys"))
	for i, tree := range []string{old, new} {
		w.want(t, 0, "mkrelease", "publish", "--repo", w.path("repo"), "--keys", w.path("keys"),
			"--product", "app", "--version", fmt.Sprintf("%d.0.0", i+1), tree)
	}
	w.want(t, 0, "applyrelease", "install", "--repo", w.path("repo"), "--root", w.path("keys/root.json"),
		"--product", "app", "--version", "1.0.0", w.path("tree"))
	var err error
	w.old, err = readTree(old)
	must(t, err)
	w.new, err = readTree(new)
	must(t, err)
	return w
}

// writeTrees makes two small releases.
func (w *world) writeTrees(t *testing.T) {
	t.Helper()
	numbers := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintln(&b, i*i)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"v1/same": "the same", "v1/numbers": numbers(3000), "v1/gone": "gone", "v1/dir/moved": numbers(500),
		"v2/same": "the same", "v2/numbers": numbers(3100), "v2/come": "come", "v2/dir/here": numbers(501),
	} {
		must(t, os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
		must(t, os.WriteFile(w.path(name), []byte(text), 0o644))
	}
}

// run runs a command and returns its exit code and all it said.
func (w *world) run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return exit.ExitCode(), said.String()
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, said.String()
}

func (w *world) want(t *testing.T, code int, args ...string) {
	t.Helper()
	if got, said := w.run(t, args...); got != code {
		t.Fatalf("%q: want exit code %d, got %d: %s", args, code, got, said)
	}
}

// published returns the names of all files of the repository.
func (w *world) published(t *testing.T) (names []string) {
	t.Helper()
	must(t, fs.WalkDir(os.DirFS(w.path("repo")), ".", func(name string, d fs.DirEntry, err error) error {
		// Names with a leading dot belong to the store and are never served.
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
			names = append(names, name)
		}
		return err
	}))
	return names
}

// reset brings a copy of a tree to a place.
func (w *world) reset(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.RemoveAll(w.path(to)))
	must(t, os.CopyFS(w.path(to), os.DirFS(w.path(from))))
}
