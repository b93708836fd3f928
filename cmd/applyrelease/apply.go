package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func applyVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var h health
	var d detached
	cmd := &cobra.Command{
		Use:   "apply [--to V] [--offline] DIR [-- ARG...]",
		Short: "Apply an update that has been fetched",
		Long: `Apply brings the tree to the release that was fetched last, or when none was, to
the newest. What turns out to be missing is downloaded first, unless --offline
forbids that. For --detach, --wait-pid and --restart see update.`,
		Args: d.args,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if t.update.Probation, err = h.ask(); err != nil {
				return err
			}
			return d.run(cmd, out, args, func() error {
				return t.eachTaken(cmd.Context(), args[0], func(c *client.Client) error {
					r, err := t.apply(cmd.Context(), c)
					if err != nil {
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
	t.forceFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	t.offlineFlag(cmd.Flags())
	t.updateFlags(cmd.Flags())
	h.flags(cmd)
	d.flags(cmd.Flags())
	return cmd
}

// apply applies what has been fetched.
func (t *tree) apply(ctx context.Context, c *client.Client) (*client.Result, error) {
	if err := notHeld(c); err != nil {
		return nil, err
	}
	o := t.update
	if o.Version == "" {
		s, err := c.Status(ctx)
		if err != nil {
			return nil, err
		}
		o.Version = s.Fetched
	}
	p, err := c.Plan(ctx, o)
	if err != nil {
		return nil, err
	}
	return c.Apply(ctx, p, o)
}
