package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func probationVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var starting bool
	cmd := &cobra.Command{
		Use:   "probation [--start] DIR",
		Short: "Look whether a new release has failed its probation; if so, go back",
		Long: `Probation goes back to the release before if the installed one was not confirmed
in time, or started too often before: see "update --probation" and "--starts". A
release that has failed is not taken again, unless by "update --to".

Run it with --start before each start of the program, and without now and then.
The exit code is 70 if it went back.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				trial, back, err := c.Pending(cmd.Context(), starting)
				switch {
				case err != nil:
					return err
				case back != nil:
					return returned(out, back)
				case trial == nil:
					return out.Done(cli.OK, struct{}{}, "no release is on probation")
				}
				return out.Done(cli.OK, trial, "%s", trialText(trial))
			})
		},
	}
	t.productFlag(cmd.Flags())
	cmd.Flags().BoolVar(&starting, "start", false, "the program is about to start: count it")
	return cmd
}

func trialText(t *client.Trial) string {
	text := t.Version + " is on probation"
	if !t.Until.IsZero() {
		text += " until " + t.Until.Local().Format(time.DateTime)
	}
	if t.Bounded {
		text += ", " + cli.Count(t.Starts, "start", "starts") + " left"
	}
	return text
}
