package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func abortVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var data string
	cmd := &cobra.Command{
		Use:   "abort [--data V] DIR",
		Short: "Take back an update that was cut short or has stopped",
		Long: `Abort goes back to the release before: migrations down, in reverse order, then the
files. Where a migration has no way back and the release before cannot work with
what it made, bring the data back from a backup and say which version that is,
with --data.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openToEnd(cmd.Context(), args[0], data)
			if err != nil {
				return err
			}
			r, err := c.Abort(cmd.Context())
			return ended(out, "taken back", r, err)
		},
	}
	dataFlag(cmd.Flags(), &data)
	t.oneProductFlag(cmd.Flags())
	return cmd
}
