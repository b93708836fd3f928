package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func updateVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var h health
	var d detached
	cmd := &cobra.Command{
		Use:   "update [--to V] [--force] DIR [-- ARG...]",
		Short: "Check, fetch and apply an update",
		Long: `Update brings the tree to the newest release of its channel. Files that were
changed locally make it refuse, with the list of them and before anything is
changed; with --force they stay beside, as NAME.kept. A rollback puts them back
in their places, and leaves NAME.kept where it is.

Where the way leads over barriers, or to releases that are only installed one
after the other, update goes it step by step; with --one it stops after the first.

A program updates itself with --detach, --wait-pid and --restart: an updater in
the background waits until the program has ended, applies, keeps what came of it
in .treegraft/detached.json, and starts the program. Arguments for that follow
"--".`,
		Args: d.args,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if t.update.Probation, err = h.ask(); err != nil {
				return err
			}
			return d.run(cmd, out, args, func() error {
				return t.eachTaken(cmd.Context(), args[0], func(c *client.Client) error {
					r, err := c.Update(cmd.Context(), t.update)
					if err != nil {
						tellHops(out, r)
						return err
					}
					d.note(r)
					return h.judge(cmd.Context(), out, c, args[0], r)
				})
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.releaseFlags(cmd.Flags())
	t.oneFlag(cmd.Flags())
	t.forceFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	t.offlineFlag(cmd.Flags())
	t.updateFlags(cmd.Flags())
	cmd.Flags().BoolVar(&t.update.Pin, "pin", false, "with --to: stay there in later updates too, until unhold")
	h.flags(cmd)
	d.flags(cmd.Flags())
	return cmd
}
