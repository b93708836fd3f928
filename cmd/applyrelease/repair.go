package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func repairVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "repair DIR",
		Short: "Make the tree what was installed",
		Long: `Repair brings back every managed file that is missing or was changed, whoever
changed it, and keeps no copy of what it replaces: look at what verify lists
before. Files that the release does not have are not touched, and the way back
to the release before stays. Where the disk has damaged the record of what is
installed, that is fetched again first.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			mended, err := t.mend(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return t.each(args[0], func(c *client.Client) error {
				r, err := c.Repair(cmd.Context())
				if err != nil {
					return err
				}
				if m := mended[r.To.Product]; m != nil {
					r = m
				}
				return result(out, "repaired", r)
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.strategyFlag(cmd.Flags())
	return cmd
}

// mend repairs the products whose record of what is installed is damaged: without
// it nobody can tell which products the tree has.
func (t *tree) mend(ctx context.Context, dir string) (map[string]*client.Result, error) {
	mended := map[string]*client.Result{}
	for {
		_, err := client.Products(dir)
		var damaged *client.DamagedError
		if !errors.As(err, &damaged) || mended[damaged.Product] != nil {
			return mended, err
		}
		c, err := t.of(damaged.Product).open(dir)
		if err != nil {
			return nil, err
		}
		if mended[damaged.Product], err = c.Repair(ctx); err != nil {
			return nil, err
		}
	}
}
