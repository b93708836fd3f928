package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"pgregory.net/rapid"
)

// Each pair is updated both ways, and rolled back.
var fidelityCases = []struct{ name, a, b string }{
	{"private mode", "-- f 0644 --\none\n", "-- f 0600 --\ntwo\n"},
	{"read-only mode", "-- f 0644 --\none\n", "-- f 0444 --\ntwo\n"},
	{"mode only", "-- f 0644 --\none\n", "-- f 0755 --\none\n"},
	{"no mode at all", "-- f 0000 --\none\n", "-- f 0777 --\none\n"},
	{"folder mode only", "-- d/ 0755 --\n", "-- d/ 0700 --\n"},
	{"symlink added", "-- f --\n", "-- f --\n-- l -> f --\n"},
	{"dangling symlink added", "", "-- l -> no/where --\n"},
	{"symlink retargeted", "-- l -> a --\n", "-- l -> b --\n"},
	{"long symlink", "-- l -> a --\n", "-- l -> " + long(300) + " --\n"},
	{"file to symlink", "-- x --\none\n", "-- x -> y --\n"},
	{"file to folder", "-- x --\none\n", "-- x/y --\none\n"},
	{"file to empty folder", "-- x --\none\n", "-- x/ --\n"},
	{"file to deep folder", "-- x --\none\n", "-- x/y/z/w --\none\n-- x/y/v --\n2\n"},
	{"folder to symlink", "-- x/y --\none\n", "-- x -> z --\n"},
	{"folder to symlink to its new place", "-- x/y --\none\n", "-- x -> z --\n-- z/y --\none\n"},
	{"swap", "-- a --\n1\n-- b --\n2\n", "-- a --\n2\n-- b --\n1\n"},
	{"swap of folders", "-- a/f --\n1\n-- b/f --\n2\n", "-- a/f --\n2\n-- b/f --\n1\n"},
	{"swap of kinds", "-- a/f --\n1\n-- b --\n2\n", "-- a --\n2\n-- b/f --\n1\n"},
	{"ring", "-- a --\n1\n-- b --\n2\n-- c --\n3\n", "-- a --\n3\n-- b --\n1\n-- c --\n2\n"},
	{"copy", "-- a --\n1\n", "-- a --\n1\n-- b/a --\n1\n-- c 0600 --\n1\n"},
	{"rename", "-- a --\n1\n", "-- b --\n1\n"},
	{"rename and edit", "-- a --\n1\n", "-- b/c --\n1\n2\n"},
	{"case-only rename", "-- Readme --\n1\n", "-- README --\n1\n"},
	{"case-only rename of a folder", "-- Lib/a --\n1\n", "-- lib/a --\n1\n"},
	{"case-only rename and edit", "-- Readme --\n1\n", "-- readme --\n2\n"},
	{"empty file", "", "-- f --\n"},
	{"empty to full", "-- f --\n", "-- f --\n1\n"},
	{"empty folder", "", "-- d/ --\n-- e/f/ --\n"},
	{"empty folder gets a file", "-- d/ --\n", "-- d/ --\n-- d/f --\n1\n"},
	{"read-only folder", "-- d/ 0555 --\n-- d/f --\n1\n", "-- d/ 0555 --\n-- d/f --\n2\n-- d/g --\n3\n"},
	{"read-only folder gone", "-- d/ 0555 --\n-- d/e/ 0500 --\n-- d/e/f 0400 --\n1\n", ""},
	{"read-only folder to file", "-- d/ 0555 --\n-- d/f --\n1\n", "-- d 0444 --\n1\n"},
	{"folder opens", "-- d/ 0500 --\n-- d/f --\n1\n", "-- d/ 0755 --\n-- d/f --\n2\n"},
	{"unicode", "-- å/日本 --\n1\n", "-- å/日本 --\n2\n-- å/ñandú --\n3\n-- 🎉 --\n4\n"},
	{"odd names", "-- a b --\n1\n", "-- a b --\n2\n-- -rf --\n3\n-- #x~ --\n4\n-- .hidden --\n5\n"},
	{"long name", "", "-- " + long(255) + " --\n1\n"},
	{"deep", "", "-- " + deep(60) + "f --\n1\n"},
	{"all gone", "-- a/b/c --\n1\n-- d --\n2\n", ""},
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

func deep(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf("d%d/", i)
	}
	return s
}

func TestFidelity(t *testing.T) {
	for _, c := range fidelityCases {
		t.Run(c.name, func(t *testing.T) {
			a, b := treetest.Parse(t, c.a), treetest.Parse(t, c.b)
			thereAndBack(t, a, b)
			thereAndBack(t, b, a)
		})
	}
}

// thereAndBack plants from, updates to to, rolls back, and updates again; an
// update to where the tree is changes nothing.
func thereAndBack(t interface {
	testing.TB
}, from, to treetest.Tree) {
	t.Helper()
	root := scratch(t)
	defer dispose(root)
	plant(t, root, from)
	for _, round := range []string{"first", "second"} {
		_, err := update(root, from, to, Options{}, CommitOptions{})
		must(t, err)
		wantTree(t, root, to, round+" update")
		res, err := update(root, from, to, Options{}, CommitOptions{})
		must(t, err)
		if res.Changed != 0 {
			t.Fatalf("rerun: want no change, got %+v", res)
		}
		wantTree(t, root, to, "rerun")
		wantClean(t, root, 1, "rerun")
		_, err = rollBack(root, Options{}, CommitOptions{})
		must(t, err)
		wantTree(t, root, from, round+" rollback")
		wantClean(t, root, 0, "rolled back")
	}
}

// A mode-only change of a file that has another name outside the tree leaves
// that one alone.
func TestPromise5HardLinkOutside(t *testing.T) {
	parent := scratch(t)
	root, outside := filepath.Join(parent, "tree"), filepath.Join(parent, "outside")
	from := treetest.Parse(t, "-- f --\none\n-- g --\ntwo\n")
	to := treetest.Parse(t, "-- f 0755 --\none\n-- g --\nthree\n")
	plant(t, root, from)
	for _, p := range []string{"f", "g"} {
		must(t, os.Link(filepath.Join(root, p), outside+p))
	}
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, to, "updated")
	for p, want := range map[string]string{"f": "one\n", "g": "two\n"} {
		b, err := os.ReadFile(outside + p)
		must(t, err)
		fi, err := os.Stat(outside + p)
		must(t, err)
		if string(b) != want || fi.Mode() != 0o644 {
			t.Errorf("%s: want %q with 0644, got %q with %v", outside+p, want, b, fi.Mode())
		}
	}
	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, from, "rolled back")
}

// Two updates, two rollbacks, the last one first.
func TestRollbackTwice(t *testing.T) {
	root := scratch(t)
	var trees []treetest.Tree
	for _, s := range []string{
		"-- a --\n1\n-- x/y --\n1\n", "-- a --\n2\n-- x --\n2\n", "-- a --\n3\n-- x/z --\n3\n",
	} {
		trees = append(trees, treetest.Parse(t, s))
	}
	plant(t, root, trees[0])
	for i := range 2 {
		_, err := update(root, trees[i], trees[i+1], Options{}, CommitOptions{})
		must(t, err)
	}
	for i := 1; i >= 0; i-- {
		_, err := rollBack(root, Options{}, CommitOptions{})
		must(t, err)
		wantTree(t, root, trees[i], "rolled back")
		wantClean(t, root, i, "rolled back")
	}
}

func TestSnapshots(t *testing.T) {
	root := scratch(t)
	trees := []treetest.Tree{{"f": treetest.File("1")}, {"f": treetest.File("22")}, {"f": treetest.File("333")}, {"f": treetest.File("4")}}
	plant(t, root, trees[0])
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	for i := range 3 {
		_, err := updateOpen(tree, trees[i], trees[i+1], CommitOptions{})
		must(t, err)
	}
	all, err := tree.Snapshots()
	must(t, err)
	if len(all) != 3 || all[0].Seq >= all[1].Seq || all[1].Bytes != 2 || all[2].Bytes != 3 || all[2].ID != "update" || all[2].Changes != 1 || all[2].Time.IsZero() {
		t.Errorf("want three snapshots in order, got %+v", all)
	}
	must(t, tree.DropSnapshots(1))
	left, err := tree.Snapshots()
	must(t, err)
	if len(left) != 1 || left[0] != all[2] {
		t.Errorf("want the newest one left, got %+v", left)
	}
	wantClean(t, root, 1, "dropped")
	_, err = tree.Rollback(context.Background(), CommitOptions{})
	must(t, err)
	wantTree(t, root, trees[2], "rolled back")
}

// Commits that have no path in common come back in any order; others only in
// theirs.
func TestRollbackOfAnEarlierCommit(t *testing.T) {
	root := scratch(t)
	f := treetest.File
	trees := []treetest.Tree{
		{"core/f": f("1"), "meta:core.manifest": f("core 1"), "addon/f": f("1"), "meta:addon.manifest": f("addon 1")},
		{"core/f": f("2"), "meta:core.manifest": f("core 2"), "addon/f": f("1"), "meta:addon.manifest": f("addon 1")},
		{"core/f": f("2"), "meta:core.manifest": f("core 2"), "addon/f": f("2"), "meta:addon.manifest": f("addon 2")},
		{"core/f": f("3"), "meta:core.manifest": f("core 3"), "addon/f": f("2"), "meta:addon.manifest": f("addon 2")},
	}
	plant(t, root, trees[0])
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	for i := range 3 {
		_, err := updateOpen(tree, trees[i], trees[i+1], CommitOptions{})
		must(t, err)
	}
	all, err := tree.Snapshots()
	must(t, err)
	var drift *DriftError
	if _, err := tree.Rollback(t.Context(), CommitOptions{Snapshot: all[0].Seq}); !errors.As(err, &drift) {
		t.Errorf("core 1 under core 3: want drift, got %v", err)
	}
	wantTree(t, root, trees[3], "refused")
	_, err = tree.Rollback(t.Context(), CommitOptions{Snapshot: all[1].Seq})
	must(t, err)
	wantTree(t, root, with(trees[3], treetest.Tree{"addon/f": f("1"), "meta:addon.manifest": f("addon 1")}), "addon back")
	if _, err := tree.Rollback(t.Context(), CommitOptions{Snapshot: all[1].Seq}); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("a snapshot that is used up: want ErrNoSnapshot, got %v", err)
	}
	for range 2 {
		_, err = tree.Rollback(t.Context(), CommitOptions{})
		must(t, err)
	}
	wantTree(t, root, trees[0], "all back")
	wantClean(t, root, 0, "all back")
}

// Any tree becomes any other, and comes back.
func TestAnyTreeToAny(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from, to := drawTree(rt, "from"), drawTree(rt, "to")
		root := scratch(t)
		defer dispose(root)
		plant(t, root, from)
		o := Options{Hook: noSync(&script{}).hook}
		if _, err := update(root, from, to, o, CommitOptions{}); err != nil {
			rt.Fatal(err)
		}
		if d := treetest.Diff(to, snap(t, root)); d != "" {
			rt.Fatalf("updated: %s", d)
		}
		if _, err := rollBack(root, o, CommitOptions{}); err != nil && len(between(from, to)) > 0 {
			rt.Fatal(err)
		}
		if d := treetest.Diff(from, snap(t, root)); d != "" {
			rt.Fatalf("rolled back: %s", d)
		}
	})
}

// drawTree draws a small tree over few names, so that kinds collide often.
func drawTree(rt *rapid.T, label string) treetest.Tree {
	tree := treetest.Tree{}
	var fill func(dir string, depth int)
	fill = func(dir string, depth int) {
		for _, base := range []string{"a", "b", "C", "c", "é"} {
			p := dir + base
			switch rapid.IntRange(0, 7).Draw(rt, label+" "+p) {
			case 0, 1:
				tree[p] = treetest.File(rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "content"))
			case 2:
				tree[p] = treetest.Exec(rapid.SampledFrom([]string{"", "1", "2"}).Draw(rt, "content"))
			case 3:
				tree[p] = treetest.Symlink(rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "link"))
			case 4:
				tree[p] = treetest.Dir(rapid.SampledFrom([]os.FileMode{0o755, 0o700, 0o555}).Draw(rt, "mode"))
				fallthrough
			case 5:
				if depth < 3 {
					fill(p+"/", depth+1)
				}
			}
		}
	}
	fill("", 0)
	return tree
}
