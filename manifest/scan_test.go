package manifest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// onlyUnix skips a test of what only Unix file systems can hold.
func onlyUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs modes and symlinks")
	}
}

// write makes a tree in a new folder.
func write(t *testing.T, tree treetest.Tree) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	tree.Write(t, root)
	return root
}

func wantScan(t *testing.T, root string, o ScanOptions, want ...Entry) {
	t.Helper()
	got, err := Scan(t.Context(), root, o)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestScan(t *testing.T) {
	onlyUnix(t)
	root := write(t, treetest.Tree{
		"README":           treetest.File("read me\n"),
		"a-b":              treetest.File("sorts before a/ but after a"),
		"a/b":              treetest.File(""),
		"bin/app":          treetest.Exec("\x7fELF"),
		"bin/latest":       treetest.Symlink("app"),
		"cache":            treetest.Dir(0o755),
		"deep/er/still":    treetest.Dir(0o755),
		"etc":              treetest.Dir(0o700),
		"etc/secret":       {Mode: 0o400, Content: "s"},
		"lib":              treetest.Dir(0o755),
		"lib/ünï":          treetest.File("é"),
		"run":              treetest.Dir(0o750),
		"run/all":          {Mode: 0o777, Content: "x"},
		StateDir + "/lock": treetest.File("the updater's"),
	})
	wantScan(t, root, ScanOptions{},
		file("README", 0o644, "read me\n"),
		file("a-b", 0o644, "sorts before a/ but after a"),
		file("a/b", 0o644, ""),
		file("bin/app", 0o755, "\x7fELF"),
		Entry{Path: "bin/latest", Kind: Symlink, Link: "app"},
		Entry{Path: "cache", Kind: Dir, Mode: 0o755},
		Entry{Path: "deep/er/still", Kind: Dir, Mode: 0o755},
		Entry{Path: "etc", Kind: Dir, Mode: 0o700},
		file("etc/secret", 0o400, "s"),
		file("lib/ünï", 0o644, "é"),
		Entry{Path: "run", Kind: Dir, Mode: 0o750},
		file("run/all", 0o777, "x"),
	)
}

func TestScanEmpty(t *testing.T) { wantScan(t, t.TempDir(), ScanOptions{}) }

func TestScanSkip(t *testing.T) {
	root := write(t, treetest.Tree{
		"keep/x": treetest.File("x"), "keep/y": treetest.File("y"), "logs/a": treetest.File("a"), "logs/b/c": treetest.File("c"),
	})
	skip := func(p string) bool { return p == "logs" || p == "keep/y" }
	wantScan(t, root, ScanOptions{Skip: skip}, file("keep/x", 0o644, "x"))
}

func TestScanTellsWhatItRead(t *testing.T) {
	root := write(t, treetest.Tree{"a": treetest.File("12345"), "b/c": treetest.File("678"), "d": treetest.File("")})
	var bytes, files atomic.Int64
	_, err := Scan(t.Context(), root, ScanOptions{Read: func(n int64) { bytes.Add(n); files.Add(1) }})
	if err != nil || bytes.Load() != 8 || files.Load() != 3 {
		t.Errorf("told of %d bytes in %d files, %v; want 8 in 3", bytes.Load(), files.Load(), err)
	}
}

// TestScanManyFiles has more files than readers, and of more than one buffer.
func TestScanManyFiles(t *testing.T) {
	tree := treetest.Tree{"big": treetest.File(strings.Repeat("0123456789", 100_000))}
	for i := range 300 {
		tree["d/"+strings.Repeat("x", i%200+1)+string(rune('a'+i/200))] = treetest.File(strings.Repeat("c", i))
	}
	var want []Entry
	for p, e := range tree {
		want = insert(want, file(p, e.Mode, e.Content))
	}
	wantScan(t, write(t, tree), ScanOptions{}, want...)
}

// TestScanNamesAllFaults wants every fault of a tree, in one error.
func TestScanNamesAllFaults(t *testing.T) {
	onlyUnix(t)
	root := write(t, treetest.Tree{
		"good":    treetest.File(""),
		"a:b":     treetest.File(""),
		"con":     treetest.File(""),
		"x/dot.":  treetest.Dir(0o755),
		"setuid":  treetest.Exec(""),
		"out":     treetest.Symlink("../../etc/passwd"),
		"abs":     treetest.Symlink("/etc/passwd"),
		"into":    treetest.Symlink(StateDir + "/journal"),
		"e\u0301": treetest.File("not composed"),
	})
	if err := os.Chmod(filepath.Join(root, "setuid"), 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	makeFIFO(t, filepath.Join(root, "x", "pipe"))
	entries, err := Scan(t.Context(), root, ScanOptions{})
	if entries != nil {
		t.Errorf("entries beside faults: %v", entries)
	}
	want := []Fault{
		{"a:b", "holds the character"}, {"con", "Windows device"}, {"x/dot.", "dot or space"}, {"setuid", "set-id"},
		{"out", "out of the tree"}, {"abs", "not relative"}, {"into", "leads into"}, {"x/pipe", "neither file, folder nor symlink"},
	}
	if runtime.GOOS == "linux" { // others may compose the name
		want = append(want, Fault{"e\u0301", "normal form C"})
	}
	for _, f := range want {
		wantFault(t, err, f.Path, f.Reason)
	}
	if invalid := new(InvalidError); !errors.As(err, &invalid) || len(invalid.Faults) != len(want) || !strings.Contains(invalid.What, root) {
		t.Errorf("want %d faults of %s, got %v", len(want), root, err)
	}
}

func TestScanFindsNamesThatCollide(t *testing.T) {
	root := t.TempDir()
	treetest.Tree{"README": treetest.File(""), "sub/readme": treetest.File("")}.Write(t, root)
	if _, err := os.Lstat(filepath.Join(root, "readme")); err == nil {
		t.Skip("this file system ignores case")
	}
	treetest.Tree{"readme": treetest.File("")}.Write(t, root)
	_, err := Scan(t.Context(), root, ScanOptions{})
	wantFault(t, err, "readme", `the same as "README"`)
}

// TestScanFollowsNoLinks has links to a folder and to itself.
func TestScanFollowsNoLinks(t *testing.T) {
	onlyUnix(t)
	root := write(t, treetest.Tree{"d/f": treetest.File("f"), "l": treetest.Symlink("d"), "d/up": treetest.Symlink("."), "loop": treetest.Symlink("loop"), "gone": treetest.Symlink("nothing")})
	wantScan(t, root, ScanOptions{},
		file("d/f", 0o644, "f"),
		Entry{Path: "d/up", Kind: Symlink, Link: "."},
		Entry{Path: "gone", Kind: Symlink, Link: "nothing"},
		Entry{Path: "l", Kind: Symlink, Link: "d"},
		Entry{Path: "loop", Kind: Symlink, Link: "loop"},
	)
}

func TestScanErrors(t *testing.T) {
	if _, err := Scan(t.Context(), filepath.Join(t.TempDir(), "missing"), ScanOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: got %v", err)
	}
	root := write(t, treetest.Tree{"a": treetest.File("a"), "b/c": treetest.File("c")})
	if _, err := Scan(t.Context(), filepath.Join(root, "a"), ScanOptions{}); err == nil {
		t.Error("a file as root: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if entries, err := Scan(ctx, root, ScanOptions{}); !errors.Is(err, context.Canceled) || entries != nil {
		t.Errorf("cancelled before: got %v, %v", entries, err)
	}
}

func TestScanIsCancelled(t *testing.T) {
	tree := treetest.Tree{}
	for i := range 100 {
		tree[string(rune('0'+i/10))+"/"+string(rune('0'+i%10))] = treetest.File("x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var read atomic.Int64
	_, err := Scan(ctx, write(t, tree), ScanOptions{Read: func(int64) {
		if read.Add(1) == 10 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := read.Load(); n > 10+scanReaders {
		t.Errorf("%d files read after the end", n-10)
	}
}

// TestScanNoticesGrowth lets a file grow between its listing and its reading.
func TestScanNoticesGrowth(t *testing.T) {
	root := write(t, treetest.Tree{"a": treetest.File("1"), "b": treetest.File("1")})
	grow := func(p string) bool {
		if p == "b" { // "a" has been listed, and nothing is read before the listing ends
			if err := os.WriteFile(filepath.Join(root, "a"), []byte("123"), 0o644); err != nil {
				t.Error(err)
			}
		}
		return false
	}
	_, err := Scan(t.Context(), root, ScanOptions{Skip: grow})
	wantFault(t, err, "a", "changed while it was read: 1 bytes, then 3")
}
