package main

import (
	"cmp"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func holdVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var h client.Hold
	var until string
	cmd := &cobra.Command{
		Use:   "hold [--reason TEXT] [--until TIME] DIR",
		Short: "No updates, and no checks for them, until unhold",
		Long: `Hold puts updates on hold: check, fetch, apply and update then exit with 42, and
make no request. APPLYRELEASE_HOLD=REASON in the environment does the same for
one run, and the administrator's policy for a machine.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if h.Until, err = parseTime(until); err != nil {
				return err
			}
			return t.each(args[0], func(c *client.Client) error {
				if err := c.Hold(cmd.Context(), h); err != nil {
					return err
				}
				return out.Done(cli.OK, h, "on hold: %s", h)
			})
		},
	}
	t.productFlag(cmd.Flags())
	cmd.Flags().StringVar(&h.Reason, "reason", "", "why, for people")
	cmd.Flags().StringVar(&h.By, "by", person(), "who says so")
	cmd.Flags().StringVar(&until, "until", "", `when it ends by itself, such as "2026-12-24" or "72h"`)
	return cmd
}

// parseTime reads a day, a time, or a duration from now.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return time.Now().Add(d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
		if when, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return when.UTC(), nil
		}
	}
	return time.Time{}, &cli.UsageError{Text: "--until " + s + `: want a day like "2026-12-24", a time, or a duration`}
}

func unholdVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "unhold DIR",
		Short: "Lift a hold, and the pin of an update",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				if err := c.Unhold(cmd.Context()); err != nil {
					return err
				}
				h, err := c.Held()
				if err != nil {
					return err
				}
				if h != nil {
					return &client.HeldError{Hold: *h}
				}
				return out.Done(cli.OK, struct{}{}, "updates are possible again")
			})
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}

// person is who runs the program.
func person() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return cmp.Or(u.Name, u.Username)
}
