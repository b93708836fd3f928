package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/s3test"
)

// TestPublishToBucket publishes two releases to an S3 bucket. Clients get them
// over HTTP from the same files, as from a bucket that everybody may read.
func TestPublishToBucket(t *testing.T) {
	b := s3test.Start(t)
	w := newWorld(t)
	bucket := strings.Replace(b.Location, "s3://bucket", "s3://bucket/app", 1)
	keys, root := w.path("keys-of-bucket"), w.path("keys-of-bucket/root.json")
	w.want(t, 0, "mkrelease", "init", "--repo", bucket, "--keys", keys)
	publish := func(version, tree string) {
		t.Helper()
		w.want(t, 0, "mkrelease", "publish", "--repo", bucket, "--keys", keys, "--product", "app", "--version", version, w.path(tree))
	}
	publish("1.0.0", "v1")
	server := httptest.NewServer(http.FileServer(http.Dir(b.Folder)))
	defer server.Close()
	tree := w.path("from-bucket")
	w.want(t, 0, "applyrelease", "install", "--repo", server.URL+"/app", "--root", root, "--product", "app", tree)
	publish("2.0.0", "v2")
	w.want(t, 0, "applyrelease", "update", tree)
	got, err := readTree(tree)
	must(t, err)
	if diff := diffTrees(w.new, got); diff != "" {
		t.Errorf("the tree is not the new one:\n%s", diff)
	}
	w.want(t, 0, "mkrelease", "verify", "--repo", bucket, "--keys", keys)
	if code, said := w.run(t, "mkrelease", "list", "--repo", bucket, "--keys", keys); code != 0 || !strings.Contains(said, "app 2.0.0") {
		t.Errorf("list: %d %s", code, said)
	}
	if _, err := os.Stat(b.Folder + "/app/.lock"); err == nil {
		t.Error("the lock stayed")
	}
	// A key in the environment that the server does not know.
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
	w.want(t, 51, "mkrelease", "list", "--repo", bucket, "--keys", keys)
}
