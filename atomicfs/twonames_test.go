package atomicfs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Promise 1, where a power cut leaves a rename half on the disk: the file has
// both names, as on btrfs when its log is replayed. Each rename of a change, and
// of one that is turned round, is the last one before the crash.
func TestPromise1TwoNames(t *testing.T) {
	for variant, wrap := range variants {
		for _, a := range actsBy(t, InPlace, wrap) {
			for _, turned := range []bool{false, true} {
				t.Run(name("%s/%s/turned=%v", a.name, variant, turned), func(t *testing.T) {
					t.Parallel()
					tried := 0
					for k, step := range stepsOf(t, a, turned) {
						if strings.HasPrefix(step, "rename ") {
							tried += twoNames(t, a, k+1, turned)
						}
					}
					if tried == 0 {
						t.Error("want renames, got none")
					}
					t.Logf("tried: %d renames half on the disk, %s (turned=%v)", tried, a.name, turned)
				})
			}
		}
	}
}

// turning is a hook that has a change turned round in its middle, if it shall.
func turning(turned bool) func(step string) error {
	return func(step string) error {
		if turned && strings.HasSuffix(step, "-> bin/app") {
			turned = false
			return syscall.EIO
		}
		return nil
	}
}

// stepsOf runs an act to its end.
func stepsOf(t *testing.T, a act, turned bool) []string {
	t.Helper()
	root := newRoot(t)
	defer dispose(filepath.Dir(root))
	a.setup(t, root)
	turn := turning(turned)
	s := &script{act: func(_ int, step string) error { return turn(step) }}
	if err := a.run(root, Options{Hook: s.hook}); (err != nil) != turned {
		t.Fatalf("turned=%v: got %v", turned, err)
	}
	return s.steps
}

// twoNames stops a change after step k, a rename, and gives what was renamed the
// name back that it had. It returns how many files have got two names.
func twoNames(t *testing.T, a act, k int, turned bool) (both int) {
	t.Helper()
	root := newRoot(t)
	defer dispose(filepath.Dir(root))
	a.setup(t, root)
	turn := turning(turned)
	var last string
	_ = a.run(root, Options{Hook: (&script{act: func(n int, step string) error {
		if n > k {
			if n == k+1 {
				both = bothNames(t, root, last)
			}
			return errStop
		}
		last = step
		return turn(step)
	}}).hook})
	when := name("stopped after step %d, %s, %d names too many", k, last, both)
	reopen(t, root, when)
	which := oneOf(t, root, a.before, a.after, when)
	snapshots := 0
	if which == "new" && a.kind == "update" || which == "old" && a.kind == "rollback" {
		snapshots = 1
	}
	wantClean(t, root, snapshots, when)
	rerun(t, a, root, which)
	return both
}

// bothNames gives a file that was renamed its old name back, and counts it.
func bothNames(t *testing.T, root, step string) int {
	t.Helper()
	names, ok := strings.CutPrefix(step, "rename ")
	from, to, _ := strings.Cut(names, " -> ")
	from, to = filepath.Join(root, filepath.FromSlash(from)), filepath.Join(root, filepath.FromSlash(to))
	fi, err := os.Lstat(to)
	if _, e := os.Lstat(from); !ok || err != nil || fi.IsDir() || e == nil {
		return 0 // a folder, or a step that failed
	}
	must(t, os.Link(to, from))
	return 1
}
