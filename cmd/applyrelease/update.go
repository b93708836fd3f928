package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// updating is what the flags of update and apply say: about the update, and
// about what comes before and after it.
type updating struct {
	t tree
	h health
	d detached
}

func (u *updating) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	u.t.remoteFlags(f)
	u.t.productFlag(f)
	u.t.releaseFlags(f)
	u.t.forceFlag(f)
	u.t.strategyFlag(f)
	u.t.offlineFlag(f)
	u.t.updateFlags(f)
	u.h.flags(f)
	u.d.flags(f)
}

// run updates the products of a tree, each in the way that is given.
func (u *updating) run(cmd *cobra.Command, args []string, update func(context.Context, *client.Client) (*client.Result, error)) (err error) {
	if u.t.update.Probation, err = u.h.ask(); err != nil {
		return err
	}
	ctx, out := cmd.Context(), u.t.out
	return u.d.run(cmd, out, args, func() error {
		return u.t.eachTaken(ctx, args[0], func(c *client.Client) error {
			r, err := update(ctx, c)
			if err != nil {
				return onTheWay(r, err)
			}
			u.d.note(r)
			return u.h.judge(ctx, out, c, args[0], r)
		})
	})
}

func updateVerb(out *cli.Out) *cobra.Command {
	u := updating{t: tree{out: out}}
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
		Args: u.d.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			return u.run(cmd, args, func(ctx context.Context, c *client.Client) (*client.Result, error) {
				return c.Update(ctx, u.t.update)
			})
		},
	}
	u.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&u.t.update.One, "one", false, "where the way leads over other releases, stop at the first")
	f.BoolVar(&u.t.update.Pin, "pin", false, "with --to: stay there in later updates too, until unhold")
	return cmd
}
