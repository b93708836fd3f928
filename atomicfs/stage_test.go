package atomicfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

func openStage(t *testing.T, root string) (*Tree, *Stage) {
	t.Helper()
	tree, err := Open(root, Options{})
	must(t, err)
	t.Cleanup(func() { tree.Close() })
	s, err := tree.Stage("x")
	must(t, err)
	return tree, s
}

// Promise 4: content that is not what was declared never gets a name.
func TestPromise4WrongContent(t *testing.T) {
	root := scratch(t)
	_, s := openStage(t, root)
	n := *nodeOf(treetest.File("right"))
	for _, content := range []string{"wrong", "", "righ", "right!"} {
		f, err := s.Create("f", n)
		must(t, err)
		_, err = f.Write([]byte(content))
		if err == nil {
			err = f.Commit()
		}
		var e *ContentError
		if !errors.As(err, &e) || e.Path != "f" || e.Want.Digest != n.Digest {
			t.Errorf("%q: want a ContentError for f, got %v", content, err)
		}
		if err2 := f.Commit(); !errors.As(err2, &e) {
			t.Errorf("%q: want the error to stick, got %v", content, err2)
		}
		must(t, f.Cleanup())
		must(t, f.Cleanup())
	}
	_, err := s.Commit(context.Background(), []Change{{Path: "f", New: &n}}, CommitOptions{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("commit: want the content missing, got %v", err)
	}
	wantTree(t, root, treetest.Tree{}, "refused")
	wantClean(t, root, 0, "refused")
}

// What was staged for another content is not taken for this one.
func TestStagedForOtherContent(t *testing.T) {
	root := scratch(t)
	_, s := openStage(t, root)
	must(t, stageAll(s, []Change{{Path: "f", New: nodeOf(treetest.File("1"))}}, treetest.Tree{"f": treetest.File("1")}))
	other := []Change{{Path: "f", New: nodeOf(treetest.File("2"))}}
	if _, err := s.Commit(context.Background(), other, CommitOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want the content missing, got %v", err)
	}
	wantTree(t, root, treetest.Tree{}, "refused")
}

// Promise 4, for old content: a snapshot that was tampered with does not come
// back.
func TestPromise4SpoiledSnapshot(t *testing.T) {
	from := treetest.Parse(t, "-- f --\none\n-- l -> f --\n")
	to := treetest.Parse(t, "-- f --\ntwo\n-- l -> g --\n")
	for fault, spoil := range map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "1"), []byte("bad\n"), 0o600) },
		"size":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "1"), []byte("worse\n"), 0o600) },
		"gone":    func(dir string) error { return os.Remove(filepath.Join(dir, "1")) },
		"kind": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "1")), os.Mkdir(filepath.Join(dir, "1"), 0o755))
		},
		"link": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "2")), os.Symlink("/etc", filepath.Join(dir, "2")))
		},
	} {
		root := scratch(t)
		plant(t, root, from)
		_, err := update(root, from, to, Options{}, CommitOptions{})
		must(t, err)
		must(t, spoil(filepath.Join(root, filepath.FromSlash(snapshotOld(1)))))
		_, err = rollBack(root, Options{}, CommitOptions{KeepDrift: true})
		var e *PreflightError
		if !errors.As(err, &e) || len(e.Obstacles) != 1 || e.Obstacles[0].Kind != "snapshot" {
			t.Errorf("%s: want a snapshot obstacle, got %v", fault, err)
		}
		wantTree(t, root, to, fault)
	}
}

// Many goroutines stage at once; a path staged twice counts the last time.
func TestStageInParallel(t *testing.T) {
	root := scratch(t)
	to := treetest.Tree{}
	for i := range 100 {
		to[fmt.Sprintf("d%d/f%d", i%7, i)] = treetest.File(fmt.Sprint(i))
	}
	_, s := openStage(t, root)
	changes := between(treetest.Tree{}, to)
	must(t, stageAll(s, changes[:10], to))
	var wg sync.WaitGroup
	for _, c := range changes {
		wg.Go(func() {
			if err := stageAll(s, []Change{c}, to); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := s.Commit(context.Background(), changes, CommitOptions{})
	must(t, err)
	wantTree(t, root, to, "committed")
	wantClean(t, root, 1, "committed")
	if _, err := s.Commit(context.Background(), changes, CommitOptions{}); err == nil {
		t.Error("second commit: want an error, got none")
	}
	must(t, s.Discard())
}

// A new staging sweeps the old one, which is closed from then on, and so does
// a new Open. The caller's own files stay.
func TestStaleStaging(t *testing.T) {
	root := scratch(t)
	tree, s := openStage(t, root)
	must(t, WriteFile(tree.StatePath("mine"), []byte("x"), 0o600))
	changes, to := []Change{{Path: "f", New: nodeOf(treetest.File("1"))}}, treetest.Tree{"f": treetest.File("1")}
	must(t, stageAll(s, changes, to))
	_, err := tree.Stage("y")
	must(t, err)
	if err := stageAll(s, changes, to); err == nil {
		t.Error("old staging: want an error, got none")
	}
	must(t, tree.Close())
	tree, err = Open(root, Options{})
	must(t, err)
	defer tree.Close()
	if r := tree.Recovered(); len(r.Swept) != 1 || r.Swept[0] != "staging" || r.Forward || r.Back || r.ID != "" {
		t.Errorf("want the staging swept and nothing else, got %+v", r)
	}
	wantClean(t, root, 0, "swept")
	if b, err := os.ReadFile(tree.StatePath("mine")); string(b) != "x" {
		t.Errorf("own file: want it kept, got %q, %v", b, err)
	}
}

// A refusal leaves the staging as it is, so that the caller can go on with
// KeepDrift without staging again.
func TestStagingSurvivesRefusal(t *testing.T) {
	root := scratch(t)
	from, to := treetest.Parse(t, "-- f --\none\n"), treetest.Parse(t, "-- f --\ntwo\n")
	plant(t, root, treetest.Parse(t, "-- f --\nmine\n"))
	_, s := openStage(t, root)
	changes := between(from, to)
	must(t, stageAll(s, changes, to))
	var e *DriftError
	if _, err := s.Commit(context.Background(), changes, CommitOptions{}); !errors.As(err, &e) {
		t.Fatalf("want a DriftError, got %v", err)
	}
	_, err := s.Commit(context.Background(), changes, CommitOptions{KeepDrift: true})
	must(t, err)
	wantTree(t, root, treetest.Parse(t, "-- f --\ntwo\n-- f.kept --\nmine\n"), "kept")
}

// A context that ends before the record stops the commit; after it, it is not
// looked at.
func TestContext(t *testing.T) {
	from, to, unmanaged := eventful(t)
	for _, c := range []struct {
		at   string // the step at which the context ends
		want string
	}{{"link ", "old"}, {"rename " + stagedFiles, "new"}} {
		root := scratch(t)
		plant(t, root, with(from, unmanaged))
		ctx, cancel := context.WithCancel(context.Background())
		tree, err := Open(root, Options{Hook: func(step string) error {
			if bytes.HasPrefix([]byte(step), []byte(c.at)) {
				cancel()
			}
			return nil
		}})
		must(t, err)
		s, err := tree.Stage("x")
		must(t, err)
		changes := between(from, to)
		must(t, stageAll(s, changes, to))
		_, err = s.Commit(ctx, changes, CommitOptions{})
		if (c.want == "old") != errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %q: got %v", c.at, err)
		}
		must(t, tree.Close())
		if got := oneOf(t, root, with(from, unmanaged), with(to, unmanaged), c.at); got != c.want {
			t.Errorf("cancelled at %q: want the %s tree, got the %s one", c.at, c.want, got)
		}
		cancel()
	}
}

// A failed sync is not tried again: the staging goes, and the commit fails.
func TestFailedSyncIsNotRetried(t *testing.T) {
	root := scratch(t)
	from, to, _ := eventful(t)
	plant(t, root, from)
	failed, after := 0, 0
	_, err := update(root, from, to, Options{Hook: func(step string) error {
		if failed > 0 && bytes.HasPrefix([]byte(step), []byte("sync")) {
			after++
		}
		if failed == 0 && bytes.HasPrefix([]byte(step), []byte("sync")) {
			failed++
			return syscall.EIO
		}
		return nil
	}}, CommitOptions{})
	if !errors.Is(err, syscall.EIO) || after != 0 {
		t.Errorf("want EIO and no sync after it, got %v and %d", err, after)
	}
	wantTree(t, root, from, "sync failed")
	wantClean(t, root, 0, "sync failed")
}

// ErrNotDurable says the new tree is in place, and that is so.
func TestNotDurable(t *testing.T) {
	root := scratch(t)
	from, to, unmanaged := eventful(t)
	plant(t, root, with(from, unmanaged))
	put := false
	tree, err := Open(root, Options{Hook: func(step string) error {
		put = put || bytes.HasPrefix([]byte(step), []byte("rename "+stagedFiles))
		if put && bytes.HasPrefix([]byte(step), []byte("sync")) {
			return syscall.EIO
		}
		return nil
	}})
	must(t, err)
	if _, err := updateOpen(tree, from, to, CommitOptions{}); !errors.Is(err, ErrNotDurable) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("want ErrNotDurable, got %v", err)
	}
	wantTree(t, root, with(to, unmanaged), "not durable")
	if _, err := tree.Rollback(context.Background(), CommitOptions{}); !errors.Is(err, ErrNeedsRecovery) {
		t.Errorf("before a new Open: want ErrNeedsRecovery, got %v", err)
	}
	must(t, tree.Close())
	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, with(from, unmanaged), "rolled back")
}

func TestEvents(t *testing.T) {
	root := scratch(t)
	from, to, _ := eventful(t)
	plant(t, root, from)
	last := map[string]Event{}
	_, err := update(root, from, to, Options{Events: func(e Event) {
		if e.Total == 0 || e.Done > e.Total || e.Path == "" {
			t.Errorf("got %+v", e)
		}
		last[e.Phase] = e
	}}, CommitOptions{})
	must(t, err)
	if a := last["apply"]; len(last) != 2 || a.Done != a.Total {
		t.Errorf("want check and apply to their ends, got %v", last)
	}
}

func TestWriteFile(t *testing.T) {
	name := filepath.Join(scratch(t), "f")
	for _, c := range []struct {
		data string
		perm fs.FileMode
	}{{"one", 0o600}, {"", 0o644}, {"three", 0o400}} {
		must(t, WriteFile(name, []byte(c.data), c.perm))
		b, err := os.ReadFile(name)
		must(t, err)
		fi, err := os.Stat(name)
		must(t, err)
		if string(b) != c.data || fi.Mode() != c.perm {
			t.Errorf("want %q %v, got %q %v", c.data, c.perm, b, fi.Mode())
		}
	}
	if err := WriteFile(filepath.Join(name, "x"), nil, 0o600); err == nil {
		t.Error("below a file: want an error, got none")
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("want one file, got %v", entries)
	}
}

func TestStatePath(t *testing.T) {
	tree, _ := openStage(t, scratch(t))
	state := filepath.Join(tree.root, StateDir)
	for in, want := range map[string]string{"a": "a", "a/b": "a/b", "../../x": "x", "/x": "x", "": ""} {
		if got := tree.StatePath(in); got != filepath.Join(state, filepath.FromSlash(want)) {
			t.Errorf("%q: want %q in the state folder, got %q", in, want, got)
		}
	}
}
