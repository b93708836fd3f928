package atomicfs

import (
	"errors"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

func TestCommitAndRollback(t *testing.T) {
	from, to, unmanaged := eventful(t)
	root := t.TempDir()
	plant(t, root, with(from, unmanaged))
	res, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, with(to, unmanaged), "after the commit")
	wantClean(t, root, 1, "after the commit")
	if res.Changed == 0 || len(res.Missing)+len(res.Kept) > 0 {
		t.Errorf("want changes without drift, got %+v", res)
	}

	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, with(from, unmanaged), "after the rollback")
	wantClean(t, root, 0, "after the rollback")

	if _, err := rollBack(root, Options{}, CommitOptions{}); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("second rollback: want ErrNoSnapshot, got %v", err)
	}
	wantTree(t, root, with(from, unmanaged), "after the second rollback")
}

// An install is a change from nothing.
func TestInstall(t *testing.T) {
	_, to, _ := eventful(t)
	root := t.TempDir()
	plant(t, root, treetest.Tree{})
	_, err := update(root, treetest.Tree{}, to, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, to, "installed")
	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, treetest.Tree{}, "rolled back")
}

// A repair brings back what was there: the way back is still that of the
// commit before it.
func TestNoSnapshot(t *testing.T) {
	from, to, _ := eventful(t)
	root := t.TempDir()
	plant(t, root, from)
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	broken := to.Clone(func(tree treetest.Tree) {
		for path, e := range tree {
			if e.Kind == 0 {
				tree[path] = treetest.File("broken")
				return
			}
		}
	})
	_, err = update(root, to, broken, Options{}, CommitOptions{NoSnapshot: true})
	must(t, err)
	wantClean(t, root, 1, "after breaking")
	_, err = update(root, broken, to, Options{}, CommitOptions{NoSnapshot: true})
	must(t, err)
	wantTree(t, root, to, "repaired")
	wantClean(t, root, 1, "repaired")
	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, from, "rolled back")
}
