package main

import (
	"cmp"
	"errors"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// person is who runs the program.
func person() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return cmp.Or(u.Name, u.Username)
}

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
