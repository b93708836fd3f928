package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readTree describes every path below dir in one line: kind, permissions, and
// content or link. It shares no code with what it judges.
func readTree(dir string, without ...string) (map[string]string, error) {
	without = append(without, ".treegraft")
	tree := map[string]string{}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if slices.Contains(without, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		tree[rel], err = describe(name, d)
		return err
	})
	return tree, err
}

func describe(name string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	switch info.Mode().Type() {
	case 0:
		b, err := os.ReadFile(name)
		return fmt.Sprintf("file %v, %d bytes, sha256 %x", info.Mode(), len(b), sha256.Sum256(b)), err
	case fs.ModeSymlink:
		link, err := os.Readlink(name)
		return "symlink to " + link, err
	}
	return info.Mode().String(), nil
}

// diffTrees returns a line for each difference.
func diffTrees(a, b map[string]string) string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var diff strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if a[path] == b[path] {
			continue
		}
		if a[path] != "" {
			fmt.Fprintf(&diff, "- %s: %s\n", path, a[path])
		}
		if b[path] != "" {
			fmt.Fprintf(&diff, "+ %s: %s\n", path, b[path])
		}
	}
	return diff.String()
}

// TestTreecmp makes sure that the judge sees every kind of difference.
func TestTreecmp(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"nothing": nil,
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "f"), []byte("B"), 0o644) },
		"mode":    func(dir string) error { return os.Chmod(filepath.Join(dir, "f"), 0o600) },
		"folder":  func(dir string) error { return os.Mkdir(filepath.Join(dir, "d", "e"), 0o755) },
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "f")) },
		"link": func(dir string) error {
			return os.Symlink("f", filepath.Join(dir, "l"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var trees []map[string]string
			for range 2 {
				dir := t.TempDir()
				must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("A"), 0o644))
				if change != nil && len(trees) == 1 {
					must(t, change(dir))
				}
				tree, err := readTree(dir)
				must(t, err)
				trees = append(trees, tree)
			}
			if same := diffTrees(trees[0], trees[1]) == ""; same != (change == nil) {
				t.Errorf("same: got %v", same)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
