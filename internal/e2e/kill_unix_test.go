//go:build unix

package e2e

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPromise1KilledAnywhere kills the real program at random moments of an
// update, sometimes that of the run after it too, and has it run again: the
// tree is the new one. Then it goes back: the tree is the old one.
//
//	TREEGRAFT_OLD, TREEGRAFT_NEW  trees of real releases in place of small ones
//	TREEGRAFT_KILLS               how many updates are killed, in place of 12
func TestPromise1KilledAnywhere(t *testing.T) {
	w := newWorld(t)
	kills := 12
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
	args := []string{"update", "--json", "--repo", server.URL, w.path("tree")}

	// The moments are spread over the time that one update takes.
	began := time.Now()
	w.want(t, 0, append([]string{"applyrelease"}, args...)...)
	whole, once := time.Since(began), sent.Load()
	w.goBack(t)

	var killed, recovered int
	var twice int64
	moments := rand.New(rand.NewPCG(1, 2))
	for range kills {
		sent.Store(0)
		for again := true; again; again = moments.IntN(3) == 0 {
			if killAt(t, time.Duration(moments.Float64()*float64(whole)), args) {
				killed++
			}
		}
		code, said := w.run(t, append([]string{"applyrelease"}, args...)...)
		if code != 0 {
			t.Fatalf("run after a kill: exit code %d: %s", code, said)
		}
		if strings.Contains(said, `"type":"recovered"`) {
			recovered++
		}
		w.wantTree(t, w.new)
		twice += max(0, sent.Load()-once)
		w.goBack(t)
	}
	if killed == 0 {
		t.Error("no update was killed: each had ended before")
	}
	t.Logf("%d of %d updates killed, %d recovered, all whole; one downloads %d bytes, all together %d more than once each",
		killed, kills, recovered, once, twice)
}

// killAt kills a run after a time. It reports whether the run was still going.
func killAt(t *testing.T, after time.Duration, args []string) bool {
	t.Helper()
	cmd := exec.Command("applyrelease", args...)
	must(t, cmd.Start())
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	return cmd.Wait() != nil && !cmd.ProcessState.Exited()
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
