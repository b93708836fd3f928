package publisher_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// A program makes keys and a repository, and publishes two releases there. Each
// is tried by the real client before it goes live.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "repository")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	repository, err := store.OpenDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	recovery, err := trust.GenerateKey(trust.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	release, err := trust.GenerateKey(trust.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	root, err := publisher.Init(ctx, publisher.Options{Store: repository}, recovery, release)
	if err != nil {
		log.Fatal(err)
	}

	p, err := publisher.New(publisher.Options{
		Store: repository, Root: root, Signers: []trust.Signer{release}, Rehearse: rehearse,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		tree := treeOf(version)
		defer os.RemoveAll(tree)
		report, err := p.Publish(ctx, publisher.Release{
			Facts: manifest.Release{Product: "app", Version: version}, Tree: tree,
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: files: %d, new objects: %d, deltas: %d\n", version, report.Files, report.Objects, len(report.Packs))
	}
	faults, err := p.Verify(ctx, true)
	fmt.Println(len(faults), "faults", err)
	// Output:
	// 1.0.0: files: 2, new objects: 2, deltas: 0
	// 1.1.0: files: 2, new objects: 1, deltas: 1
	// 0 faults <nil>
}

func rehearse(ctx context.Context, r publisher.Rehearsal) error {
	return client.Rehearse(ctx, client.Rehearsal{Store: r.Store, Root: r.Root, Product: r.Release.Product,
		Version: r.Release.Version, Channel: r.Channel, Platform: r.Release.Platform, From: r.From, Seed: r.Seed})
}

// treeOf writes what would come from a build.
func treeOf(version string) string {
	tree, err := os.MkdirTemp("", "tree")
	if err != nil {
		log.Fatal(err)
	}
	app := strings.Repeat("print hello, world\n", 1000) + "print this is " + version + "\n"
	for name, text := range map[string]string{"README": "The manual.\n", "app": app} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	return tree
}
