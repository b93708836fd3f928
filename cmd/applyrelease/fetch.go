package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func fetchVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "fetch [--to V] DIR",
		Short: "Download an update without applying it",
		Long: `Fetch downloads what an update needs. It changes nothing that an application
can see, and goes on where an earlier fetch was cut short.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				if err := notHeld(c); err != nil {
					return err
				}
				p, err := c.Plan(cmd.Context(), t.update)
				if err != nil {
					return err
				}
				if err := c.Fetch(cmd.Context(), p); err != nil {
					return err
				}
				if p.UpToDate() {
					return out.Done(cli.OK, summarize(p), "%s is up to date", release(p.To))
				}
				return out.Done(cli.OK, summarize(p), "%s: downloaded %s: applyrelease apply %s",
					way(p.From, p.To), cli.Size(p.Download), args[0])
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.releaseFlags(cmd.Flags())
	return cmd
}
