package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func approveVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var by string
	cmd := &cobra.Command{
		Use:   "approve [--to V] [--by NAME] DIR",
		Short: "Approve a release, where the administrator's policy wants that",
		Long: `Approve says that a release may be applied: the one that was fetched, or else the
newest, or that of --to. It is for these very bytes; what is published under
the same version later is another release.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				a, err := c.Approve(cmd.Context(), t.update.Version, by)
				if err != nil {
					return err
				}
				return out.Done(cli.OK, a, "%s is approved by %s", a.Version, a.By)
			})
		},
	}
	t.productFlag(cmd.Flags())
	cmd.Flags().StringVar(&t.update.Version, "to", "", "version (default: what was fetched, or else the newest)")
	cmd.Flags().StringVar(&by, "by", person(), "who approves it")
	return cmd
}
