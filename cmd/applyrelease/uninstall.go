package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func uninstallVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "uninstall --product P DIR",
		Short: "Remove a product's files from the tree",
		Long: `Uninstall removes the files of a product, and nothing else: other products, files
that no release has, data and settings stay. It refuses when another product of
the tree needs this one, when programs of the tree run, and when files were
changed locally; with --force these stay beside, as NAME.kept, and so do edited
settings files in any case. A rollback brings the product back without network.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.open(args[0])
			if err != nil {
				return err
			}
			r, err := c.Uninstall(cmd.Context(), t.update.Force)
			if err != nil {
				return err
			}
			return result(out, "uninstalled", r)
		},
	}
	cmd.Flags().StringVar(&t.options.Product, "product", "", "product to remove")
	cli.Require(cmd, "product")
	t.forceFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	return cmd
}
