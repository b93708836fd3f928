package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// A program installs a product and verifies it. Somebody changes a file; the
// program finds that and repairs it.
func Example() {
	ctx := context.Background()
	repository := newRepository(ctx)
	defer repository.remove()
	repository.publish("1.0.0", files{"README": "The manual.\n", "app": "print hello\n"})

	tree := repository.path("tree")
	c, err := client.New(client.Options{Dir: tree, Repository: repository.location, Root: repository.root, Product: "app"})
	must(err)
	result, err := c.Install(ctx, client.UpdateOptions{})
	must(err)
	fmt.Printf("installed %s: %d files\n", result.To.Version, result.Changed)

	must(os.WriteFile(filepath.Join(tree, "app"), []byte("print goodbye\n"), 0o644))
	drift, err := c.Verify(ctx)
	must(err)
	for _, d := range drift {
		fmt.Println("changed:", d.Path)
	}
	_, err = c.Repair(ctx)
	must(err)
	b, err := os.ReadFile(filepath.Join(tree, "app"))
	must(err)
	fmt.Printf("repaired: %s", b)
	// Output:
	// installed 1.0.0: 2 files
	// changed: app
	// repaired: print hello
}

// A program looks whether there is something newer, updates, and goes back. The
// tree remembers where its releases come from.
func ExampleClient_Update() {
	ctx := context.Background()
	repository := newRepository(ctx)
	defer repository.remove()
	repository.publish("1.0.0", files{"app": "print hello\n"})
	repository.install(ctx)
	repository.publish("1.1.0", files{"app": "print hello, world\n", "README": "The manual.\n"})

	c, err := client.New(client.Options{Dir: repository.path("tree")})
	must(err)
	available, err := c.Check(ctx)
	must(err)
	if available.Latest == nil {
		return // there is nothing newer
	}
	fmt.Println("newer:", available.Latest.Version)
	result, err := c.Update(ctx, client.UpdateOptions{})
	must(err)
	fmt.Printf("%s → %s: %d files changed\n", result.From.Version, result.To.Version, result.Changed)

	result, err = c.Rollback(ctx, false)
	must(err)
	fmt.Println("back at", result.To.Version)
	// Output:
	// newer: 1.1.0
	// 1.0.0 → 1.1.0: 2 files changed
	// back at 1.0.0
}

// A program decides when each part of an update may happen: it downloads in the
// background, and applies when nobody works.
func ExampleClient_Plan() {
	ctx := context.Background()
	repository := newRepository(ctx)
	defer repository.remove()
	repository.publish("1.0.0", files{"app": "print hello\n", "old": "gone soon\n"})
	repository.install(ctx)
	repository.publish("1.1.0", files{"app": "print hello, world\n"})

	c, err := client.New(client.Options{Dir: repository.path("tree")})
	must(err)
	plan, err := c.Plan(ctx, client.UpdateOptions{})
	must(err)
	for _, step := range plan.Steps {
		fmt.Println(step.Action, step.Path)
	}
	must(c.Fetch(ctx, plan))
	// Later, without network:
	result, err := c.Apply(ctx, plan, client.UpdateOptions{Offline: true})
	must(err)
	fmt.Println("at", result.To.Version)
	// Output:
	// get app
	// delete old
	// at 1.1.0
}

// An update refuses to overwrite what somebody has changed, and lists it. With
// Force it keeps that beside.
func ExampleDriftError() {
	ctx := context.Background()
	repository := newRepository(ctx)
	defer repository.remove()
	repository.publish("1.0.0", files{"app": "print hello\n"})
	repository.install(ctx)
	repository.publish("1.1.0", files{"app": "print hello, world\n"})
	must(os.WriteFile(repository.path("tree", "app"), []byte("print goodbye\n"), 0o644))

	c, err := client.New(client.Options{Dir: repository.path("tree")})
	must(err)
	_, err = c.Update(ctx, client.UpdateOptions{})
	var changed *client.DriftError
	if errors.As(err, &changed) {
		for _, d := range changed.Drift {
			fmt.Println("in the way:", d.Path)
		}
	}
	result, err := c.Update(ctx, client.UpdateOptions{Force: true})
	must(err)
	fmt.Println("at", result.To.Version, "kept", result.Kept)
	// Output:
	// in the way: app
	// at 1.1.0 kept [app.kept]
}

// files are the contents of a release, by path.
type files map[string]string

// repository is a publisher's side, for the examples.
type repository struct {
	dir, location string
	root          []byte
	publisher     *publisher.Publisher
}

func newRepository(ctx context.Context) *repository {
	dir, err := os.MkdirTemp("", "example")
	must(err)
	r := &repository{dir: dir, location: filepath.Join(dir, "repository")}
	must(os.Mkdir(r.location, 0o755))
	s, err := store.OpenDir(r.location)
	must(err)
	recovery, err := trust.GenerateKey(trust.Ed25519)
	must(err)
	release, err := trust.GenerateKey(trust.Ed25519)
	must(err)
	r.root, err = publisher.Init(ctx, publisher.Options{Store: s}, recovery, release)
	must(err)
	r.publisher, err = publisher.New(publisher.Options{Store: s, Root: r.root, Signers: []trust.Signer{release}})
	must(err)
	return r
}

func (r *repository) remove() { must(os.RemoveAll(r.dir)) }

func (r *repository) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

func (r *repository) publish(version string, contents files) {
	tree := r.path("release-" + version)
	must(os.Mkdir(tree, 0o755))
	for name, text := range contents {
		must(os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644))
	}
	_, err := r.publisher.Publish(context.Background(), publisher.Release{
		Facts: manifest.Release{Product: "app", Version: version}, Tree: tree,
	})
	must(err)
}

// install is what the examples of updates begin with.
func (r *repository) install(ctx context.Context) {
	c, err := client.New(client.Options{Dir: r.path("tree"), Repository: r.location, Root: r.root, Product: "app"})
	must(err)
	_, err = c.Install(ctx, client.UpdateOptions{})
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
