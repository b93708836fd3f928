package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func repairVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "repair DIR",
		Short: "Make the tree what was installed",
		Long: `Repair brings back every managed file that is missing or was changed, whoever
changed it, and keeps no copy of what it replaces: look at what verify lists
before. Files that the release does not have are not touched, and the way back
to the release before stays.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				r, err := c.Repair(cmd.Context())
				if err != nil {
					return err
				}
				return result(out, "repaired", r)
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	return cmd
}
