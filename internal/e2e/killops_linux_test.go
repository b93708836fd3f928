package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/faultfstest"
)

// TestPromise1KilledAtEachOperation kills the same verbs at operations of the
// file system that the tree is on: before the first one that changes something
// there, before the second, and so on. Some that run after that are killed too.
//
//	TREEGRAFT_KILLS  how many operations of each verb are tried, in place of 3
func TestPromise1KilledAtEachOperation(t *testing.T) {
	k := newKilling(t)
	f := faultfstest.New(t, k.path("trees"))
	tries := 3
	if text := os.Getenv("TREEGRAFT_KILLS"); text != "" {
		var err error
		tries, err = strconv.Atoi(text)
		must(t, err)
	}
	moments := rand.New(rand.NewPCG(5, 6))
	for _, d := range k.deeds() {
		t.Run(d.name, func(t *testing.T) {
			k.seen = k.path("trees")
			k.prepare(t, &d)
			k.seen = f.Dir
			k.begin(t)
			all, _ := k.killAtOperation(t, f, &d, 0)
			once, twice := 0, 0
			step := max(1, all/tries)
			for n := 1 + moments.IntN(step); n <= all; n += step {
				once++
				when := fmt.Sprintf("killed at operation %d of %d", n, all)
				k.begin(t)
				_, op := k.killAtOperation(t, f, &d, n)
				when += " (" + op + ")"
				if moments.IntN(3) == 0 {
					if _, op := k.killAtOperation(t, f, &d, 1+moments.IntN(60)); op != "" {
						when += " and again (" + op + ")"
						twice++
					}
				}
				if moments.IntN(2) == 0 {
					k.wantWhole(t, &d, when)
				}
				k.again(t, &d, when)
			}
			t.Logf("tried: %s killed at %d of %d operations, %d times twice, all whole, all done by a second attempt", d.name, once, all, twice)
		})
	}
}

// killAtOperation does a deed and kills it at an operation, counted from 1, that
// changes something. It returns how many there were, and the one that killed; ""
// if it was done before.
func (k *killing) killAtOperation(t *testing.T, f *faultfstest.FS, d *deed, at int) (n int, op string) {
	t.Helper()
	args := d.command(k)
	cmd := exec.Command(args[0], args[1:]...)
	var mu sync.Mutex // the operations may be faster than Start
	mu.Lock()
	f.Arm(func(_ int, name string) faultfstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if !changes(name) {
			return faultfstest.Fault{}
		}
		if n++; n == at {
			op = name
			cmd.Process.Kill() // it runs: it asks
		}
		if at > 0 && n >= at {
			return faultfstest.Fault{Errno: syscall.EINTR} // what its threads had begun
		}
		return faultfstest.Fault{}
	})
	defer f.Arm(nil)
	err := cmd.Start()
	mu.Unlock()
	must(t, err)
	err = cmd.Wait()
	f.Arm(nil)
	awaitLock(t, k.tree())
	mu.Lock()
	defer mu.Unlock()
	if killed := !cmd.ProcessState.Exited(); killed != (op != "") {
		t.Fatalf("want a kill at operation %d, got %v after %d", at, err, n)
	}
	return n, op
}

// changes reports whether an operation of the file system changes it.
func changes(op string) bool {
	verb, _, _ := strings.Cut(op, " ")
	switch verb {
	case "lookup", "getattr", "readlink", "open", "read", "flush", "opendir", "readdir", "statfs":
		return false
	}
	return true
}
