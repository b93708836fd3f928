// Command embed shows a program that keeps its own folder up to date with the
// package client: it installs what is not there, and else says what an update
// would cost, and applies it.
//
//	go run ./examples/embed -repo https://example.com/repo -root root.json -product app /opt/app
//
// A real program would embed root.json with //go:embed instead of reading it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/treegraft-dev/treegraft/client"
)

func main() {
	repo := flag.String("repo", "", "folder or URL of the repository")
	root := flag.String("root", "root.json", "trusted root")
	product := flag.String("product", "app", "product")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("want one argument, the folder of the program")
	}
	if err := run(context.Background(), *repo, *root, *product, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, repo, rootFile, product, dir string) error {
	root, err := os.ReadFile(rootFile)
	if err != nil {
		return err
	}
	c, err := client.New(client.Options{Dir: dir, Repository: repo, Root: root, Product: product})
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if errors.Is(err, client.ErrNotInstalled) {
		result, err := c.Install(ctx, client.UpdateOptions{})
		if err != nil {
			return err
		}
		fmt.Println("installed", result.To.Version)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("running", status.Installed.Version)

	plan, err := c.Plan(ctx, client.UpdateOptions{})
	if err != nil {
		return err
	}
	if plan.UpToDate() {
		fmt.Println("up to date")
		return nil
	}
	fmt.Printf("%s is there; files that change: %d, bytes to download: %d\n", plan.To.Version, len(plan.Steps), plan.Download)
	result, err := c.Apply(ctx, plan, client.UpdateOptions{})
	if err != nil {
		return err
	}
	fmt.Println("updated to", result.To.Version)
	return nil
}
