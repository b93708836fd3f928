package atomicfs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/faultfstest"
)

// Promise 3, with a file system that fails: each of its operations once, from
// then on, or done and reported as failed nevertheless, as a file server does
// whose answer gets lost. Hooks know only of calls that change something; here
// looking and reading fail too.
func TestPromise3FileSystemErrors(t *testing.T) {
	notRacing(t)
	runs := 4
	if thorough() {
		runs = 60
	}
	for _, a := range allActs(t, asIs) {
		if a.kind == "repair" {
			continue // differs in its end only
		}
		for _, mode := range []string{"once", "sticky", "after"} {
			t.Run(a.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				backing := scratch(t)
				f := faultfstest.New(t, backing)
				ops := faultRun(t, f, backing, a, 0, mode, nil)
				step := max(1, len(ops)/runs)
				ended := map[string]int{}
				for i, op := range ops {
					if i%step == step/2 || strings.HasPrefix(op, "rename journal") || strings.HasPrefix(op, "rename .tree.") { // what decides is always tried
						faultRun(t, f, backing, a, i+1, mode, ended)
					}
				}
				t.Logf("tried: %d errors at %d operations of a FUSE file system, %s (%s), ended %v", addUp(ended), len(ops), mode, a.name, ended)
			})
		}
	}
}

// asIs leaves a script as it is.
func asIs(s *script) *script { return s }

// faultRun makes a change while operation k fails, and returns all operations.
func faultRun(t *testing.T, f *faultfstest.FS, backing string, a act, k int, mode string, ended map[string]int) (ops []string) {
	t.Helper()
	base := filepath.Join(name("%d", k), "tree")
	real, root := filepath.Join(backing, base), filepath.Join(f.Dir, base)
	must(t, os.MkdirAll(real, 0o755))
	defer dispose(filepath.Dir(real))
	a.setup(t, real)
	errnos := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EACCES, syscall.ESTALE}
	fault := faultfstest.Fault{Errno: errnos[k%len(errnos)], After: mode == "after"}
	failed := ""
	f.Arm(func(n int, op string) faultfstest.Fault {
		ops = append(ops, op)
		if n == k {
			failed = op
		}
		if n == k || mode == "sticky" && k > 0 && n > k {
			return fault
		}
		return faultfstest.Fault{}
	})
	err := a.run(root, Options{})
	f.Arm(nil)
	when := name("%v (%s) from operation %d of a FUSE file system, %s, reported %v", fault.Errno, mode, k, failed, err)
	if k == 0 && err != nil {
		t.Fatalf("without errors: %v", err)
	}
	wantAsReported(t, a, real, err, when)
	reopen(t, root, when)
	which := wantAsReopened(t, a, real, err, when)
	wantAlone(t, real, when)
	if ended != nil {
		ended[which]++
	}
	return ops
}

// notRacing leaves tests that are slow, and hold no race of ours, to runs
// without the race detector.
func notRacing(t *testing.T) {
	t.Helper()
	if racing {
		t.Skip("left to runs without the race detector")
	}
}
