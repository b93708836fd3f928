package main

import (
	"context"
	"log"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// The program installs the first release, then finds a second one, and then
// nothing new.
func Example_run() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "embed")
	must(err)
	defer os.RemoveAll(dir)
	repo, tree := filepath.Join(dir, "repo"), filepath.Join(dir, "tree")
	must(os.Mkdir(repo, 0o755))
	must(os.Mkdir(tree, 0o755))
	s, err := store.OpenDir(repo)
	must(err)
	recovery, err := trust.GenerateKey(trust.Ed25519)
	must(err)
	release, err := trust.GenerateKey(trust.Ed25519)
	must(err)
	root, err := publisher.Init(ctx, publisher.Options{Store: s}, recovery, release)
	must(err)
	rootFile := filepath.Join(dir, "root.json")
	must(os.WriteFile(rootFile, root, 0o644))
	p, err := publisher.New(publisher.Options{Store: s, Root: root, Signers: []trust.Signer{release}})
	must(err)

	for _, version := range []string{"1.0.0", "1.1.0", "1.1.0"} {
		must(os.WriteFile(filepath.Join(tree, "app"), []byte(version), 0o644))
		_, err = p.Publish(ctx, publisher.Release{
			Facts: manifest.Release{Product: "app", Version: version}, Tree: tree, Packs: -1,
		})
		must(err)
		must(run(ctx, repo, rootFile, "app", filepath.Join(dir, "app")))
	}
	// Output:
	// installed 1.0.0
	// running 1.0.0
	// 1.1.0 is there; files that change: 1, bytes to download: 14
	// updated to 1.1.0
	// running 1.1.0
	// up to date
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
