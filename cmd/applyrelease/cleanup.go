package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func cleanupVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	keep := 0
	cmd := &cobra.Command{
		Use:   "cleanup [--keep N] DIR",
		Short: "Remove downloads and old snapshots",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			if keep < 0 {
				return &cli.UsageError{Text: "--keep: want 0 or more"}
			}
			return t.each(args[0], func(c *client.Client) error {
				freed, err := c.Cleanup(cmd.Context(), keep)
				if err != nil {
					return err
				}
				return out.Done(cli.OK, map[string]int64{"freed": freed}, "freed %s", cli.Size(freed))
			})
		},
	}
	t.productFlag(cmd.Flags())
	cmd.Flags().IntVar(&keep, "keep", 1, "snapshots of each product to keep; without any there is no rollback")
	return cmd
}
