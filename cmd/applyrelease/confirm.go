package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func confirmVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "confirm DIR",
		Short: "Say that the installed release is well: its probation ends",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				if err := c.Confirm(cmd.Context()); err != nil {
					return err
				}
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return out.Done(cli.OK, map[string]string{"installed": version(s.Installed)}, "%s is confirmed", release(s.Installed))
			})
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}
