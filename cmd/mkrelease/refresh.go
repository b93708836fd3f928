package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func refreshVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	days := 0
	cmd := &cobra.Command{
		Use:   "refresh --repo DIR --keys DIR [--key KEY] [--days N]",
		Short: "Sign the timestamp anew, so that it does not expire",
		Long: `Refresh signs the timestamp, and what else has less than half of its time left
and can be signed with the keys at hand. The timestamp's own key is enough: give
it to a cron job on its own ("keys set --role timestamp"), and with --days 7 a
mirror can hide a release for no longer than a week.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 0 {
				return &cli.UsageError{Text: "--days: want a number of days"}
			}
			r.lifetime.Timestamp = time.Duration(days) * 24 * time.Hour
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.Refresh(cmd.Context()); err != nil {
				return err
			}
			return out.Done(cli.OK, map[string]string{"repo": r.repo}, "The timestamp of %s is new.", r.repo)
		},
	}
	r.signFlags(cmd)
	cmd.Flags().IntVar(&days, "days", 0, "how long the timestamp is good (default: 90)")
	return cmd
}
