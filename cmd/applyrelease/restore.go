package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func restoreVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var data string
	cmd := &cobra.Command{
		Use:   "restore [--data V] [--offline] VERSION DIR",
		Short: "Bring back a historic release; update goes forward again",
		Long: `Restore brings back an earlier release: from a snapshot if one is kept (see install
--snapshots), or else from the repository. If its data was brought back with it,
say which version that is with --data, unless the release can tell by itself.
Later, update goes forward again and repeats the migrations that this data needs.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("want a version, and one folder, the install tree")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openOne(args[1])
			if err != nil {
				return err
			}
			if err := setData(cmd.Context(), c, data); err != nil {
				return err
			}
			r, err := c.Restore(cmd.Context(), args[0], t.update)
			if err != nil {
				return onTheWay(r, err)
			}
			return result(out, "restored", r)
		},
	}
	f := cmd.Flags()
	dataFlag(f, &data)
	t.oneProductFlag(f)
	t.remoteFlags(f)
	t.forceFlag(f)
	t.offlineFlag(f)
	t.runFlags(f)
	return cmd
}
