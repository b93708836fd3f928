package store_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// A publisher writes a folder, any web server serves it, and a client brings a
// file of it to a path.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)

	const content = "hello, world"
	dir, err := store.OpenDir(folder)
	if err != nil {
		panic(err)
	}
	if err := dir.Push(ctx, "objects/hello", strings.NewReader(content), int64(len(content))); err != nil {
		panic(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	defer server.Close()

	f, err := store.Open(server.URL, store.HTTPOptions{})
	if err != nil {
		panic(err)
	}
	path := filepath.Join(folder, "copy")
	want := store.Content{Size: int64(len(content)), Digest: manifest.Sum([]byte(content))}
	if err := store.Download(ctx, f, "objects/hello", path, want, nil); err != nil {
		panic(err)
	}
	b, err := os.ReadFile(path)
	fmt.Println(string(b), err)
	// Output: hello, world <nil>
}
