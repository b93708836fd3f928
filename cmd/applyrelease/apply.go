package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func applyVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var h health
	cmd := &cobra.Command{
		Use:   "apply [--to V] [--offline] DIR",
		Short: "Apply an update that has been fetched",
		Long: `Apply brings the tree to the release that was fetched last, or when none was, to
the newest. What turns out to be missing is downloaded first, unless --offline
forbids that.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if t.update.Probation, err = h.ask(); err != nil {
				return err
			}
			return t.each(args[0], func(c *client.Client) error {
				o := t.update
				if o.Version == "" {
					s, err := c.Status(cmd.Context())
					if err != nil {
						return err
					}
					o.Version = s.Fetched
				}
				p, err := c.Plan(cmd.Context(), o)
				if err != nil {
					return err
				}
				r, err := c.Apply(cmd.Context(), p, o)
				if err != nil {
					return err
				}
				return h.judge(cmd.Context(), out, c, args[0], r)
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.releaseFlags(cmd.Flags())
	t.forceFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	t.offlineFlag(cmd.Flags())
	h.flags(cmd)
	return cmd
}
