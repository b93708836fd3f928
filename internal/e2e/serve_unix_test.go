//go:build unix

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
)

// TestServe installs from "mkrelease serve", asks it for what a careful server
// does, and ends it.
func TestServe(t *testing.T) {
	w := newWorld(t)
	cmd := exec.Command("mkrelease", "serve", "--json", "--addr", "127.0.0.1:0", "--repo", w.path("repo"))
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	var serving struct{ Type, URL string }
	must(t, json.Unmarshal(lines.Bytes(), &serving))
	if serving.Type != "serving" {
		t.Fatalf("first line: %s", lines.Text())
	}
	w.want(t, 0, "applyrelease", "update", "--repo", serving.URL, w.path("tree"))
	tree, err := readTree(w.path("tree"))
	must(t, err)
	if diff := diffTrees(w.new, tree); diff != "" {
		t.Errorf("the tree is not the new one:\n%s", diff)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		cache        string
	}{
		{"GET", "/metadata/timestamp.json", 200, "no-cache"},
		{"HEAD", "/metadata/1.root.json", 200, "public, max-age=31536000, immutable"},
		{"GET", "/metadata/", 404, ""},
		{"GET", "/", 404, ""},
		{"GET", "/metadata/%2e%2e/%2e%2e/keys/release.key", 404, ""},
		{"POST", "/metadata/timestamp.json", 405, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, serving.URL+tt.path, nil)
		must(t, err)
		got, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		got.Body.Close()
		if got.StatusCode != tt.status || got.Header.Get("Cache-Control") != tt.cache {
			t.Errorf("%s %s: want %d %q, got %d %q", tt.method, tt.path, tt.status, tt.cache, got.StatusCode, got.Header.Get("Cache-Control"))
		}
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if err := cmd.Wait(); err != nil || last != `{"type":"summary","code":0}` {
		t.Errorf("want a good end, got %v after %s", err, last)
	}
}
