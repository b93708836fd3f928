package atomicfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// twinStrategies are those that change a twin of the tree.
var twinStrategies = []Strategy{Exchange, Versioned}

// needTwin skips tests where no two folders can change places.
func needTwin(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("folders cannot change places here")
	}
}

// plain2 is a small pair of trees.
func smallPair(t *testing.T) (from, to treetest.Tree) {
	return treetest.Parse(t, "-- a --\n1\n-- bin/app 0755 --\n1\n-- mode --\nm\n-- z/z --\n1\n"),
		treetest.Parse(t, "-- a --\n2\n-- bin/app 0755 --\n2\n-- mode 0600 --\nm\n-- z/z --\n2\n")
}

// The table of fidelity holds for every strategy.
func TestFidelityByStrategy(t *testing.T) {
	needTwin(t)
	for _, s := range twinStrategies {
		for _, c := range fidelityCases {
			root := newRoot(t)
			a, b := treetest.Parse(t, c.a), treetest.Parse(t, c.b)
			mine := treetest.Tree{"mine/own": {Mode: 0o640, Content: "mine"}, "mine/link": treetest.Symlink("own")}
			plant(t, root, with(a, mine))
			res, err := update(root, a, b, Options{Strategy: s}, CommitOptions{})
			must(t, err)
			if res.Strategy != s || res.Fallback != nil {
				t.Errorf("%s: want %v, got %v: %v", c.name, s, res.Strategy, res.Fallback)
			}
			wantTree(t, root, with(b, mine), c.name)
			_, err = rollBack(root, Options{Strategy: s}, CommitOptions{})
			must(t, err)
			wantTree(t, root, with(a, mine), c.name+", and back")
			wantClean(t, root, 0, c.name)
		}
	}
}

// Whoever opens the tree once and reads all of it, or follows its path anew for
// each file from one folder, never finds files of both releases. In place he
// does: that is the control.
func TestReadersSeeNoMix(t *testing.T) {
	needTwin(t)
	from, to := treetest.Tree{}, treetest.Tree{}
	for i := range 60 {
		from[name("d%d/f", i)], to[name("d%d/f", i)] = treetest.File("old"), treetest.File("new")
	}
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		root := newRoot(t)
		plant(t, root, from)
		if s == Versioned {
			makeVersioned(t, root)
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		reads, mixed, failed := 0, 0, 0
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A folder that was opened is one tree, whatever its name leads to later.
				dir, err := os.OpenRoot(root)
				if err != nil {
					failed++
					continue
				}
				first, err1 := dir.ReadFile("d0/f")
				last, err2 := dir.ReadFile("d59/f")
				dir.Close()
				reads++
				if err1 == nil && err2 == nil && string(first) != string(last) {
					mixed++
				}
			}
		})
		for i := range 12 {
			a, b := from, to
			if i%2 == 1 {
				a, b = to, from
			}
			_, err := update(root, a, b, Options{Strategy: s, Hook: noSync(&script{}).hook}, CommitOptions{NoSnapshot: true})
			must(t, err)
		}
		close(stop)
		wg.Wait()
		t.Logf("tried: %d reads during 12 updates, %v: %d mixed, root not found %d times", reads, s, mixed, failed)
		if (mixed > 0) != (s == InPlace) || failed > 0 {
			t.Errorf("%v: %d reads mixed, root not found %d times", s, mixed, failed)
		}
	}
}

// Where a twin cannot be had, the change is made in place, and it is said why.
func TestStrategyFallsBack(t *testing.T) {
	needTwin(t)
	from, to := smallPair(t)
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, root string) treetest.Tree // what is in the way, as part of the tree
	}{
		{"no links", nil},
		{"name taken", func(t *testing.T, root string) treetest.Tree {
			plant(t, filepath.Join(filepath.Dir(root), tempName("tree")), treetest.Tree{"precious": treetest.File("x")})
			return nil
		}},
	} {
		root := newRoot(t)
		plant(t, root, from)
		o := Options{Strategy: Exchange}
		if c.spoil == nil {
			o.Hook = noHardLinks(&script{}).hook
		} else {
			c.spoil(t, root)
		}
		res, err := update(root, from, to, o, CommitOptions{})
		must(t, err)
		if res.Strategy != InPlace || res.Fallback == nil || !strings.Contains(res.Fallback.Error(), "exchange") {
			t.Errorf("%s: want it made in place, got %v: %v", c.name, res.Strategy, res.Fallback)
		}
		wantTree(t, root, to, c.name)
		if c.spoil != nil {
			wantTree(t, filepath.Join(filepath.Dir(root), tempName("tree")), treetest.Tree{"precious": treetest.File("x")}, "somebody's folder")
		}
	}
	t.Run("symlink that leads elsewhere", func(t *testing.T) {
		root := newRoot(t)
		plant(t, root, from)
		link := filepath.Join(filepath.Dir(root), "link")
		must(t, os.Symlink("tree", link))
		res, err := update(link, from, to, Options{Strategy: Versioned}, CommitOptions{})
		must(t, err)
		if !errors.Is(res.Fallback, errNotPlaced) {
			t.Errorf("want the reason, got %v", res.Fallback)
		}
		wantTree(t, root, to, "in place")
	})
}

// Drift and obstacles are found as in place, nothing changes, and the staging
// can be used again.
func TestTwinRefuses(t *testing.T) {
	needTwin(t)
	from, to := smallPair(t)
	for _, s := range twinStrategies {
		root := newRoot(t)
		plant(t, root, with(from, treetest.Tree{"a": treetest.File("mine")}))
		before := snap(t, root)
		tree, err := Open(root, Options{Strategy: s})
		must(t, err)
		st, err := tree.Stage("x")
		must(t, err)
		changes := between(from, to)
		must(t, stageAll(st, changes, to))
		_, err = st.Commit(t.Context(), changes, CommitOptions{})
		var e *DriftError
		if !errors.As(err, &e) {
			t.Fatalf("%v: want a DriftError, got %v", s, err)
		}
		wantTree(t, root, before, "refused")
		wantAlone(t, root, "refused")
		res, err := st.Commit(t.Context(), changes, CommitOptions{KeepDrift: true})
		must(t, err)
		if res.Kept["a"] != "a.kept" {
			t.Errorf("%v: want a kept, got %v", s, res.Kept)
		}
		must(t, tree.Close())
		wantTree(t, root, with(to, treetest.Tree{"a.kept": treetest.File("mine")}), "forced")
	}
}

// What a program does in the tree while the twin is made, is not lost: not even
// in the moment before the two change places.
func TestTwinCatchesUp(t *testing.T) {
	needTwin(t)
	from, to := smallPair(t)
	own := treetest.Parse(t, "-- own/conf --\n1\n-- own/gone --\n1\n-- own/log --\n1\n-- own/deep/x --\n1\n")
	for _, s := range twinStrategies {
		for _, at := range []string{"link tree/z/z", "rename .treegraft/journal.new", "swap"} {
			root := newRoot(t)
			plant(t, root, with(from, own))
			versions := filepath.Join(filepath.Dir(root), versionsDir)
			if s == Versioned {
				makeVersioned(t, root)
			}
			at = strings.ReplaceAll(at, "tree/", map[Strategy]string{Exchange: "tree/", Versioned: "versions/0/"}[s])
			if at == "swap" {
				at = map[Strategy]string{Exchange: "exchange ", Versioned: "rename .tree.treegraft"}[s]
			}
			old := root
			if s == Versioned {
				old = filepath.Join(versions, "0")
			}
			done := false
			hook := func(step string) error {
				if !done && strings.HasPrefix(step, at) {
					done = true
					in := func(p string) string { return filepath.Join(old, filepath.FromSlash(p)) }
					must(t, errors.Join(
						os.WriteFile(in("own/conf.new"), []byte("2\n"), 0o644), os.Rename(in("own/conf.new"), in("own/conf")),
						os.Remove(in("own/gone")), os.WriteFile(in("own/log"), []byte("1\n2\n"), 0o644),
						os.MkdirAll(in("own/fresh/er"), 0o755), os.WriteFile(in("own/fresh/er/f"), []byte("2\n"), 0o644),
						os.WriteFile(in("own/deep/y"), []byte("2\n"), 0o644), os.WriteFile(in("top"), []byte("2\n"), 0o644)))
				}
				return nil
			}
			_, err := update(root, from, to, Options{Strategy: s, Hook: hook}, CommitOptions{})
			must(t, err)
			if !done {
				t.Fatalf("%v: no step %q", s, at)
			}
			want := treetest.Parse(t, "-- own/conf --\n2\n-- own/log --\n1\n2\n-- own/deep/x --\n1\n-- own/deep/y --\n2\n-- own/fresh/er/f --\n2\n-- top --\n2\n")
			wantTree(t, root, with(to, want), name("%v, at %s", s, at))
			wantAlone(t, root, at)
		}
	}
}

// A managed file that somebody replaces while the twin is made is kept beside
// the new one.
func TestTwinKeepsTheirs(t *testing.T) {
	needTwin(t)
	root := newRoot(t)
	from, to := smallPair(t)
	plant(t, root, from)
	res, err := update(root, from, to, Options{Strategy: Exchange, Hook: func(step string) error {
		if strings.HasPrefix(step, "exchange ") {
			theirs := filepath.Join(root, "a")
			must(t, errors.Join(os.Remove(theirs), os.WriteFile(theirs, []byte("theirs"), 0o644)))
		}
		return nil
	}}, CommitOptions{})
	must(t, err)
	if res.Kept["a"] != "a.kept" {
		t.Errorf("want a kept, got %v", res.Kept)
	}
	wantTree(t, root, with(to, treetest.Tree{"a.kept": treetest.File("theirs")}), "updated")
}

// The version before stays, for programs that run from it; older ones go, and
// folders of others do not.
func TestVersions(t *testing.T) {
	needTwin(t)
	root := newRoot(t)
	versions := filepath.Join(filepath.Dir(root), versionsDir)
	trees := []treetest.Tree{}
	for i := range 4 {
		trees = append(trees, treetest.Tree{"f": treetest.File(name("%d", i)), "bin/app": treetest.Exec(name("app %d", i))})
	}
	plant(t, root, trees[0])
	plant(t, filepath.Join(versions, "theirs"), treetest.Tree{"f": treetest.File("theirs")})
	for i := range 3 {
		tree, err := Open(root, Options{Strategy: Versioned})
		must(t, err)
		st, err := tree.Stage(name("1.%d.0", i+1))
		must(t, err)
		changes := between(trees[i], trees[i+1])
		must(t, stageAll(st, changes, trees[i+1]))
		_, err = st.Commit(t.Context(), changes, CommitOptions{})
		must(t, err)
		must(t, tree.Close())
		wantTree(t, root, trees[i+1], name("version %d", i+1))
		link, err := os.Readlink(root)
		if want := filepath.Join(versionsDir, name("1.%d.0", i+1)); err != nil || link != want {
			t.Errorf("want a symlink to %s, got %q, %v", want, link, err)
		}
	}
	wantTree(t, filepath.Join(versions, "1.2.0"), trees[2], "the version before")
	wantTree(t, filepath.Join(versions, "theirs"), treetest.Tree{"f": treetest.File("theirs")}, "somebody's")
	entries, err := os.ReadDir(versions)
	must(t, err)
	if len(entries) != 3 {
		t.Errorf("want two versions and somebody's, got %v", entries)
	}
}

func TestParseStrategy(t *testing.T) {
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		got, err := ParseStrategy(s.String())
		if err != nil || got != s {
			t.Errorf("%v: got %v, %v", s, got, err)
		}
	}
	if s, err := ParseStrategy(""); err != nil || s != InPlace {
		t.Errorf("nothing: want inplace, got %v, %v", s, err)
	}
	if _, err := ParseStrategy("swap"); err == nil {
		t.Error("swap: want an error, got none")
	}
}
