// Package treetest builds and compares file trees in tests.
//
// A [Tree] is a plain map, so a test states a tree as a literal or as txtar
// ([Parse]), makes it on disk with [Tree.Write], reads one back with [Read]
// and compares with [Diff]: kind, permissions, content and link, nothing else.
//
// In txtar the name of an entry says what it is:
//
//	-- bin/app 0755 --         a file; its mode, four digits, is 0644 if none is given
//	-- empty/ --               a folder; its mode is 0755 if none is given
//	-- latest -> bin/app --    a symlink
//
// Folders that hold something need no entry of their own: [Tree.Write] makes
// them, [Read] lists every folder, and [Diff] adds the implied ones.
package treetest

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// Entry is one file, folder or symlink.
type Entry struct {
	Kind    fs.FileMode // 0 for a file, fs.ModeDir, fs.ModeSymlink; or what else was found
	Mode    fs.FileMode // permission bits; 0 for a symlink
	Content string      // of a file
	Link    string      // of a symlink
}

// Tree maps slash-separated paths to entries.
type Tree map[string]Entry

// File, Exec, Dir and Symlink make the common entries.

// File returns a file with mode 0644.
func File(content string) Entry { return Entry{Mode: 0o644, Content: content} }

// Exec returns a file with mode 0755.
func Exec(content string) Entry { return Entry{Mode: 0o755, Content: content} }

// Dir returns a folder with the given mode.
func Dir(mode fs.FileMode) Entry { return Entry{Kind: fs.ModeDir, Mode: mode} }

// Symlink returns a symlink to link.
func Symlink(link string) Entry { return Entry{Kind: fs.ModeSymlink, Link: link} }

// Parse reads a tree from txtar text.
func Parse(tb testing.TB, text string) Tree {
	tb.Helper()
	t := Tree{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		name, e := parseName(f.Name)
		if e.Kind == 0 {
			e.Content = string(f.Data)
		}
		t[name] = e
	}
	return t
}

func parseName(s string) (string, Entry) {
	if name, link, ok := strings.Cut(s, " -> "); ok {
		return name, Symlink(link)
	}
	e, name := File(""), s
	if base, mode, ok := cutLast(s, " "); ok && len(mode) == 4 {
		if m, err := strconv.ParseUint(mode, 8, 9); err == nil {
			name, e.Mode = base, fs.FileMode(m)
		}
	}
	if dir, ok := strings.CutSuffix(name, "/"); ok {
		e.Kind = fs.ModeDir
		if name == s { // no mode given
			e.Mode = 0o755
		}
		name = dir
	}
	return name, e
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Write makes the tree below root, which is made too if need be. Modes do not
// depend on the umask.
func (t Tree) Write(tb testing.TB, root string) {
	tb.Helper()
	must(tb, os.MkdirAll(root, 0o755))
	paths := slices.Sorted(maps.Keys(t))
	for _, p := range paths {
		e, name := t[p], filepath.Join(root, filepath.FromSlash(p))
		makeDirs(tb, filepath.Dir(name))
		switch e.Kind {
		case fs.ModeDir:
			makeDirs(tb, name)
		case fs.ModeSymlink:
			must(tb, os.Symlink(e.Link, name))
		default:
			must(tb, os.WriteFile(name, []byte(e.Content), 0o600))
			must(tb, os.Chmod(name, e.Mode))
		}
	}
	// Deepest first: a folder may forbid what is still to be made in it.
	for _, p := range slices.Backward(paths) {
		if t[p].Kind == fs.ModeDir {
			must(tb, os.Chmod(filepath.Join(root, filepath.FromSlash(p)), t[p].Mode))
		}
	}
}

// makeDirs is os.MkdirAll whatever the umask.
func makeDirs(tb testing.TB, name string) {
	tb.Helper()
	if _, err := os.Lstat(name); err == nil {
		return
	}
	makeDirs(tb, filepath.Dir(name))
	must(tb, os.Mkdir(name, 0o755))
	must(tb, os.Chmod(name, 0o755))
}

// Read reads the tree below root, without the paths in skip and what is below
// them.
func Read(tb testing.TB, root string, skip ...string) Tree {
	tb.Helper()
	t := Tree{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		p := filepath.ToSlash(rel)
		if slices.Contains(skip, p) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		t[p], err = readEntry(name, d)
		return err
	})
	must(tb, err)
	return t
}

func readEntry(name string, d fs.DirEntry) (Entry, error) {
	fi, err := d.Info()
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Kind: fi.Mode().Type(), Mode: fi.Mode().Perm()}
	switch e.Kind {
	case 0:
		var b []byte
		b, err = os.ReadFile(name)
		e.Content = string(b)
	case fs.ModeSymlink:
		e.Mode = 0
		e.Link, err = os.Readlink(name)
	}
	return e, err
}

// Diff returns what differs between two trees, or "". Folders that are implied
// by an entry below them count as present with mode 0755. Where the system has
// no permission bits (Windows), modes are not compared.
func Diff(want, got Tree) string {
	return cmp.Diff(want.complete(), got.complete())
}

func (t Tree) complete() Tree {
	full := Tree{}
	for p, e := range t {
		if runtime.GOOS == "windows" {
			e.Mode = 0
		}
		full[p] = e
	}
	for p := range t {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			if _, ok := full[d]; !ok {
				e := Dir(0o755)
				if runtime.GOOS == "windows" {
					e.Mode = 0
				}
				full[d] = e
			}
		}
	}
	return full
}

// Clone returns a copy of t, changed by edit if it is not nil.
func (t Tree) Clone(edit func(Tree)) Tree {
	c := maps.Clone(t)
	if edit != nil {
		edit(c)
	}
	return c
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
