package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func setupVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	all := false
	var data string
	cmd := &cobra.Command{
		Use:   "setup [--data V | --all [--repo DIR|URL --root root.json]] DIR",
		Short: "Run migrations that are due; with --all, install and update what is essential",
		Long: `Setup migrates data to what the installed releases need: after an update with
--defer-migrations, or after data came from elsewhere, whose version --data
tells.

With --all it brings a tree to what its publisher thinks it must have: it installs the
products that are essential, with all that they depend on, and updates those
that are installed. Dependencies come first. A product that fails leaves out
those that depend on it, and no others; the exit code is 3 then.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return t.eachTaken(cmd.Context(), args[0], func(c *client.Client) error { return t.migrate(cmd.Context(), c, data) })
			}
			if data != "" || t.options.Product != "" {
				return &cli.UsageError{Text: "--all: want neither --data nor --product with it"}
			}
			c, err := t.openAny(args[0])
			if err != nil {
				return err
			}
			offers, err := c.Offers(cmd.Context())
			if err != nil {
				return err
			}
			need, lack := client.Needed(offers)
			if lack != nil {
				out.Note("%v", lack)
			}
			return t.setUp(cmd.Context(), args[0], need)
		},
	}
	t.remoteFlags(cmd.Flags())
	t.installFlags(cmd.Flags())
	t.forceFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.runFlags(cmd.Flags())
	dataFlag(cmd.Flags(), &data)
	cmd.Flags().BoolVar(&all, "all", false, "install what is essential, and update all products")
	return cmd
}

// migrate runs the migrations that are due.
func (t *tree) migrate(ctx context.Context, c *client.Client, data string) error {
	if err := setData(ctx, c, data); err != nil {
		return err
	}
	r, err := c.Setup(ctx, t.update)
	if err != nil {
		return err
	}
	switch {
	case r.Rejected != "":
		return returned(t.out, r)
	case r.UpToDate:
		return t.out.Done(cli.OK, summaryOf(r), "%s needs no migration", release(r.To))
	}
	return t.out.Done(cli.OK, summaryOf(r), "%s is set up", release(r.To))
}

// setUp installs or updates products, each after those it depends on.
func (t *tree) setUp(ctx context.Context, dir string, need []client.Offer) error {
	if err := t.takeUp(ctx, dir); err != nil {
		return err
	}
	var parts []cli.Part
	installed := map[string]bool{}
	for _, o := range need {
		parts = append(parts, partOf(o.Product, o.Depends))
		installed[o.Product] = o.Installed != ""
	}
	return t.out.Parts(parts, func(product string) error {
		c, err := t.of(product).open(dir)
		if err != nil {
			return err
		}
		if installed[product] {
			r, err := c.Update(ctx, t.update)
			if err == nil && r.UpToDate {
				r, err = c.Setup(ctx, t.update) // what an earlier update has left
			}
			if err != nil {
				return onTheWay(r, err)
			}
			return result(t.out, "updated", r)
		}
		r, err := c.Install(ctx, t.update)
		if err != nil {
			return onTheWay(r, err)
		}
		return result(t.out, "installed", r)
	})
}
