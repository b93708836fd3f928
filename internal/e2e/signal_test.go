//go:build unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// stalled serves a repository up to the first object or pack; there it hangs
// until the client is gone, and tells that on the channel.
func stalled(t *testing.T, dir string) (url string, reached chan struct{}) {
	reached = make(chan struct{})
	var once sync.Once
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/packs/") && !strings.HasPrefix(r.URL.Path, "/objects/") {
			files.ServeHTTP(w, r)
			return
		}
		once.Do(func() { close(reached) })
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s.URL, reached
}

// TestInterrupted sends each signal to an update that waits for its download:
// it ends with 130, the tree is the old one, and the next run is as if nothing
// had been.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			url, reached := stalled(t, w.path("repo"))
			cmd := exec.Command("applyrelease", "update", "--json", "--repo", url, w.path("tree"))
			var said strings.Builder
			cmd.Stdout = &said
			must(t, cmd.Start())
			<-reached
			must(t, cmd.Process.Signal(signal))
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("want exit code 130, got %d: %s", code, said.String())
			}
			if !strings.HasSuffix(said.String(), `{"type":"error","code":130,"error":"interrupted"}`+"\n") {
				t.Errorf("want an error with code 130 as the last object, got %s", said.String())
			}
			tree, err := readTree(w.path("tree"))
			must(t, err)
			if diff := diffTrees(w.old, tree); diff != "" {
				t.Errorf("the tree is not the old one:\n%s", diff)
			}
		})
	}
	w.want(t, 0, "applyrelease", "update", w.path("tree"))
	tree, err := readTree(w.path("tree"))
	must(t, err)
	if diff := diffTrees(w.new, tree); diff != "" {
		t.Errorf("the tree is not the new one:\n%s", diff)
	}
}

// TestInterruptedHealthCheck interrupts an update while it asks whether the new
// release is well: that says nothing of the release.
func TestInterruptedHealthCheck(t *testing.T) {
	w := newWorld(t)
	asked := w.path("asked")
	must(t, syscall.Mkfifo(asked, 0o600))
	cmd := exec.Command("applyrelease", "update", "--health", "echo > '"+asked+"'; sleep 600", w.path("tree"))
	must(t, cmd.Start())
	_, err := os.ReadFile(asked) // waits for the echo
	must(t, err)
	must(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("want exit code 130, got %d", code)
	}
	w.wantTree(t, w.new)
	_, said := w.run(t, "applyrelease", "status", w.path("tree"))
	if !strings.Contains(said, "is on probation") || strings.Contains(said, "rejected") {
		t.Errorf("want a release on probation, got\n%s", said)
	}
}
