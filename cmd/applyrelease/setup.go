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
	cmd := &cobra.Command{
		Use:   "setup --all [--repo DIR|URL --root root.json] DIR",
		Short: "Install what is essential, and update what is installed",
		Long: `Setup brings a tree to what its publisher thinks it must have: it installs the
products that are essential, with all that they depend on, and updates those
that are installed. Dependencies come first. A product that fails leaves out
those that depend on it, and no others; the exit code is 3 then.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return &cli.UsageError{Text: "want --all"}
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
	cmd.Flags().BoolVar(&all, "all", false, "all products")
	return cmd
}

// setUp installs or updates products, each after those it depends on.
func (t *tree) setUp(ctx context.Context, dir string, need []client.Offer) error {
	var parts []cli.Part
	installed := map[string]bool{}
	for _, o := range need {
		p := cli.Part{Name: o.Product}
		for _, d := range o.Depends {
			p.After = append(p.After, d.Name)
		}
		parts = append(parts, p)
		installed[o.Product] = o.Installed != ""
	}
	return t.out.Parts(parts, func(product string) error {
		c, err := t.of(product).open(dir)
		if err != nil {
			return err
		}
		if installed[product] {
			r, err := c.Update(ctx, t.update)
			if err != nil {
				return err
			}
			return result(t.out, "updated", r)
		}
		r, err := c.Install(ctx, t.update)
		if err != nil {
			return err
		}
		return result(t.out, "installed", r)
	})
}
