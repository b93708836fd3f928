package treetest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

const sample = `-- bin/app 0755 --
#!/bin/sh
-- doc/läs.txt --
hello
-- empty/ 0700 --
-- locked/ 0555 --
-- locked/file 0400 --
x
-- latest -> bin/app --
-- void --
`

func TestWriteReadRoundTrip(t *testing.T) {
	root := filepath.Join(t.TempDir(), "tree")
	want := treetest.Parse(t, sample)
	want.Write(t, root)
	t.Cleanup(func() { os.Chmod(filepath.Join(root, "locked"), 0o755) })
	if d := treetest.Diff(want, treetest.Read(t, root)); d != "" {
		t.Error(d)
	}
}

func TestParse(t *testing.T) {
	got := treetest.Parse(t, sample)
	want := treetest.Tree{
		"bin/app":     treetest.Exec("#!/bin/sh\n"),
		"doc/läs.txt": treetest.File("hello\n"),
		"empty":       treetest.Dir(0o700),
		"locked":      treetest.Dir(0o555),
		"locked/file": {Mode: 0o400, Content: "x\n"},
		"latest":      treetest.Symlink("bin/app"),
		"void":        treetest.File(""),
	}
	if d := treetest.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Every way in which an entry can differ is seen.
func TestDiffSees(t *testing.T) {
	base := treetest.Tree{"a/f": treetest.File("x"), "l": treetest.Symlink("a"), "d": treetest.Dir(0o755)}
	edits := map[string]func(treetest.Tree){
		"content": func(t treetest.Tree) { t["a/f"] = treetest.File("y") },
		"kind":    func(t treetest.Tree) { t["d"] = treetest.File("") },
		"link":    func(t treetest.Tree) { t["l"] = treetest.Symlink("b") },
		"missing": func(t treetest.Tree) { delete(t, "d") },
		"extra":   func(t treetest.Tree) { t["e"] = treetest.File("") },
	}
	if runtime.GOOS != "windows" {
		edits["mode"] = func(t treetest.Tree) { t["a/f"] = treetest.Exec("x") }
		edits["implied folder"] = func(t treetest.Tree) { t["a"] = treetest.Dir(0o700) }
	}
	for name, edit := range edits {
		if treetest.Diff(base, base.Clone(edit)) == "" {
			t.Errorf("%s: want a difference, got none", name)
		}
	}
	if d := treetest.Diff(base, base.Clone(nil)); d != "" {
		t.Errorf("clone: want no difference, got %s", d)
	}
}

func TestReadSkips(t *testing.T) {
	root := t.TempDir()
	treetest.Tree{"keep": treetest.File("1"), "state/x": treetest.File("2"), "one": treetest.File("3")}.Write(t, root)
	got := treetest.Read(t, root, "state", "one")
	if d := treetest.Diff(treetest.Tree{"keep": treetest.File("1")}, got); d != "" {
		t.Error(d)
	}
}

func TestReadReportsKinds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symlinks need a privilege on Windows")
	}
	root := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(root, "l")); err != nil {
		t.Fatal(err)
	}
	got := treetest.Read(t, root)
	if e := got["l"]; e.Kind != fs.ModeSymlink || e.Link != "nowhere" || strings.TrimSpace(e.Content) != "" {
		t.Errorf("want a symlink to nowhere, got %+v", e)
	}
}
