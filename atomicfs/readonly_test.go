package atomicfs

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// TestReadOnlyAfterStops looks at trees whose change was stopped at every step:
// what is shown is the old or the new tree, or else an error that says what has
// to be done. Looking changes nothing, and needs no lock.
func TestReadOnlyAfterStops(t *testing.T) {
	for _, a := range allActs(t, noSync) {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			shown, unsettled := 0, 0
			steps := countSteps(t, a)
			for _, k := range append(a.some(steps, 5), steps+1) {
				base := scratch(t)
				root := filepath.Join(base, "tree")
				a.setup(t, root)
				_ = a.run(root, Options{Hook: stopFrom(k).hook}) // stopped, but for the last one
				was := treetest.Read(t, base)
				when := name("stopped at %d", k)
				tree, err := Open(root, Options{ReadOnly: true})
				switch {
				case err == nil:
					shown++
					oneOf(t, root, a.before, a.after, when)
					_, err := tree.Snapshots()
					must(t, err)
					must(t, tree.Close())
				case errors.Is(err, ErrReadOnly) && errors.Is(err, ErrNeedsRecovery):
					unsettled++
				default:
					t.Fatalf("%s: %v", when, err)
				}
				if d := treetest.Diff(was, treetest.Read(t, base)); d != "" {
					t.Fatalf("%s: looking has changed something: (-want +got)\n%s", when, d)
				}
				dispose(base)
			}
			t.Logf("tried: %d trees looked at after a stop, %d of them shown (%s)", shown+unsettled, shown, a.name)
			if shown == 0 || a.inPlace() && unsettled == 0 {
				t.Errorf("want some trees shown and some refused, got %d and %d", shown, unsettled)
			}
		})
	}
}

// TestReadOnlyChangesNothing asks for every change there is.
func TestReadOnlyChangesNothing(t *testing.T) {
	root := scratch(t)
	from, to := treetest.Parse(t, "-- f --\none\n"), treetest.Parse(t, "-- f --\ntwo\n")
	plant(t, root, from)
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	holder, err := Open(root, Options{})
	must(t, err)
	defer holder.Close()
	was := treetest.Read(t, root)
	tree, err := Open(root, Options{ReadOnly: true, Strategy: Versioned}) // in spite of the lock
	must(t, err)
	defer tree.Close()
	snapshots, err := tree.Snapshots()
	must(t, err)
	for verb, change := range map[string]func() error{
		"update":   func() error { _, err := updateOpen(tree, to, from, CommitOptions{}); return err },
		"rollback": func() error { _, err := tree.Rollback(context.Background(), CommitOptions{}); return err },
		"drop":     func() error { return tree.DropSnapshot(snapshots[0].Seq) },
	} {
		if err := change(); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: want ErrReadOnly, got %v", verb, err)
		}
	}
	if d := treetest.Diff(was, treetest.Read(t, root)); d != "" {
		t.Errorf("something has changed: (-want +got)\n%s", d)
	}
	if found, err := tree.Drift(context.Background(), between(to, from)); err != nil || len(found) > 0 {
		t.Errorf("drift: want none, got %v, error %v", found, err)
	}
}
