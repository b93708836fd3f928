package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func applyVerb(out *cli.Out) *cobra.Command {
	u := updating{t: tree{out: out}}
	cmd := &cobra.Command{
		Use:   "apply [--to V] [--offline] DIR [-- ARG...]",
		Short: "Apply an update that has been fetched",
		Long: `Apply brings the tree to the release that was fetched last, or when none was, to
the newest. What turns out to be missing is downloaded first, unless --offline
forbids that. For --detach, --wait-pid and --restart see update.`,
		Args: u.d.args,
		RunE: func(cmd *cobra.Command, args []string) error { return u.run(cmd, args, u.t.apply) },
	}
	u.flags(cmd)
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
