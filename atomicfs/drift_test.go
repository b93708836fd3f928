package atomicfs

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// driftCases start from the tree old, spoil it by edit, and update to new.
var driftCases = []struct {
	name     string
	old, new string
	edit     string            // txtar laid over the tree; folders replace files
	remove   []string          // removed before edit
	drift    []string          // paths that must be listed
	kept     map[string]string // with KeepDrift
	missing  []string
	want     string // the tree after KeepDrift, or after success without drift
	back     string // the tree after a rollback
}{{
	name:  "modified file",
	old:   "-- f --\none\n",
	new:   "-- f --\ntwo\n",
	edit:  "-- f --\nmine, longer\n",
	drift: []string{"f"}, kept: map[string]string{"f": "f.kept"},
	want: "-- f --\ntwo\n-- f.kept --\nmine, longer\n",
	back: "-- f --\nmine, longer\n-- f.kept --\nmine, longer\n",
}, {
	name:  "modified file of the same size",
	old:   "-- f --\none.\n",
	new:   "-- f --\ntwo\n",
	edit:  "-- f --\none!\n",
	drift: []string{"f"}, kept: map[string]string{"f": "f.kept"},
	want: "-- f --\ntwo\n-- f.kept --\none!\n",
	back: "-- f --\none!\n-- f.kept --\none!\n",
}, {
	name:  "modified file that goes",
	old:   "-- d/f --\none\n-- d/g --\ng\n",
	new:   "",
	edit:  "-- d/f --\nmine\n",
	drift: []string{"d/f"}, kept: map[string]string{"d/f": "d/f.kept"},
	want: "-- d/f.kept --\nmine\n",
	back: "-- d/f --\nmine\n-- d/f.kept --\nmine\n-- d/g --\ng\n",
}, {
	name:  "earlier kept files stay",
	old:   "-- f --\none\n",
	new:   "-- f --\ntwo\n",
	edit:  "-- f --\nmine\n-- f.kept --\nearlier\n-- f.kept-2/ --\n",
	drift: []string{"f"}, kept: map[string]string{"f": "f.kept-3"},
	want: "-- f --\ntwo\n-- f.kept --\nearlier\n-- f.kept-2/ --\n-- f.kept-3 --\nmine\n",
	back: "-- f --\nmine\n-- f.kept --\nearlier\n-- f.kept-2/ --\n-- f.kept-3 --\nmine\n",
}, {
	name:    "missing file comes anew",
	old:     "-- f --\none\n-- g --\ng\n",
	new:     "-- f --\ntwo\n-- g --\ng\n",
	remove:  []string{"f"},
	missing: []string{"f"},
	want:    "-- f --\ntwo\n-- g --\ng\n",
	back:    "-- g --\ng\n",
}, {
	name:    "missing file that goes",
	old:     "-- d/f --\none\n-- g --\ng\n",
	new:     "-- g --\ng2\n",
	remove:  []string{"d"},
	missing: []string{"d/f"},
	want:    "-- g --\ng2\n",
	back:    "-- g --\ng\n",
}, {
	name: "already new",
	old:  "-- f --\none\n-- g --\ng\n",
	new:  "-- f --\ntwo\n-- g --\ng2\n",
	edit: "-- f --\ntwo\n",
	want: "-- f --\ntwo\n-- g --\ng2\n",
	back: "-- f --\ntwo\n-- g --\ng\n",
}, {
	name: "another mode is set, not compared",
	old:  "-- f --\none\n",
	new:  "-- f --\ntwo\n",
	edit: "-- f 0600 --\none\n",
	want: "-- f --\ntwo\n",
	back: "-- f 0600 --\none\n",
}, {
	name:  "unmanaged file in the way",
	old:   "",
	new:   "-- f --\ntwo\n",
	edit:  "-- f --\nmine\n",
	drift: []string{"f"}, kept: map[string]string{"f": "f.kept"},
	want: "-- f --\ntwo\n-- f.kept --\nmine\n",
	back: "-- f.kept --\nmine\n",
}, {
	name: "unmanaged folder is joined",
	old:  "",
	new:  "-- d/f --\ntwo\n",
	edit: "-- d/mine --\nmine\n",
	want: "-- d/f --\ntwo\n-- d/mine --\nmine\n",
	back: "-- d/mine --\nmine\n",
}, {
	name:  "unmanaged folder in the way",
	old:   "",
	new:   "-- d --\ntwo\n",
	edit:  "-- d/mine --\nmine\n",
	drift: []string{"d/mine"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d --\ntwo\n-- d.kept/mine --\nmine\n",
	back: "-- d.kept/mine --\nmine\n",
}, {
	name:  "unmanaged empty folder in the way",
	old:   "",
	new:   "-- d --\ntwo\n",
	edit:  "-- d/ --\n",
	drift: []string{"d"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d --\ntwo\n-- d.kept/ --\n",
	back: "-- d.kept/ --\n",
}, {
	name:  "managed folder becomes a file, with unmanaged things inside",
	old:   "-- d/f --\none\n-- d/s/g --\ng\n",
	new:   "-- d --\ntwo\n",
	edit:  "-- d/s/mine --\nmine\n",
	drift: []string{"d/s/mine"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d --\ntwo\n-- d.kept/s/mine --\nmine\n",
	back: "-- d/f --\none\n-- d/s/g --\ng\n-- d.kept/s/mine --\nmine\n",
}, {
	name:  "listed folder becomes a file, with unmanaged things inside",
	old:   "-- d/ --\n-- d/f --\none\n",
	new:   "-- d --\ntwo\n",
	edit:  "-- d/mine/ --\n",
	drift: []string{"d/mine"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d --\ntwo\n-- d.kept/mine/ --\n",
	back: "-- d/ --\n-- d/f --\none\n-- d.kept/mine/ --\n",
}, {
	name:  "managed folder becomes a file, with a modified file inside",
	old:   "-- d/f --\none\n-- d/g --\ng\n",
	new:   "-- d --\ntwo\n",
	edit:  "-- d/f --\nmine\n",
	drift: []string{"d/f"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d --\ntwo\n-- d.kept/f --\nmine\n",
	back: "-- d/g --\ng\n-- d.kept/f --\nmine\n",
}, {
	name:  "file that was made a folder",
	old:   "-- f --\none\n",
	new:   "-- f --\ntwo\n",
	edit:  "-- f/mine --\nmine\n",
	drift: []string{"f/mine"}, kept: map[string]string{"f": "f.kept"},
	want: "-- f --\ntwo\n-- f.kept/mine --\nmine\n",
	back: "-- f.kept/mine --\nmine\n",
}, {
	name:  "file that was made a symlink",
	old:   "-- f --\none\n-- g --\ng\n",
	new:   "-- f --\ntwo\n-- g --\ng\n",
	edit:  "-- f -> g --\n",
	drift: []string{"f"}, kept: map[string]string{"f": "f.kept"},
	want: "-- f --\ntwo\n-- f.kept -> g --\n-- g --\ng\n",
	back: "-- f -> g --\n-- f.kept -> g --\n-- g --\ng\n",
}, {
	name:  "symlink that was retargeted",
	old:   "-- l -> a --\n",
	new:   "-- l -> b --\n",
	edit:  "-- l -> c --\n",
	drift: []string{"l"}, kept: map[string]string{"l": "l.kept"},
	want: "-- l -> b --\n-- l.kept -> c --\n",
	back: "-- l -> c --\n-- l.kept -> c --\n",
}, {
	name:  "file where a new folder must go",
	old:   "",
	new:   "-- d/f --\ntwo\n-- d/ --\n",
	edit:  "-- d --\nmine\n",
	drift: []string{"d"}, kept: map[string]string{"d": "d.kept"},
	want: "-- d/f --\ntwo\n-- d.kept --\nmine\n",
	back: "-- d.kept --\nmine\n",
}, {
	name: "deleted folder with unmanaged things stays",
	old:  "-- d/ --\n-- d/f --\none\n-- d/e/ --\n",
	new:  "",
	edit: "-- d/mine --\nmine\n",
	want: "-- d/mine --\nmine\n",
	back: "-- d/f --\none\n-- d/e/ --\n-- d/mine --\nmine\n",
}}

func TestDrift(t *testing.T) {
	for _, c := range driftCases {
		t.Run(c.name, func(t *testing.T) {
			root := scratch(t)
			from, to := treetest.Parse(t, c.old), treetest.Parse(t, c.new)
			plant(t, root, from)
			for _, p := range c.remove {
				must(t, os.RemoveAll(filepath.Join(root, p)))
			}
			layOver(t, root, treetest.Parse(t, c.edit))
			spoiled := snap(t, root)

			if len(c.drift) > 0 {
				_, err := update(root, from, to, Options{}, CommitOptions{})
				var e *DriftError
				if !errors.As(err, &e) {
					t.Fatalf("want a DriftError, got %v", err)
				}
				var got []string
				for _, d := range e.Drift {
					got = append(got, d.Path)
				}
				if !slices.Equal(got, c.drift) {
					t.Errorf("want drift %v, got %v", c.drift, e)
				}
				wantTree(t, root, spoiled, "refused")
			}
			res, err := update(root, from, to, Options{}, CommitOptions{KeepDrift: len(c.drift) > 0})
			must(t, err)
			wantTree(t, root, treetest.Parse(t, c.want), "updated")
			if !maps.Equal(res.Kept, c.kept) || !slices.Equal(res.Missing, c.missing) {
				t.Errorf("want kept %v, missing %v, got %+v", c.kept, c.missing, res)
			}
			_, err = rollBack(root, Options{}, CommitOptions{})
			must(t, err)
			wantTree(t, root, treetest.Parse(t, c.back), "rolled back")
		})
	}
}

// layOver writes tree over what is there.
func layOver(t *testing.T, root string, tree treetest.Tree) {
	t.Helper()
	for p, e := range tree {
		for dir := range ancestors(p) {
			name := filepath.Join(root, filepath.FromSlash(dir))
			if fi, err := os.Lstat(name); err == nil && !fi.IsDir() {
				must(t, os.Remove(name))
			}
		}
		if e.Kind != fs.ModeDir {
			must(t, os.RemoveAll(filepath.Join(root, filepath.FromSlash(p))))
		}
	}
	tree.Write(t, root)
}

// Drift that came between update and rollback is treated the same way.
func TestDriftBeforeRollback(t *testing.T) {
	root := scratch(t)
	from, to := treetest.Parse(t, "-- f --\none\n"), treetest.Parse(t, "-- f --\ntwo\n-- new --\nn\n")
	plant(t, root, from)
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	layOver(t, root, treetest.Parse(t, "-- f --\nmine\n-- new --\nmine too\n"))
	_, err = rollBack(root, Options{}, CommitOptions{})
	var e *DriftError
	if !errors.As(err, &e) || len(e.Drift) != 2 {
		t.Fatalf("want a DriftError for f and new, got %v", err)
	}
	wantTree(t, root, treetest.Parse(t, "-- f --\nmine\n-- new --\nmine too\n"), "refused")
	_, err = rollBack(root, Options{}, CommitOptions{KeepDrift: true})
	must(t, err)
	wantTree(t, root, treetest.Parse(t, "-- f --\none\n-- f.kept --\nmine\n-- new.kept --\nmine too\n"), "rolled back")
}

// With KeepDrift, too, every stop ends in the old or the new tree.
func TestKeepDriftStopAtEveryStep(t *testing.T) {
	for _, c := range driftCases {
		if len(c.drift) == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from, to := treetest.Parse(t, c.old), treetest.Parse(t, c.new)
			for k, done := 1, false; !done; k++ {
				for _, sticky := range []bool{true, false} {
					root := scratch(t)
					plant(t, root, from)
					layOver(t, root, treetest.Parse(t, c.edit))
					spoiled := snap(t, root)
					s := &script{act: func(n int, _ string) error {
						if n == k || sticky && n > k {
							return errStop
						}
						return nil
					}}
					_, err := update(root, from, to, Options{Hook: noSync(s).hook}, CommitOptions{KeepDrift: true})
					done = s.n < k
					tree, openErr := Open(root, Options{})
					must(t, openErr)
					must(t, tree.Close())
					which := oneOf(t, root, spoiled, treetest.Parse(t, c.want), name("step %d, %v", k, err))
					if which == "old" && err == nil {
						t.Fatalf("step %d: success with the old tree", k)
					}
					dispose(root)
				}
			}
		})
	}
}

// What is found early need not be hashed again, and what changed since is.
func TestDriftIsRemembered(t *testing.T) {
	root := scratch(t)
	from, to := treetest.Parse(t, "-- f --\none\n"), treetest.Parse(t, "-- f --\ntwo\n")
	plant(t, root, from)
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	drift, err := tree.Drift(context.Background(), between(from, to))
	if err != nil || len(drift) > 0 {
		t.Fatalf("want no drift, got %v, %v", drift, err)
	}
	must(t, os.WriteFile(filepath.Join(root, "f"), []byte("one!"), 0o644))
	if _, err := updateOpen(tree, from, to, CommitOptions{}); err == nil {
		t.Error("want the change since to be found, got none")
	}
}

func TestCompare(t *testing.T) {
	one, two, other := nodeOf(treetest.File("1")), nodeOf(treetest.File("2")), nodeOf(treetest.File("3"))
	exec := nodeOf(treetest.Exec("1"))
	dir, link := nodeOf(treetest.Dir(0o755)), nodeOf(treetest.Symlink("x"))
	cases := []struct {
		name     string
		old, new *Node
		now      *Node
		want     verdict
	}{
		{"as old", one, two, one, replace},
		{"as new", one, two, two, settled},
		{"missing", one, two, nil, replace},
		{"modified", one, two, other, drifted},
		{"add", nil, one, nil, replace},
		{"in the way", nil, one, other, drifted},
		{"remove", one, nil, one, replace},
		{"gone already", one, nil, nil, settled},
		{"modified, to go", one, nil, other, drifted},
		{"mode", one, exec, one, remode},
		{"mode done", one, exec, exec, settled},
		{"folder to file", dir, one, dir, blocked},
		{"file to folder", one, dir, one, replace},
		{"folder there", nil, dir, dir, settled},
		{"link to file", link, one, link, replace},
		{"folder for a file to go", one, nil, dir, drifted},
		{"special", one, two, &Node{Kind: Other}, drifted},
	}
	for _, c := range cases {
		if got := compare(&Change{Path: "p", Old: c.old, New: c.new}, c.now); got != c.want {
			t.Errorf("%s: want verdict %d, got %d", c.name, c.want, got)
		}
	}
	if got := compare(&Change{Path: MetaDir + "/p", New: two}, other); got != replace {
		t.Errorf("state record: want verdict %d, got %d", replace, got)
	}
}
