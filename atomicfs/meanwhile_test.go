package atomicfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// meanwhileCases have somebody work in the tree while it is changed: do runs
// just before the first step that starts with at.
var meanwhileCases = []struct {
	name     string
	old, new string
	at       string
	do       func(root string) error
	want     string // the tree after a commit that succeeds
	err      error  // what the commit fails with; then the tree is old, with edits
	edited   string // the tree after a commit that fails
	kept     string // path that Result.Kept must name
}{{
	name: "edited between hash and backup",
	old:  "-- f --\none\n", new: "-- f --\ntwo\n",
	at: "link f ", do: write("f", "mine, longer"),
	err: errChanged, edited: "-- f --\nmine, longer",
}, {
	name: "edited in place to the same size, between hash and backup",
	old:  "-- f --\none\n", new: "-- f --\ntwo\n",
	at: "link f ", do: func(root string) error {
		later := time.Now().Add(time.Hour) // clocks of file systems are coarse
		return errors.Join(write("f", "mine")(root), os.Chtimes(filepath.Join(root, "f"), later, later))
	},
	err: errChanged, edited: "-- f --\nmine",
}, {
	name: "replaced between hash and backup",
	old:  "-- f --\none\n", new: "-- f --\ntwo\n",
	at: "link f ", do: replaceFile("f", "one\n"),
	err: errChanged, edited: "-- f --\none\n",
}, {
	name: "replaced between backup and redo",
	old:  "-- f --\none\n", new: "-- f --\ntwo\n",
	at: "rename " + journalNew, do: replaceFile("f", "mine"),
	want: "-- f --\ntwo\n-- f.kept --\nmine", kept: "f",
}, {
	name: "made where a new file goes",
	old:  "", new: "-- f --\ntwo\n",
	at: "rename " + journalNew, do: write("f", "mine"),
	want: "-- f --\ntwo\n-- f.kept --\nmine", kept: "f",
}, {
	name: "folder made where a new file goes",
	old:  "", new: "-- f --\ntwo\n",
	at: "rename " + journalNew, do: write("f/mine", "mine"),
	want: "-- f --\ntwo\n-- f.kept/mine --\nmine", kept: "f",
}, {
	name: "file made where a new folder goes",
	old:  "", new: "-- d/f --\ntwo\n",
	at: "rename " + journalNew, do: write("d", "mine"),
	want: "-- d/f --\ntwo\n-- d.kept --\nmine", kept: "d",
}, {
	name: "folder made where a new folder goes",
	old:  "", new: "-- d/f --\ntwo\n",
	at: "rename " + journalNew, do: write("d/mine", "mine"),
	want: "-- d/f --\ntwo\n-- d/mine --\nmine",
}, {
	name: "replaced before it is removed",
	old:  "-- f --\none\n-- g --\ng\n", new: "-- g --\ng2\n",
	at: "rename " + journalNew, do: replaceFile("f", "mine"),
	want: "-- f --\nmine-- g --\ng2\n",
}, {
	name: "removed before it is removed",
	old:  "-- f --\none\n-- g --\ng\n", new: "-- g --\ng2\n",
	at: "rename " + journalNew, do: func(root string) error { return os.Remove(filepath.Join(root, "f")) },
	want: "-- g --\ng2\n",
}, {
	name: "folder filled before it is removed",
	old:  "-- d/f --\none\n", new: "",
	at: "rename " + journalNew, do: write("d/mine", "mine"),
	want: "-- d/mine --\nmine",
}, {
	name: "folder filled before it becomes a file",
	old:  "-- d/f --\none\n", new: "-- d --\ntwo\n",
	at: "rename " + journalNew, do: write("d/mine", "mine"),
	want: "-- d --\ntwo\n-- d.kept/mine --\nmine", kept: "d",
}, {
	name: "folder removed before a file goes there",
	old:  "-- d/f --\none\n", new: "-- d/f --\ntwo\n",
	at: "rename " + journalNew, do: func(root string) error { return os.RemoveAll(filepath.Join(root, "d")) },
	want: "-- d/f --\ntwo\n",
}, {
	name: "symlink retargeted before it is replaced",
	old:  "-- l -> a --\n", new: "-- l -> b --\n",
	at: "rename " + journalNew, do: relink("l", "c"),
	want: "-- l -> b --\n-- l.kept -> c --\n", kept: "l",
}, {
	name: "chmodded file replaced by a folder",
	old:  "-- f --\none\n", new: "-- f 0755 --\none\n",
	at: "chmod f", do: func(root string) error {
		return errors.Join(os.Remove(filepath.Join(root, "f")), os.Mkdir(filepath.Join(root, "f"), 0o700))
	},
	want: "-- f/ 0755 --\n", // looked at just before: the mode hits what is there now
}}

func write(p, content string) func(string) error {
	return func(root string) error {
		name := filepath.Join(root, p)
		return errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644))
	}
}

// replaceFile saves like an editor: a new file takes the name of the old.
func replaceFile(p, content string) func(string) error {
	return func(root string) error {
		name := filepath.Join(root, p)
		return errors.Join(os.WriteFile(name+"~", []byte(content), 0o644), os.Rename(name+"~", name))
	}
}

func relink(p, target string) func(string) error {
	return func(root string) error {
		name := filepath.Join(root, p)
		return errors.Join(os.Remove(name), os.Symlink(target, name))
	}
}

// Promise 5 holds for what comes while the change is under way.
func TestPromise5Meanwhile(t *testing.T) {
	for _, c := range meanwhileCases {
		t.Run(c.name, func(t *testing.T) {
			root := scratch(t)
			from, to := treetest.Parse(t, c.old), parseExact(t, c.new)
			plant(t, root, from)
			done := false
			res, err := update(root, from, to, Options{Hook: func(step string) error {
				if !done && strings.HasPrefix(step, c.at) {
					done = true
					return c.do(root)
				}
				return nil
			}}, CommitOptions{})
			if !done {
				t.Fatalf("no step starts with %q", c.at)
			}
			if !errors.Is(err, c.err) {
				t.Fatalf("want error %v, got %v", c.err, err)
			}
			want := c.want
			if c.err != nil {
				want = c.edited
			}
			wantTree(t, root, parseExact(t, want), "updated")
			if (c.kept != "") != (res.Kept[c.kept] != "") {
				t.Errorf("want %q kept, got %v", c.kept, res.Kept)
			}
			tree, err := Open(root, Options{})
			must(t, err)
			must(t, tree.Close())
			wantTree(t, root, parseExact(t, want), "reopened")
		})
	}
}

// parseExact is treetest.Parse, but the tables' "mine" has no line end.
func parseExact(t *testing.T, s string) treetest.Tree {
	t.Helper()
	s = strings.ReplaceAll(strings.ReplaceAll(s, "mine-- ", "mine\n-- "), "longer-- ", "longer\n-- ")
	tree := treetest.Parse(t, s)
	for p, e := range tree {
		if strings.HasPrefix(e.Content, "mine") {
			e.Content = strings.TrimSuffix(e.Content, "\n")
			tree[p] = e
		}
	}
	return tree
}

// Promise 5 holds, too, for what comes between a crash and the recovery, in
// whichever direction that goes.
func TestPromise5MeanwhileCrashed(t *testing.T) {
	const old, new = "-- a --\na1\n-- b --\nb1\n-- c --\nc1\n-- d/x --\nx\n", "-- a --\na2\n-- b --\nb2\n-- c --\nc2\n-- e --\ne2\n"
	from, to := treetest.Parse(t, old), treetest.Parse(t, new)
	edits := treetest.Tree{"a": treetest.File("mine a"), "c": treetest.File("mine c"), "d/mine": treetest.File("mine d"), "e": treetest.File("mine e")}
	for k := 1; ; k++ {
		root := scratch(t)
		plant(t, root, from)
		s := stopFrom(k)
		_, err := update(root, from, to, Options{Hook: noSync(s).hook}, CommitOptions{})
		if s.n < k {
			break
		}
		for p, e := range edits {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, p)), 0o755))
			must(t, replaceFile(p, e.Content)(root))
		}
		tree, openErr := Open(root, Options{})
		if openErr != nil {
			t.Fatalf("stopped at %d, %v: %v", k, err, openErr)
		}
		kept := tree.Recovered().Kept
		must(t, tree.Close())
		got := snap(t, root)
		for p, e := range edits {
			if got[p] != e && got[kept[p]] != e {
				t.Errorf("stopped at %d, %v: the edit of %s is lost; kept %v, tree %v", k, err, p, kept, got)
			}
		}
		if b := got["b"].Content; b != "b1\n" && b != "b2\n" {
			t.Errorf("stopped at %d: b is %q", k, b)
		}
		dispose(root)
	}
}

// The same for a change that is taken back: an error turns it round, the
// process dies on the way, edits come, and recovery goes on backwards.
func TestPromise5MeanwhileTurned(t *testing.T) {
	from := treetest.Parse(t, "-- a --\na1\n-- c --\nc1\n-- gone --\ng\n-- z --\nz1\n")
	to := treetest.Parse(t, "-- a --\na2\n-- c --\nc2\n-- new --\nn\n-- z --\nz2\n")
	edits := treetest.Tree{"a": treetest.File("mine, a"), "new": treetest.File("mine, new"), "gone": treetest.File("mine, gone")}
	for k := 0; ; k++ {
		root := scratch(t)
		plant(t, root, from)
		turned := -1
		s := &script{act: func(n int, step string) error {
			if turned < 0 && strings.HasSuffix(step, "-> z") {
				turned = n
				return errStop
			}
			if turned >= 0 && n > turned+k {
				return errStop
			}
			return nil
		}}
		_, err := update(root, from, to, Options{Hook: noSync(s).hook}, CommitOptions{})
		if !errors.Is(err, ErrNeedsRecovery) {
			if k == 0 {
				t.Fatalf("want the undo stopped, got %v", err)
			}
			break // it got through
		}
		undoing, statErr := os.Stat(filepath.Join(root, filepath.FromSlash(journalUndo)))
		for p, e := range edits {
			must(t, replaceFile(p, e.Content)(root))
		}
		tree, openErr := Open(root, Options{})
		must(t, openErr)
		r := tree.Recovered()
		must(t, tree.Close())
		if r.Back != (statErr == nil && undoing != nil) {
			t.Errorf("stopped %d after the turn: recovery went %+v", k, r)
		}
		got := snap(t, root)
		for p, e := range edits {
			if got[p] != e && got[r.Kept[p]] != e {
				t.Errorf("stopped %d after the turn: the edit of %s is lost; kept %v, tree %v", k, p, r.Kept, got)
			}
		}
		dispose(root)
	}
}
