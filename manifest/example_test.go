package manifest_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/manifest"
)

// A publisher scans a tree, states its facts and encodes both. A client parses
// that, and compares it with what it has.
func Example() {
	tree, err := os.MkdirTemp("", "tree")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(tree)
	os.WriteFile(filepath.Join(tree, "hello.txt"), []byte("hello\n"), 0o644)
	os.WriteFile(filepath.Join(tree, "new.txt"), []byte("new\n"), 0o644)

	entries, err := manifest.Scan(context.Background(), tree, manifest.ScanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	published := &manifest.Manifest{
		Release: manifest.Release{Product: "hello", Version: "1.1.0", Sequence: 2, Platform: manifest.AnyPlatform},
		Entries: entries,
	}
	canonical, err := published.Canonical()
	if err != nil {
		log.Fatal(err)
	}

	received, err := manifest.Parse(bytes.NewReader(canonical))
	if err != nil {
		log.Fatal(err)
	}
	installed := []manifest.Entry{{Path: "hello.txt", Mode: 0o644, Size: 3, Digest: manifest.Sum([]byte("hi\n"))}}
	fmt.Println(received.Release.Product, received.Release.Version)
	for _, change := range manifest.Compare(installed, received.Entries) {
		fmt.Printf("%-10s %v of %d bytes, %.8v…\n", change.Path, change.To.Kind, change.To.Size, change.To.Digest)
	}
	// Output:
	// hello 1.1.0
	// hello.txt  file of 6 bytes, 8e4c7c1b…
	// new.txt    file of 4 bytes, 79d1d8da…
}

// A tree that cannot be a release is refused with all of its faults.
func ExampleValidateEntries() {
	d := manifest.Sum(nil)
	fmt.Println(manifest.ValidateEntries([]manifest.Entry{
		{Path: "../escape", Digest: d},
		{Path: "NUL.txt", Digest: d},
		{Path: "README", Digest: d},
		{Path: "link", Kind: manifest.Symlink, Link: "/etc/passwd"},
		{Path: "readme", Digest: d},
	}))
	// Output:
	// tree: 4 faults
	//   "../escape": not a clean relative path
	//   "NUL.txt": component "NUL.txt" names a Windows device
	//   "link": target "/etc/passwd" is not relative
	//   "readme": the same as "README" where case is ignored
}
