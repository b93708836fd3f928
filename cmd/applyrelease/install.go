package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func installVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "install [--repo DIR|URL --root root.json] --product P [--version V] DIR",
		Short: "Install a release into a folder",
		Long: `Install brings a folder to a release of a product, and remembers there where it
came from. Files that are in the folder already stay, and are refused if they
are in the way.

A tree can have several products, such as modules and add-ons. What comes from
where the others came from needs neither --repo nor --root. Products that it
depends on are installed first, if they are not there.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.open(args[0])
			if err != nil {
				return err
			}
			r, err := c.Install(cmd.Context(), t.update)
			var lacks *client.DependencyError
			if errors.As(err, &lacks) {
				return t.installAll(cmd.Context(), c, args[0])
			}
			if err != nil {
				return onTheWay(r, err)
			}
			return result(out, "installed", r)
		},
	}
	f := cmd.Flags()
	t.remoteFlags(f)
	t.forceFlag(f)
	t.strategyFlag(f)
	t.fleetFlags(f)
	f.StringVar(&t.options.Product, "product", "", "product to install")
	t.installFlags(f)
	t.runFlags(f)
	f.BoolVar(&t.update.Defer, "defer-migrations", false, `leave migrations to "setup"; programs cannot start before that`)
	f.StringVar(&t.update.Version, "version", "", "version to install (default: the newest of the channel)")
	cli.Require(cmd, "product")
	return cmd
}

// installAll installs a product with what it depends on.
func (t *tree) installAll(ctx context.Context, c *client.Client, dir string) error {
	offers, err := c.Offers(ctx)
	if err != nil {
		return err
	}
	need, err := client.Needed(offers, t.options.Product)
	if err != nil {
		return err
	}
	if t.update.Version != "" {
		return &cli.UsageError{Text: "--version: not with products that it depends on: install those first"}
	}
	return t.setUp(ctx, dir, need)
}
