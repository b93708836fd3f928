//go:build unix

package atomicfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Promise 1, with a real kill: the process dies at step k, by SIGKILL, in the
// middle of an update, of a rollback, or of the recovery after that.
func TestPromise1KillAtEveryStep(t *testing.T) {
	if spec := os.Getenv("ATOMICFS_TEST_KILL"); spec != "" {
		killed(t, spec)
		return
	}
	self, err := os.Executable()
	must(t, err)
	for _, a := range allActs(t, noSync) {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			steps := countSteps(t, a)
			for i, k := range a.some(steps, 8) {
				if i%5 > 0 {
					continue
				}
				root := newRoot(t)
				a.setup(t, root)
				// Then recovery, killed as well, twice.
				for _, at := range []int{k, 3 + k%7, 11 + k%29} {
					cmd := exec.Command(self, "-test.run=^TestPromise1KillAtEveryStep$")
					cmd.Env = append(os.Environ(), "ATOMICFS_TEST_KILL="+strings.Join([]string{a.name, strconv.Itoa(at), root}, ":"))
					out, err := cmd.CombinedOutput()
					if at == k && (err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL) {
						t.Fatalf("step %d: want the process killed, got %v\n%s", k, err, out)
					}
				}
				tree, err := Open(root, Options{})
				must(t, err)
				must(t, tree.Close())
				seen[oneOf(t, root, a.before, a.after, name("killed at step %d of %d", k, steps))]++
				dispose(filepath.Dir(root))
			}
			t.Logf("tried: %d kills, each with two more during recovery, %s, ended %v", seen["old"]+seen["new"], a.name, seen)
			if seen["new"] == 0 {
				t.Errorf("want kills after the commit, got %v", seen)
			}
		})
	}
}

// killed is the process that dies.
func killed(t *testing.T, spec string) {
	parts := strings.SplitN(spec, ":", 3)
	k, err := strconv.Atoi(parts[1])
	must(t, err)
	s := &script{act: func(n int, _ string) error {
		if n == k {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}}
	for _, a := range allActs(t, noSync) {
		if a.name == parts[0] {
			_ = a.run(parts[2], Options{Hook: s.hook})
		}
	}
}
