package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/zeebo/blake3"
)

// metaPrefix marks state records in trees of these tests: they are compared
// like the rest of the tree, although they live in the state folder.
const metaPrefix = "meta:"

func realPath(p string) string {
	if name, ok := strings.CutPrefix(p, metaPrefix); ok {
		return MetaDir + "/" + name
	}
	return p
}

// plant makes the tree on disk without any help of the package.
func plant(tb testing.TB, root string, tree treetest.Tree) {
	tb.Helper()
	live := treetest.Tree{}
	for p, e := range tree {
		if !strings.HasPrefix(p, metaPrefix) {
			live[p] = e
			continue
		}
		name := filepath.Join(root, filepath.FromSlash(realPath(p)))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(e.Content), e.Mode)); err != nil {
			tb.Fatal(err)
		}
	}
	live.Write(tb, root)
}

// scratch returns a new folder that goes with the test, in memory where there
// is such a place: most tests make many trees and look at no sync.
func scratch(tb testing.TB) string {
	tb.Helper()
	const memory = "/dev/shm"
	parent := ""
	if fi, err := os.Stat(memory); err == nil && fi.IsDir() {
		parent = memory
	}
	dir, err := os.MkdirTemp(parent, "atomicfs-test-")
	if err != nil {
		dir = tb.TempDir()
	}
	tb.Cleanup(func() { dispose(dir) })
	return dir
}

// dispose removes a tree, even where the tree forbids it. Tests that make
// thousands call it early.
func dispose(root string) {
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(root)
}

// snap reads the tree on disk, state records included.
func snap(tb testing.TB, root string) treetest.Tree {
	tb.Helper()
	root, err := filepath.EvalSymlinks(root)
	must(tb, err)
	tree := treetest.Read(tb, root, StateDir)
	meta := filepath.Join(root, filepath.FromSlash(MetaDir))
	if _, err := os.Stat(meta); err == nil {
		for p, e := range treetest.Read(tb, meta) {
			tree[metaPrefix+p] = e
		}
	}
	return tree
}

func nodeOf(e treetest.Entry) *Node {
	switch e.Kind {
	case fs.ModeDir:
		return &Node{Kind: Dir, Mode: e.Mode}
	case fs.ModeSymlink:
		return &Node{Kind: Symlink, Link: e.Link}
	}
	return &Node{Kind: File, Mode: e.Mode, Size: int64(len(e.Content)), Digest: blake3.Sum256([]byte(e.Content))}
}

// between lists the changes from one tree to another. Folders that only exist
// because of what is in them are named in neither, as in a manifest.
func between(from, to treetest.Tree) []Change {
	var changes []Change
	both := maps.Clone(from)
	maps.Copy(both, to)
	for _, p := range slices.Sorted(maps.Keys(both)) {
		c := Change{Path: realPath(p), Last: strings.HasPrefix(p, "bin/")}
		if e, ok := from[p]; ok {
			c.Old = nodeOf(e)
		}
		if e, ok := to[p]; ok {
			c.New = nodeOf(e)
		}
		if c.Old != nil && c.New != nil && c.Old.same(c.New) && c.Old.Mode == c.New.Mode && c.Old.Kind != Dir {
			continue
		}
		changes = append(changes, c)
	}
	return changes
}

// stageAll stages the content of every changed file of tree.
func stageAll(s *Stage, changes []Change, tree treetest.Tree) error {
	content := map[string]string{}
	for p, e := range tree {
		content[realPath(p)] = e.Content
	}
	for _, c := range changes {
		if !c.New.is(File) || c.Old.same(c.New) {
			continue
		}
		f, err := s.Create(c.Path, *c.New)
		if err != nil {
			return err
		}
		if _, err := f.Write([]byte(content[c.Path])); err != nil {
			return errors.Join(err, f.Cleanup())
		}
		if err := f.Commit(); err != nil {
			return errors.Join(err, f.Cleanup())
		}
	}
	return nil
}

// update opens the tree, brings it from one tree to another, and closes it.
func update(root string, from, to treetest.Tree, o Options, co CommitOptions) (res Result, err error) {
	t, err := Open(root, o)
	if err != nil {
		return res, err
	}
	defer t.Close()
	return updateOpen(t, from, to, co)
}

func updateOpen(t *Tree, from, to treetest.Tree, co CommitOptions) (res Result, err error) {
	s, err := t.Stage("update")
	if err != nil {
		return res, err
	}
	defer s.Discard()
	changes := between(from, to)
	if err := stageAll(s, changes, to); err != nil {
		return res, err
	}
	return s.Commit(context.Background(), changes, co)
}

func rollBack(root string, o Options, co CommitOptions) (Result, error) {
	t, err := Open(root, o)
	if err != nil {
		return Result{}, err
	}
	defer t.Close()
	return t.Rollback(context.Background(), co)
}

// script is a hook that acts on steps by their number, counted from 1.
type script struct {
	mu    sync.Mutex
	n     int
	steps []string
	act   func(n int, step string) error
}

func (s *script) hook(step string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.steps = append(s.steps, step)
	if s.act == nil {
		return nil
	}
	return s.act(s.n, step)
}

var errStop = errors.New("stopped here")

// stopFrom fails step k and all after it, as if the process had ended: nothing
// is cleaned up, because cleaning up fails too.
func stopFrom(k int) *script {
	return &script{act: func(n int, _ string) error {
		if n >= k {
			return errStop
		}
		return nil
	}}
}

// must fails the test.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantTree compares the tree on disk.
func wantTree(tb testing.TB, root string, want treetest.Tree, when string) {
	tb.Helper()
	if d := treetest.Diff(want, snap(tb, root)); d != "" {
		tb.Fatalf("%s: (-want +got)\n%s", when, d)
	}
}

// oneOf says which of two trees is on disk, or fails the test.
func oneOf(tb testing.TB, root string, older, newer treetest.Tree, when string) string {
	tb.Helper()
	got := snap(tb, root)
	if treetest.Diff(older, got) == "" {
		return "old"
	}
	d := treetest.Diff(newer, got)
	if d == "" {
		return "new"
	}
	tb.Fatalf("%s: neither old nor new; against new (-want +got)\n%s", when, d)
	return ""
}

// wantClean fails the test if the state folder holds anything that a finished
// change leaves behind no more.
func wantClean(tb testing.TB, root string, snapshots int, when string) {
	tb.Helper()
	for _, name := range []string{journalFile, journalUndo, journalNew, stagingDir} {
		if _, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name))); err == nil {
			tb.Fatalf("%s: %s is left", when, name)
		}
	}
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(snapshotsDir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	if len(entries) != snapshots {
		tb.Fatalf("%s: want %d snapshots, got %v", when, snapshots, entries)
	}
	wantAlone(tb, root, when)
}

// newRoot returns a new folder for a tree, in a folder of its own: some
// strategies put things beside the tree.
func newRoot(tb testing.TB) string {
	tb.Helper()
	root := filepath.Join(scratch(tb), "tree")
	must(tb, os.Mkdir(root, 0o755))
	return root
}

// wantAlone fails the test if anything lies beside a tree called "tree", other
// than its versions, of which there are at most two.
func wantAlone(tb testing.TB, root, when string) {
	tb.Helper()
	if filepath.Base(root) != "tree" {
		return
	}
	beside, err := os.ReadDir(filepath.Dir(root))
	must(tb, err)
	for _, e := range beside {
		if e.Name() != "tree" && e.Name() != versionsDir && e.Name() != "other" && e.Name() != "lost+found" {
			tb.Fatalf("%s: %s is left beside the tree", when, e.Name())
		}
	}
	versions, err := os.ReadDir(filepath.Join(filepath.Dir(root), versionsDir))
	if err == nil && len(versions) > 2 {
		tb.Fatalf("%s: want at most 2 versions, got %v", when, versions)
	}
}

// eventful is a pair of trees with every kind of change between them, a few
// unmanaged things included in both.
func eventful(tb testing.TB) (from, to, unmanaged treetest.Tree) {
	tb.Helper()
	from = treetest.Parse(tb, `-- bin/app 0755 --
app 1
-- lib/a --
a
-- lib/b --
b
-- gone/deep/er/x --
x
-- gone/deep/y --
y
-- half/managed --
m
-- mode 0644 --
mode
-- secret 0600 --
s1
-- ro 0444 --
r1
-- f2d --
file
-- d2f/one --
1
-- d2f/sub/two --
2
-- d2f/sub/deeper/three --
3
-- f2l --
file
-- l2f -> lib/a --
-- l2d -> lib --
-- d2l/x --
x
-- link -> lib/a --
-- gonelink -> nowhere --
-- Readme --
readme
-- empty/ --
-- chmodded/ 0700 --
-- locked/ 0555 --
-- locked/in --
in 1
-- locked/out --
out
-- void --
`)
	to = treetest.Parse(tb, `-- bin/app 0755 --
app 2
-- lib/a --
b
-- lib/b --
a
-- lib/new/deep/c --
c
-- mode 0755 --
mode
-- secret 0600 --
s2
-- ro 0444 --
r2
-- f2d/in --
now a folder
-- d2f --
now a file
-- f2l -> f2d --
-- l2f --
now a file
-- l2d/in --
now a folder
-- d2l -> lib --
-- link -> lib/b --
-- newlink -> mode --
-- README --
readme
-- chmodded/ 0755 --
-- locked/ 0555 --
-- locked/in --
in 2
-- locked/more --
more
-- hollow/ 0500 --
-- hollow/core --
core
-- empty2/ --
-- läs/über --
unicode
-- void2 --
`)
	from[metaPrefix+"installed"] = treetest.Entry{Mode: 0o600, Content: "1"}
	to[metaPrefix+"installed"] = treetest.Entry{Mode: 0o600, Content: "2"}
	to[metaPrefix+"manifest"] = treetest.Entry{Mode: 0o600, Content: "m"}
	unmanaged = treetest.Tree{
		"mine":        treetest.File("do not touch"),
		"half/mine":   treetest.File("nor this"),
		"lib/my.conf": {Mode: 0o600, Content: "nor that"},
		"mylink":      treetest.Symlink("lib"),
	}
	return from, to, unmanaged
}

// with returns the union of trees.
func with(trees ...treetest.Tree) treetest.Tree {
	all := treetest.Tree{}
	for _, t := range trees {
		maps.Copy(all, t)
	}
	return all
}

func name(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// thorough reports whether the tests that can go on for minutes shall.
func thorough() bool { return os.Getenv("ATOMICFS_THOROUGH") != "" }

func addUp(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}
