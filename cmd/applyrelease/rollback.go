package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func rollbackVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var data string
	cmd := &cobra.Command{
		Use:   "rollback [--force] DIR",
		Short: "Go back to the release before the last update, without network",
		Long: `Rollback brings back the tree as it was before the last update; after an install,
the folder as it was before that; status tells where it leads. A second rollback
does nothing, nor does one after an update was taken back: "restore VERSION" goes
further back. Files that were changed since make it refuse, with the list of them
and before anything is changed; with --force they stay beside, as NAME.kept.

Migrations of the release are taken down first. Where one has no way back, bring
the data back from a backup and say which version that is, with --data.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openOne(args[0])
			if err != nil {
				return err
			}
			if err := setData(cmd.Context(), c, data); err != nil {
				return err
			}
			r, err := c.Rollback(cmd.Context(), t.update.Force)
			if err != nil {
				return err
			}
			switch {
			case r.UpToDate && r.To == nil:
				return out.Done(cli.OK, summaryOf(r), "it went back already, to nothing")
			case r.UpToDate:
				return out.Done(cli.OK, summaryOf(r), `it went back already, to %s; "restore VERSION" goes further`, release(r.To))
			}
			return result(out, "rolled back", r)
		},
	}
	t.oneProductFlag(cmd.Flags())
	t.forceFlag(cmd.Flags())
	dataFlag(cmd.Flags(), &data)
	t.strategyFlag(cmd.Flags())
	return cmd
}
