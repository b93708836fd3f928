package e2e

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	w.want(t, 0, "mkrelease", "prune", "--repo", bucket, "--keys", keys, "--product", "app", "--keep", "1")
	before := countFiles(t, b.Folder)
	w.want(t, 0, "mkrelease", "gc", "--repo", bucket, "--keys", keys)
	if after := countFiles(t, b.Folder); after != before {
		t.Errorf("gc within the grace: %d files of %d are left", after, before)
	}
	w.want(t, 0, "mkrelease", "gc", "--repo", bucket, "--keys", keys, "--grace", "0")
	if after := countFiles(t, b.Folder); after >= before {
		t.Errorf("gc: %d files of %d are left", after, before)
	}
	w.want(t, 0, "mkrelease", "verify", "--repo", bucket, "--keys", keys)
	w.want(t, 0, "mkrelease", "doctor", "--repo", bucket, "--keys", keys)
	w.want(t, 0, "applyrelease", "install", "--repo", server.URL+"/app", "--root", root, "--product", "app", w.path("after-gc"))
	if _, err := os.Stat(b.Folder + "/app/.lock"); err == nil {
		t.Error("the lock stayed")
	}
	// A key in the environment that the server does not know.
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
	w.want(t, 51, "mkrelease", "list", "--repo", bucket, "--keys", keys)
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}
