//go:build unix

package e2e

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// TestPromise1KilledAnywhere kills the real program at random moments of an
// update, sometimes that of the run after it too, and has it run again: the
// tree is the new one. Then it kills a rollback: the tree is the new one or the
// old one, and can be brought back to the old one.
//
//	TREEGRAFT_OLD, TREEGRAFT_NEW  trees of real releases in place of small ones
//	TREEGRAFT_KILLS               how many updates are killed, in place of 5, by
//	                              each strategy
func TestPromise1KilledAnywhere(t *testing.T) {
	w := newWorld(t)
	kills := 5
	if text := os.Getenv("TREEGRAFT_KILLS"); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		must(t, err)
	}
	var sent atomic.Int64
	files := http.FileServer(http.Dir(w.path("repo")))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		files.ServeHTTP(&countingWriter{rw, &sent}, r)
	}))
	defer server.Close()
	killed := 0
	for _, strategy := range []string{"inplace", "exchange", "versioned"} {
		t.Run(strategy, func(t *testing.T) {
			must(t, os.RemoveAll(w.path("tree")))
			w.want(t, 0, "applyrelease", "install", "--repo", server.URL, "--root", w.path("keys/root.json"),
				"--product", "app", "--version", "1.0.0", "--strategy", strategy, w.path("tree"))
			killed += w.killed(t, kills, &sent)
		})
	}
	if killed == 0 {
		t.Error("no update was killed: each had ended before")
	}
}

// killed kills updates and rollbacks, and returns how many updates it caught.
// The moments are spread over the time that one takes.
func (w *world) killed(t *testing.T, kills int, sent *atomic.Int64) (killed int) {
	update, rollback := []string{"update", "--json", w.path("tree")}, []string{"rollback", w.path("tree")}
	var updating, goingBack time.Duration
	var once int64
	for range 2 { // the first takes longer
		sent.Store(0)
		began := time.Now()
		w.want(t, 0, append([]string{"applyrelease"}, update...)...)
		updating, once = time.Since(began), sent.Load()
		began = time.Now()
		w.goBack(t)
		goingBack = time.Since(began)
	}

	var recovered, back int
	var twice int64
	moments := rand.New(rand.NewPCG(1, 2))
	moment := func(whole time.Duration) time.Duration { return time.Duration(moments.Float64() * float64(whole)) }
	for range kills {
		sent.Store(0)
		for again := true; again; again = moments.IntN(3) == 0 {
			if killAt(t, moment(updating), update) {
				killed++
			}
		}
		code, said := w.run(t, append([]string{"applyrelease"}, update...)...)
		if code != 0 {
			t.Fatalf("run after a kill: exit code %d: %s", code, said)
		}
		if strings.Contains(said, `"type":"recovered"`) {
			recovered++
		}
		w.wantTree(t, w.new)
		twice += max(0, sent.Load()-once)
		if killAt(t, moment(goingBack), rollback) {
			back++
		}
		w.want(t, 0, "applyrelease", "status", w.path("tree"))
		if tree, err := readTree(w.path("tree")); err != nil || diffTrees(w.old, tree) != "" {
			w.wantTree(t, w.new)
			w.goBack(t)
		}
	}
	t.Logf("tried: %d kills in %d updates, %d recovered, all whole; one downloads %d bytes, all together %d more than once each; %d rollbacks killed",
		killed, kills, recovered, once, twice, back)
	return killed
}

// killAt kills a run after a time. It reports whether the run was still going.
func killAt(t *testing.T, after time.Duration, args []string) bool {
	t.Helper()
	cmd := exec.Command("applyrelease", args...)
	must(t, cmd.Start())
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	killed := cmd.Wait() != nil && !cmd.ProcessState.Exited()
	awaitLock(t, args[len(args)-1])
	return killed
}

// awaitLock waits until nobody has the lock of a tree. A process that is killed
// while it starts another leaves the lock to that one, until it has begun.
func awaitLock(t *testing.T, tree string) {
	t.Helper()
	name := filepath.Join(tree, ".treegraft", "lock")
	if _, err := os.Stat(name); err != nil {
		return // killed before there was one
	}
	lock := flock.New(name)
	defer lock.Close()
	_, err := lock.TryLockContext(t.Context(), time.Millisecond)
	must(t, err)
}

// goBack rolls the tree back.
func (w *world) goBack(t *testing.T) {
	t.Helper()
	w.want(t, 0, "applyrelease", "rollback", w.path("tree"))
	w.wantTree(t, w.old)
}

func (w *world) wantTree(t *testing.T, want map[string]string) {
	t.Helper()
	tree, err := readTree(w.path("tree"))
	must(t, err)
	if diff := diffTrees(want, tree); diff != "" {
		t.Fatalf("the tree is not as it should be:\n%s", diff)
	}
}

// countingWriter counts what a server sends.
type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.n.Add(int64(n))
	return n, err
}
