package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

// A program installs a product and verifies it. Somebody changes a file; the
// program finds that and repairs it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	repository := filepath.Join(dir, "repository")
	root := publish(ctx, repository, map[string]string{"README": "The manual.\n", "app": "print hello\n"})

	tree := filepath.Join(dir, "app")
	c, err := client.New(client.Options{Dir: tree, Repository: repository, Root: root, Product: "app"})
	if err != nil {
		log.Fatal(err)
	}
	result, err := c.Install(ctx, client.UpdateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("installed %s: %d files\n", result.To.Version, result.Changed)

	if err := os.WriteFile(filepath.Join(tree, "app"), []byte("print goodbye\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	drift, err := c.Verify(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range drift {
		fmt.Println("changed:", d.Path)
	}
	if _, err := c.Repair(ctx); err != nil {
		log.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(tree, "app"))
	fmt.Printf("repaired: %s", b)

	available, err := c.Check(ctx)
	fmt.Println("newer release:", available.Latest != nil, err)
	// Output:
	// installed 1.0.0: 2 files
	// changed: app
	// repaired: print hello
	// newer release: false <nil>
}

// publish makes a repository with one release, in the way that package
// publisher does, and returns its root.
func publish(ctx context.Context, repository string, files map[string]string) (root []byte) {
	write := func(name string, data []byte) {
		path := filepath.Join(repository, filepath.FromSlash(name))
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, data, 0o644))
	}
	m := &manifest.Manifest{Release: manifest.Release{Product: "app", Version: "1.0.0", Sequence: 1, Platform: manifest.AnyPlatform}}
	objects := manifest.Objects{}
	for _, name := range []string{"README", "app"} {
		var object bytes.Buffer
		content, stored, err := delta.WriteObject(ctx, &object, strings.NewReader(files[name]), delta.Small)
		must(err)
		objects[content.Digest] = manifest.Object{Size: stored.Size, Digest: stored.Digest}
		write(manifest.ObjectName(content.Digest), object.Bytes())
		m.Entries = append(m.Entries, manifest.Entry{Path: name, Mode: 0o644, Size: content.Size, Digest: content.Digest})
	}
	listing := must1(manifest.EncodeObjects(m, objects))
	index := manifest.Index{Product: "app", Version: "1.0.0", Platform: manifest.AnyPlatform,
		Objects: manifest.ObjectsFile{Size: int64(len(listing)), Digest: manifest.Sum(listing)}}
	write(manifest.ObjectsName(index.Objects.Digest), listing)

	canonical := must1(m.Canonical())
	custom := must1(json.Marshal(manifest.Listing{Product: "app", Version: "1.0.0", Sequence: 1, Platform: manifest.AnyPlatform,
		Channels: []string{client.DefaultChannel}, Size: int64(len(canonical)), Digest: manifest.Sum(canonical)}))
	stored, encoded := must1(manifest.Compress(canonical)), must1(index.Encode())
	targets := []trust.Target{
		trust.NewTarget(m.Release.StoredName(), stored, custom),
		trust.NewTarget(m.Release.IndexName(), encoded, nil),
	}
	write(targets[0].File(), stored)
	write(targets[1].File(), encoded)

	editor := must1(trust.Create(ctx, must1(trust.GenerateKey(trust.Ed25519)), must1(trust.GenerateKey(trust.Ed25519)), trust.EditorOptions{}))
	must(editor.SetTargets("app", targets))
	for _, f := range must1(editor.Commit(ctx)) {
		write(f.Name, f.Data)
	}
	return editor.Root()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must1[T any](v T, err error) T {
	must(err)
	return v
}
