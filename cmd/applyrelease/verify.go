package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func verifyVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Compare the tree with what was installed, without network",
		Long: `Verify reads every managed file and compares it with the signed manifest of the
installed release. It lists what differs, changes nothing, and then exits with
32. Files that the release does not have are not looked at.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				drift, err := c.Verify(cmd.Context())
				if err != nil {
					return err
				}
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				for _, d := range drift {
					tellDrift(out, d)
				}
				v := struct {
					Installed string `json:"installed"`
					Drift     int    `json:"drift"`
				}{version(s.Installed), len(drift)}
				if len(drift) > 0 {
					return out.Done(cli.Mismatch, v, "%s differs in %s: applyrelease repair %s",
						release(s.Installed), cli.Count(len(drift), "path", "paths"), args[0])
				}
				return out.Done(cli.OK, v, "%s is intact", release(s.Installed))
			})
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}
