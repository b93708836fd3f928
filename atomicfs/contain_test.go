package atomicfs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

func TestHostilePaths(t *testing.T) {
	root := scratch(t)
	file := nodeOf(treetest.File("x"))
	for _, p := range []string{
		"", ".", "..", "../x", "a/../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a/.", "a\x00b", "\xff",
		StateDir, StateDir + "/journal", StateDir + "/lock", StateDir + "/snapshots/1/journal", ".TreeGraft/lock",
		MetaDir, MetaDir + "/../lock", StateDir + "/META/x",
		strings.Repeat("x", 256), strings.Repeat("x/", 2100) + "x",
	} {
		tree, err := Open(root, Options{})
		must(t, err)
		s, err := tree.Stage("x")
		must(t, err)
		if f, err := s.Create(p, *file); err == nil {
			f.Cleanup()
			t.Errorf("create %.40q: want an error, got none", p)
		}
		for _, c := range []Change{{Path: p, New: file}, {Path: p, Old: file}} {
			if _, err := s.Commit(context.Background(), []Change{c}, CommitOptions{}); err == nil {
				t.Errorf("commit %.40q: want an error, got none", p)
			}
		}
		must(t, tree.Close())
	}
	wantTree(t, root, treetest.Tree{}, "hostile paths")
}

// All faults of a list of changes are named, not only the first.
func TestInvalidChanges(t *testing.T) {
	file, dir, link := nodeOf(treetest.File("x")), nodeOf(treetest.Dir(0o755)), nodeOf(treetest.Symlink("x"))
	err := validate([]Change{
		{Path: "neither"},
		{Path: "twice", New: file}, {Path: "twice", New: file},
		{Path: "parent", New: file}, {Path: "parent/child", New: file},
		{Path: "linked", New: link}, {Path: "linked/child/deep", New: dir},
		{Path: "suid", New: &Node{Kind: File, Mode: os.ModeSetuid | 0o755}},
		{Path: "odd", New: &Node{Kind: Other}},
		{Path: "none", New: &Node{}},
		{Path: "negative", New: &Node{Kind: File, Size: -1}},
		{Path: "nolink", New: &Node{Kind: Symlink}},
		{Path: "nul", New: &Node{Kind: Symlink, Link: "a\x00b"}},
		{Path: MetaDir + "/dir", New: dir},
	})
	if err == nil {
		t.Fatal("want faults, got none")
	}
	for _, p := range []string{"neither", "twice", "parent/child", "linked/child/deep", "suid", "odd", "none", "negative", "nolink", "nul", MetaDir + "/dir"} {
		if !strings.Contains(err.Error(), `"`+p+`"`) {
			t.Errorf("want a fault for %q in: %v", p, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 11 {
		t.Errorf("want 11 faults, got %d: %v", n, err)
	}
}

// Promise 5: a folder that the user made a symlink is not followed, whether it
// leads out of the tree or to another place in it.
func TestPromise5SymlinkedFolder(t *testing.T) {
	parent := scratch(t)
	outside := filepath.Join(parent, "outside")
	elsewhere := treetest.Parse(t, "-- f --\none\n")
	plant(t, outside, elsewhere)
	for _, target := range []string{outside, "other"} {
		root := filepath.Join(parent, "tree")
		from := treetest.Parse(t, "-- d/f --\none\n-- g --\ng\n")
		to := treetest.Parse(t, "-- d/f --\ntwo\n-- d/new --\nn\n-- g --\ng2\n")
		plant(t, root, from)
		plant(t, filepath.Join(root, "other"), elsewhere)
		must(t, os.RemoveAll(filepath.Join(root, "d")))
		must(t, os.Symlink(target, filepath.Join(root, "d")))
		before := snap(t, root)
		_, err := update(root, from, to, Options{}, CommitOptions{KeepDrift: true})
		var e *PreflightError
		if !errors.As(err, &e) || e.Obstacles[0].Path != "d" || e.Obstacles[0].Kind != "parent" {
			t.Fatalf("want an obstacle at d, got %v", err)
		}
		wantTree(t, root, before, "refused")
		wantTree(t, outside, elsewhere, "outside")
		dispose(root)
	}
}

// Promise 5, raced: while folders are swapped for symlinks that lead out, the
// update may fail, but nothing outside changes.
func TestPromise5SymlinkRace(t *testing.T) {
	parent := scratch(t)
	outside, root := filepath.Join(parent, "outside"), filepath.Join(parent, "tree")
	elsewhere := treetest.Parse(t, "-- f --\none\n-- sub/f --\none\n-- g --\nmine\n")
	plant(t, outside, elsewhere)
	from := treetest.Parse(t, "-- d/f --\none\n-- d/sub/f --\none\n-- e --\ne\n")
	to := treetest.Parse(t, "-- d/f 0600 --\ntwo\n-- d/g --\ng\n-- d/sub/f 0755 --\none\n-- d/sub/h/i --\ni\n")
	plant(t, root, from)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		d, aside, link := filepath.Join(root, "d"), filepath.Join(root, "aside"), filepath.Join(root, "trap")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.RemoveAll(aside) // an update may have made d again
			_ = os.Symlink(outside, link)
			_ = os.Rename(d, aside)
			_ = os.Rename(link, d)
			time.Sleep(100 * time.Microsecond)
			_ = os.Remove(d)
			_ = os.Rename(aside, d)
			time.Sleep(time.Millisecond) // let an update get somewhere
		}
	})
	ended := map[bool]int{}
	for range 150 {
		_, err := update(root, from, to, Options{Hook: noSync(&script{}).hook}, CommitOptions{KeepDrift: true})
		ended[err == nil]++
		_, _ = rollBack(root, Options{Hook: noSync(&script{}).hook}, CommitOptions{KeepDrift: true})
	}
	close(stop)
	wg.Wait()
	wantTree(t, outside, elsewhere, "outside")
	t.Logf("%d updates succeeded, %d failed", ended[true], ended[false])
	if ended[false] == 0 {
		t.Error("want the race to be lost at least once: it was not run")
	}
}

// The state folder itself may not lead elsewhere.
func TestSymlinkedStateDir(t *testing.T) {
	parent := scratch(t)
	root, outside := filepath.Join(parent, "tree"), filepath.Join(parent, "outside")
	must(t, os.MkdirAll(root, 0o755))
	must(t, os.MkdirAll(outside, 0o755))
	must(t, os.Symlink(outside, filepath.Join(root, StateDir)))
	if _, err := Open(root, Options{}); err == nil {
		t.Error("symlinked state folder: want an error, got none")
	}
	must(t, os.Remove(filepath.Join(root, StateDir)))
	must(t, os.Mkdir(filepath.Join(root, StateDir), 0o700))
	must(t, os.Symlink(filepath.Join(outside, "lock"), filepath.Join(root, filepath.FromSlash(lockFile))))
	if _, err := Open(root, Options{}); err == nil {
		t.Error("symlinked lock: want an error, got none")
	}
	wantTree(t, outside, treetest.Tree{}, "outside")
}

// Promise 6: a second updater fails at once and says who holds the lock.
func TestPromise6SecondUpdater(t *testing.T) {
	const child = "ATOMICFS_TEST_LOCK"
	if root := os.Getenv(child); root != "" {
		_, err := Open(root, Options{})
		var e *LockedError
		if !errors.As(err, &e) {
			t.Fatalf("want a LockedError, got %v", err)
		}
		if e.PID != os.Getppid() || e.BootID != bootID() || time.Since(e.Since) > time.Hour || e.Since.IsZero() {
			t.Errorf("want process %d of boot %q, got %+v", os.Getppid(), bootID(), e)
		}
		return
	}
	root := scratch(t)
	tree, err := Open(root, Options{})
	must(t, err)
	var e *LockedError
	if _, err := Open(root, Options{}); !errors.As(err, &e) || e.PID != os.Getpid() {
		t.Errorf("in this process: want a LockedError, got %v", err)
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-test.run=^TestPromise6SecondUpdater$")
	cmd.Env = append(os.Environ(), child+"="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in another process: %v\n%s", err, out)
	}
	must(t, tree.Close())
	tree, err = Open(root, Options{})
	must(t, err)
	must(t, tree.Close())
}

// A lock whose holder is gone holds nothing, whatever it wrote, even if its
// process number runs again.
func TestStaleLock(t *testing.T) {
	root := scratch(t)
	tree, err := Open(root, Options{})
	must(t, err)
	must(t, tree.Close())
	note := filepath.Join(root, filepath.FromSlash(holderFile))
	for _, s := range []string{`{"pid":1,"boot_id":"other"}`, "", "{", strings.Repeat("x", 1<<16)} {
		must(t, os.WriteFile(note, []byte(s), 0o600))
		tree, err := Open(root, Options{})
		must(t, err)
		must(t, tree.Close())
	}
}

func TestClosedTree(t *testing.T) {
	tree, err := Open(scratch(t), Options{})
	must(t, err)
	s, err := tree.Stage("x")
	must(t, err)
	must(t, tree.Close())
	ctx := context.Background()
	_, errs := s.Commit(ctx, nil, CommitOptions{})
	_, errb := tree.Rollback(ctx, CommitOptions{})
	_, errd := tree.Drift(ctx, nil)
	_, errn := tree.Snapshots()
	for _, err := range []error{errs, errb, errd, errn, tree.DropSnapshots(0), tree.Preflight(ctx, nil, 0)} {
		if err == nil {
			t.Error("want an error after Close, got none")
		}
	}
}
