package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func channelVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "channel CHANNEL DIR",
		Short: "Follow another channel from now on",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("want a channel, and one folder, the install tree")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[1], func(c *client.Client) error {
				if err := c.SetChannel(cmd.Context(), args[0]); err != nil {
					return err
				}
				return out.Done(cli.OK, map[string]string{"channel": args[0]}, "updates come from channel %s", args[0])
			})
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}
