package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
)

// each runs a verb for the product that the flags name, or else for each one of
// the tree: dependencies first, and none after one of those has failed.
func (t *tree) each(dir string, run func(c *client.Client) error) error {
	one := func(product string) error {
		c, err := t.of(product).open(dir)
		if err != nil {
			return err
		}
		return run(c)
	}
	if t.options.Product != "" {
		return one(t.options.Product)
	}
	installed, err := client.Products(dir)
	if err != nil {
		return err
	}
	if len(installed) < 2 {
		return one("")
	}
	if t.update.Version != "" {
		return &cli.UsageError{Text: "--to: want --product too, as the tree has several"}
	}
	var parts []cli.Part
	for _, r := range installed {
		parts = append(parts, partOf(r.Product, r.Depends))
	}
	return t.out.Parts(parts, func(product string) error {
		err := one(product)
		if errors.Is(err, client.ErrNotInstalled) && !has(dir, product) {
			t.out.Note("%s is not installed any more", product) // what was cut short has been finished
			return nil
		}
		return err
	})
}

// openOne is open for verbs about one product: where the tree has several, a flag
// must say which.
func (t *tree) openOne(dir string) (*client.Client, error) {
	if t.options.Product != "" {
		return t.open(dir)
	}
	installed, err := client.Products(dir)
	if err != nil || len(installed) < 2 {
		return t.open(dir) // which tells what is wrong
	}
	var names []string
	for _, r := range installed {
		names = append(names, r.Product)
	}
	return nil, &cli.UsageError{Text: "--product: want one of " + strings.Join(names, ", ")}
}

// has reports whether a product is installed in a tree.
func has(dir, product string) bool {
	installed, err := client.Products(dir)
	return err != nil || slices.ContainsFunc(installed, func(r manifest.Release) bool { return r.Product == product })
}

// eachTaken is each for verbs that update. A run of one product that was cut short
// is finished first: it keeps the others from beginning theirs, and its turn may
// come after them.
func (t *tree) eachTaken(ctx context.Context, dir string, run func(c *client.Client) error) error {
	if t.options.Product == "" {
		if err := t.takeUp(ctx, dir); err != nil {
			return err
		}
	}
	return t.each(dir, run)
}

// takeUp finishes a run that was cut short, unless the verb itself will, as the
// tree has one product only.
func (t *tree) takeUp(ctx context.Context, dir string) error {
	installed, err := client.Products(dir)
	if err != nil || len(installed) == 0 {
		return err
	}
	run, err := client.UnderWay(dir)
	if err != nil || run == nil || !run.CutShort() || len(installed) == 1 && run.Product == installed[0].Product {
		return err
	}
	c, err := t.of(run.Product).open(dir)
	if err != nil {
		return err
	}
	r, err := c.Resume(ctx, client.ResumeOptions{Update: t.update})
	if err == nil && !r.UpToDate {
		t.out.Note("an earlier run was cut short: %s", cmp.Or(r.Recovered, r.Rejected))
	}
	return err
}

// partOf is the part of a verb that is about one product.
func partOf(product string, depends []manifest.Dependency) cli.Part {
	p := cli.Part{Name: product}
	for _, d := range depends {
		p.After = append(p.After, d.Name)
	}
	return p
}

// of returns what the flags say, about one product.
func (t *tree) of(product string) *tree {
	one := *t
	one.options.Product = product
	return &one
}

// openAny returns a client that is about no product, or about the one that
// others depend on: for questions to the repository.
func (t *tree) openAny(dir string) (*client.Client, error) {
	installed, err := client.Products(dir)
	if err != nil {
		return nil, err
	}
	product := ""
	if len(installed) > 0 {
		product = installed[0].Product
	}
	return t.of(product).open(dir)
}

// openToEnd returns the client for a verb that ends a run, after recording what
// --data says.
func (t *tree) openToEnd(ctx context.Context, dir, data string) (*client.Client, error) {
	c, err := t.openRun(dir)
	if err != nil {
		return nil, err
	}
	return c, setData(ctx, c, data)
}

// openRun returns the client of the product whose run is under way, unless a
// flag names another: there is but one run in a tree.
func (t *tree) openRun(dir string) (*client.Client, error) {
	if t.options.Product != "" {
		return t.open(dir)
	}
	run, err := client.UnderWay(dir)
	if err != nil {
		return nil, err
	}
	if run == nil {
		return t.openAny(dir)
	}
	return t.of(run.Product).open(dir)
}
