package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
)

// TestMain makes the test program do what children do, for tests that start
// some.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		if err := child(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a release of small files.
func write(t *testing.T, files map[string]string) release {
	t.Helper()
	dir := t.TempDir()
	for p, content := range files {
		name := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, []byte(content), 0o644))
	}
	tree, err := corpus.TreeDigest(dir)
	must(t, err)
	return release{dir, tree}
}

// The whole measurement, of a small change: its own checks compare the trees.
func TestMeasure(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("syncs can be left out on Linux only")
	}
	old := write(t, map[string]string{"same": "same", "f": "old", "d/f": "old", "goes": "old"})
	new := write(t, map[string]string{"same": "same", "f": "new", "d/f": "new", "comes": "new"})
	c, err := newChange(old, new, filepath.Join(t.TempDir(), "work"))
	must(t, err)
	if got, want := c.String(), "3 files with 0.0 MB come, 1 go, of 4"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	table, err := c.measure(t.Context(), 2)
	must(t, err)
	if len(table.rows) != floors+3 {
		t.Fatalf("want a row for each floor and strategy, got %d", len(table.rows))
	}
	for i, r := range table.rows {
		n := len(r.synced)
		if i >= floors {
			n += len(r.unsynced) + len(r.windows)
		}
		if want := 2; i < floors && n != want || i >= floors && n != 3*want {
			t.Errorf("%s: got %d figures", r.what, n)
		}
	}
	for _, text := range []string{"plain writes, one syncfs", "`inplace`", "`exchange`", "`versioned`"} {
		if !strings.Contains(table.String(), "| "+text+" |") {
			t.Errorf("want a row %q in\n%s", text, table)
		}
	}
}

// A tree that is not as it should be is no result.
func TestWrongTree(t *testing.T) {
	old, new := write(t, map[string]string{"f": "old"}), write(t, map[string]string{"f": "new"})
	c := &change{old: old, new: new}
	must(t, c.mustBe(new.dir, new, true))
	if err := c.mustBe(old.dir, new, true); err == nil {
		t.Error("want the old tree refused as the new one")
	}
}

// The child that is to leave syncs out does: the kernel no longer even looks at
// what is to be synced.
func TestSyncsAreSkipped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("syncs can be left out on Linux only")
	}
	if os.Getenv("SAFETY_TEST_SKIP") != "" {
		fmt.Printf("before: %v\n", syncClosed())
		must(t, skipSyncs())
		fmt.Printf("after: %v\n", syncClosed())
		return
	}
	t.Setenv("SAFETY_TEST_SKIP", "1")
	out, err := exec.Command(os.Args[0], "-test.run=^TestSyncsAreSkipped$").Output()
	must(t, err)
	if !strings.HasPrefix(string(out), "before: bad file descriptor\nafter: <nil>\n") {
		t.Errorf("want the sync of no file fail before and succeed after, got %q", out)
	}
}

// Readers see the mix of a change that is made one file after the other, and
// none where all files change at once.
func TestReaders(t *testing.T) {
	top := t.TempDir()
	for _, tree := range []string{"tree", "other"} {
		for _, p := range []string{"a", "b"} {
			must(t, os.MkdirAll(filepath.Join(top, tree), 0o755))
			must(t, os.WriteFile(filepath.Join(top, tree, p), []byte(tree), 0o644))
		}
	}
	list := []atomicfs.Change{{Path: "a"}, {Path: "b"}}
	root := filepath.Join(top, "tree")

	w := watchPaths(root, list)
	w.awaitSweeps(t, 4)
	must(t, os.Rename(root, filepath.Join(top, "away")))
	must(t, os.Rename(filepath.Join(top, "other"), root)) // in between nothing is there, which is not old
	w.awaitSweeps(t, 4)
	if window, sweeps := w.stop(); window != 0 || sweeps < 8 {
		t.Errorf("changed at once: want no mix, got %v in %d sweeps", window, sweeps)
	}

	w = watchPaths(root, list)
	w.awaitSweeps(t, 4)
	must(t, os.Rename(filepath.Join(top, "away/a"), filepath.Join(root, "a")))
	w.awaitSweeps(t, 4)
	must(t, os.Rename(filepath.Join(top, "away/b"), filepath.Join(root, "b")))
	w.awaitSweeps(t, 4)
	if window, _ := w.stop(); window == 0 {
		t.Error("changed one after the other: want a mix seen, got none")
	}
}

// awaitSweeps waits until each reader has looked at all paths since now.
func (w *watch) awaitSweeps(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.sweeps
	}
	for from := count(); count() < from+n*runtime.GOMAXPROCS(0); {
		runtime.Gosched()
	}
}

func TestTable(t *testing.T) {
	ms := func(n ...time.Duration) []time.Duration {
		for i := range n {
			n[i] *= time.Millisecond
		}
		return n
	}
	rows := []*row{
		{what: "a", synced: ms(1)}, {what: "b", synced: ms(20, 10, 30)}, {what: "c", synced: ms(40)},
		{what: "x", synced: ms(50), commits: ms(4), unsynced: ms(30), windows: ms(0, 0), sweeps: 7},
		{what: "y", synced: ms(60), commits: ms(5), unsynced: ms(40), windows: ms(0, 2), sweeps: 8},
	}
	got := (&table{rows}).String()
	for _, want := range []string{
		"| b | 20 (30) | | 1.0 | | | |", "| c | 40 (40) | | 2.0 |",
		"| `x` | 50 (50) | 4.0 (4.0) | 2.5 | 30 (30) | never | 7 |", "| `y` | 60 (60) | 5.0 (5.0) | 3.0 | 40 (40) | 0.0 (2.0) | 8 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

// A job reaches the child as it was meant.
func TestJobIsKept(t *testing.T) {
	want := job{Do: doFloor, Root: "r", Strategy: atomicfs.Versioned, Unsynced: true, Sync: "each", List: "l", Content: "c"}
	b, err := json.Marshal(want)
	must(t, err)
	var got job
	must(t, json.Unmarshal(b, &got))
	if got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}
}
