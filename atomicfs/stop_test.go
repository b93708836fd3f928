package atomicfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// act is one change that the tests of this file cut short at every step.
type act struct {
	name   string
	kind   string                             // "update", "rollback" or "repair"
	before treetest.Tree                      // what the change starts from
	after  treetest.Tree                      // what it ends with
	setup  func(tb testing.TB, root string)   // makes before, in root
	run    func(root string, o Options) error // the change, from Open to Close
}

// allActs returns an update, its rollback, and an update that leaves no
// snapshot, by each strategy. wrap is put around every hook.
func allActs(tb testing.TB, wrap func(*script) *script) (all []act) {
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		all = append(all, actsBy(tb, s, wrap)...)
	}
	return all
}

func actsBy(tb testing.TB, strategy Strategy, wrap func(*script) *script) []act {
	from, to, unmanaged := eventful(tb)
	before, after := with(from, unmanaged), with(to, unmanaged)
	hooked := func(o Options) Options {
		s := &script{}
		if o.Hook != nil {
			hook := o.Hook
			s.act = func(_ int, step string) error { return hook(step) }
		}
		return Options{Hook: wrap(s).hook, Strategy: strategy}
	}
	setup := func(tb testing.TB, root string) {
		plant(tb, root, before)
		if strategy == Versioned {
			makeVersioned(tb, root)
		}
	}
	all := []act{{
		kind: "update", before: before, after: after, setup: setup,
		run: func(root string, o Options) error {
			_, err := update(root, from, to, hooked(o), CommitOptions{})
			return err
		},
	}, {
		kind: "rollback", before: after, after: before,
		setup: func(tb testing.TB, root string) {
			setup(tb, root)
			_, err := update(root, from, to, hooked(Options{}), CommitOptions{})
			must(tb, err)
		},
		run: func(root string, o Options) error {
			_, err := rollBack(root, hooked(o), CommitOptions{})
			return err
		},
	}, {
		kind: "repair", before: before, after: after, setup: setup,
		run: func(root string, o Options) error {
			_, err := update(root, from, to, hooked(o), CommitOptions{NoSnapshot: true})
			return err
		},
	}}
	for i := range all {
		all[i].name = strategy.String() + " " + all[i].kind
	}
	return all
}

// some returns the steps to try: all of them, but where most are alike, in the
// making of a twin, or under the race detector, one of every few, unless it
// shall be thorough. From the step on that changes places none is left out.
func (a act) some(steps, every int) (some []int) {
	if a.inPlace() && !racing || thorough() {
		every = 1
	}
	for k := 1; k <= steps; k++ {
		if k%every == 0 || k > steps-18 {
			some = append(some, k)
		}
	}
	return some
}

func (a act) inPlace() bool { return strings.HasPrefix(a.name, InPlace.String()) }

// makeVersioned turns a folder into a symlink to a version.
func makeVersioned(tb testing.TB, root string) {
	tb.Helper()
	versions := filepath.Join(filepath.Dir(root), versionsDir)
	must(tb, os.Mkdir(versions, 0o755))
	must(tb, os.Rename(root, filepath.Join(versions, "0")))
	must(tb, os.Symlink(filepath.Join(versionsDir, "0"), root))
}

// noSync leaves syncs out: they cost time, and only a power cut can tell.
func noSync(s *script) *script { return leaveOut("sync", s) }

// leaveOut skips the steps that start so, if the script has nothing else to
// say about them.
func leaveOut(prefix string, s *script) *script {
	return &script{act: func(_ int, step string) error {
		err := s.hook(step)
		if err == nil && strings.HasPrefix(step, prefix) {
			return errSkip
		}
		return err
	}}
}

// noHardLinks is a file system without them.
func noHardLinks(s *script) *script {
	return &script{act: func(_ int, step string) error {
		err := s.hook(step)
		if err == nil && strings.HasPrefix(step, "link ") {
			return syscall.EPERM
		}
		return noSyncStep(err, step)
	}}
}

func noSyncStep(err error, step string) error {
	if err == nil && strings.HasPrefix(step, "sync") {
		return errSkip
	}
	return err
}

// countSteps runs an act to its end.
func countSteps(t *testing.T, a act) int {
	t.Helper()
	root := newRoot(t)
	a.setup(t, root)
	s := &script{}
	must(t, a.run(root, Options{Hook: s.hook}))
	wantTree(t, root, a.after, "uninterrupted")
	return s.n
}

var variants = map[string]func(*script) *script{"links": noSync, "no links": noHardLinks}

// Promise 1: stopped at any step, and recovery stopped at any of its steps,
// the tree ends as exactly the old or exactly the new one.
func TestPromise1StopAtEveryStep(t *testing.T) {
	for variant, wrap := range variants {
		for _, a := range allActs(t, wrap) {
			if variant == "no links" && (a.kind == "repair" || !a.inPlace()) {
				continue // differs from the update in its end only; has no twin
			}
			t.Run(name("%s/%s", a.name, variant), func(t *testing.T) {
				t.Parallel()
				stopAtEveryStep(t, a, wrap)
			})
		}
	}
}

func stopAtEveryStep(t *testing.T, a act, wrap func(*script) *script) {
	seen, stops := map[string]int{}, 0
	steps := countSteps(t, a)
	for _, k := range a.some(steps, 6) {
		which, again := stopAtStep(t, a, wrap, k, name("step %d of %d", k, steps))
		seen[which]++
		stops += again
	}
	if seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("want stops on both sides of the commit, got %v", seen)
	}
	t.Logf("tried: %d stops at %d steps, %s, recovery stopped %d times, ended %v", addUp(seen), steps, a.name, stops, seen)
}

// stopAtStep returns which tree recovery ends with, and how often that was
// stopped on its way.
func stopAtStep(t *testing.T, a act, wrap func(*script) *script, k int, when string) (which string, stops int) {
	t.Helper()
	root := newRoot(t)
	defer dispose(filepath.Dir(root))
	a.setup(t, root)
	if err := a.run(root, Options{Hook: stopFrom(k).hook}); err == nil {
		// Only sweeping may fail unnoticed, and then the change is made.
		wantTree(t, root, a.after, when+" reported success")
	} else if !errors.Is(err, ErrNeedsRecovery) && !errors.Is(err, ErrNotDurable) {
		wantTree(t, root, a.before, name("%s reported %v", when, err))
	}
	// Stop recovery too, ever later, until it gets through. Over all k every
	// step of it is hit.
	for m := 1 + k%4; ; m += 4 {
		tree, err := Open(root, Options{Hook: wrap(stopFrom(m)).hook})
		if err == nil {
			must(t, tree.Close())
			break
		}
		if stops++; m > 5000 {
			t.Fatalf("%s: recovery does not end: %v", when, err)
		}
	}
	which = oneOf(t, root, a.before, a.after, when)
	snapshots := 0
	if which == "new" && a.kind == "update" || which == "old" && a.kind == "rollback" {
		snapshots = 1
	}
	wantClean(t, root, snapshots, when)
	rerun(t, a, root, which)
	return which, stops
}

// rerun makes the change again on the tree that recovery left.
func rerun(t *testing.T, a act, root, which string) {
	t.Helper()
	err := a.run(root, Options{})
	if which == "new" && a.kind == "rollback" {
		if !errors.Is(err, ErrNoSnapshot) {
			t.Fatalf("rerun: want ErrNoSnapshot, got %v", err)
		}
	} else if err != nil {
		t.Fatalf("rerun on the %s tree: %v", which, err)
	}
	wantTree(t, root, a.after, "rerun on the "+which+" tree")
}

// Promise 3: an error means the old tree, at once and after reopening, except
// for the two errors that say otherwise.
func TestPromise3ErrnoAtEveryStep(t *testing.T) {
	errnos := []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EACCES}
	for _, a := range allActs(t, noSync) {
		if a.kind == "repair" {
			continue
		}
		steps := countSteps(t, a)
		for _, sticky := range []bool{false, true} {
			t.Run(name("%s/sticky=%v", a.name, sticky), func(t *testing.T) {
				t.Parallel()
				some := a.some(steps, 8)
				for _, k := range some {
					errnoAtStep(t, a, k, errnos[k%len(errnos)], sticky)
				}
				t.Logf("tried: %d errors at %d steps, %s (sticky=%v)", len(some), steps, a.name, sticky)
			})
		}
	}
}

func errnoAtStep(t *testing.T, a act, k int, errno error, sticky bool) {
	t.Helper()
	root := newRoot(t)
	defer dispose(filepath.Dir(root))
	a.setup(t, root)
	var failed string
	s := &script{act: func(n int, step string) error {
		if n == k {
			failed = step
		}
		if n == k || sticky && n > k {
			return errno
		}
		return nil
	}}
	err := a.run(root, Options{Hook: s.hook})
	when := name("%v at step %d, %s, reported %v", errno, k, failed, err)
	if err != nil && !errors.Is(err, errno) && !errors.Is(err, ErrNotDurable) && !errors.Is(err, ErrNeedsRecovery) {
		t.Fatalf("%s: want the cause in the error", when)
	}
	wantAsReported(t, a, root, err, when)
	reopen(t, root, when)
	wantAsReopened(t, a, root, err, when)
}

// wantAsReported checks the tree that a change left which returned err: an
// error means the old one, unless it says otherwise.
func wantAsReported(t *testing.T, a act, root string, err error, when string) {
	t.Helper()
	switch {
	case err == nil, errors.Is(err, ErrNotDurable):
		wantTree(t, root, a.after, when)
	case errors.Is(err, ErrNeedsRecovery):
	default:
		wantTree(t, root, a.before, when)
	}
}

// wantAsReopened checks the same after recovery, which has the last word only
// where the change left it. It returns which tree it is.
func wantAsReopened(t *testing.T, a act, root string, err error, when string) string {
	t.Helper()
	which := oneOf(t, root, a.before, a.after, when)
	switch {
	case (err == nil || errors.Is(err, ErrNotDurable)) && which != "new":
		t.Fatalf("%s: reopening gave the %s tree", when, which)
	case err != nil && !errors.Is(err, ErrNotDurable) && !errors.Is(err, ErrNeedsRecovery) && which != "old":
		t.Fatalf("%s: reopening gave the %s tree", when, which)
	}
	return which
}

// reopen has the tree recovered.
func reopen(t *testing.T, root, when string) {
	t.Helper()
	tree, err := Open(root, Options{})
	if err != nil {
		t.Fatalf("%s: reopen: %v", when, err)
	}
	must(t, tree.Close())
}

// A commit that fails after its record goes back by itself, without a reopen,
// and the same tree can be updated again.
func TestAbortGoesBackByItself(t *testing.T) {
	from, to, unmanaged := eventful(t)
	root := scratch(t)
	plant(t, root, with(from, unmanaged))
	armed := true
	s := &script{act: func(_ int, step string) error {
		if armed && strings.HasSuffix(step, "-> newlink") {
			armed = false
			return syscall.EIO
		}
		return nil
	}}
	tree, err := Open(root, Options{Hook: s.hook})
	must(t, err)
	defer tree.Close()
	if _, err := updateOpen(tree, from, to, CommitOptions{}); !errors.Is(err, syscall.EIO) || armed {
		t.Fatalf("want EIO, got %v", err)
	}
	wantTree(t, root, with(from, unmanaged), "aborted")
	wantClean(t, root, 0, "aborted")
	_, err = updateOpen(tree, from, to, CommitOptions{})
	must(t, err)
	wantTree(t, root, with(to, unmanaged), "second try")
}

// Positive controls: the harness notices when a rule of the protocol is
// broken. Each rule is broken by leaving out the calls that keep it.
func TestHarnessCatches(t *testing.T) {
	from, to, unmanaged := eventful(t)
	before, after := with(from, unmanaged), with(to, unmanaged)
	for rule, prefix := range map[string]string{
		"record before redo": "rename " + journalNew,
		"mode before put":    "chmod " + stagedFiles,
		"entries removed":    "remove gone/",
		"content put":        "rename " + stagedFiles,
		"folders made":       "rename " + stagedDirs,
		"old content back":   "rename " + snapshotsDir,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for k := 1; k < 300; k += 2 {
				for _, sticky := range []bool{true, false} {
					root := scratch(t)
					plant(t, root, before)
					fault := &script{act: func(n int, _ string) error {
						if n == k || sticky && n > k {
							return errStop
						}
						return nil
					}}
					_, err := update(root, from, to, Options{Hook: noSync(leaveOut(prefix, fault)).hook}, CommitOptions{})
					bad := spoiled(t, root, before, after, err)
					dispose(root)
					if bad {
						return
					}
				}
			}
			t.Error("want a bad state somewhere, got none")
		})
	}
}

// spoiled reports whether a change that ended with err broke a promise.
func spoiled(t *testing.T, root string, before, after treetest.Tree, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, ErrNeedsRecovery) && treetest.Diff(before, snap(t, root)) != "" {
		return true
	}
	tree, openErr := Open(root, Options{})
	if openErr != nil {
		return true
	}
	must(t, tree.Close())
	got := snap(t, root)
	isOld, isNew := treetest.Diff(before, got) == "", treetest.Diff(after, got) == ""
	return !isNew && (err == nil || !isOld)
}
