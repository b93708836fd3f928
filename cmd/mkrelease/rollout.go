package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

func rolloutVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var change publisher.Rollout
	percent, halt, resume := 0, false, false
	cmd := &cobra.Command{
		Use:   "rollout --repo DIR --keys DIR --product P [--version V] {--percent N | --halt | --resume}",
		Short: "Say how many installs take a release by themselves",
		Long: `Rollout signs how many percent of installs take a release of a channel by
themselves: which ones, follows from a hash of their id and the release. Who is in
at 10 % is in at 20 % too. With --halt nobody more takes it, whatever the percent,
until --resume; who has it stays. Critical releases do not wait for their rollout,
but stop where it is halted. People get the release at any time, by --to VERSION.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed("percent")
			if halt && resume || !halt && !resume && !given {
				return &cli.UsageError{Text: "want --percent N, --halt or --resume"}
			}
			if given {
				if percent < 0 || percent > 100 {
					return &cli.UsageError{Text: fmt.Sprintf("--percent %d: want 0 to 100", percent)}
				}
				change.Percent = &percent
			}
			if halt || resume {
				change.Halted = &halt
			}
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			version, now, err := p.Rollout(cmd.Context(), change)
			if err != nil {
				return err
			}
			v := struct {
				Product string `json:"product"`
				Version string `json:"version"`
				Channel string `json:"channel"`
				manifest.Rollout
			}{change.Product, version, change.Channel, now}
			return out.Done(cli.OK, v, "%s %s on %s: %s", change.Product, version, change.Channel, tellRollout(now))
		},
	}
	r.signFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&change.Product, "product", "", "product of the release")
	f.StringVar(&change.Version, "version", "", "version of the release (default: the newest of the channel)")
	f.StringVar(&change.Channel, "channel", "stable", "channel that it is about")
	f.IntVar(&percent, "percent", 100, "how many percent of installs, 0 to 100")
	f.BoolVar(&halt, "halt", false, "nobody more for now")
	f.BoolVar(&resume, "resume", false, "go on where it was halted")
	cli.Require(cmd, "product")
	return cmd
}

func tellRollout(r manifest.Rollout) string {
	text := fmt.Sprintf("%d %% of installs", r.Percent)
	if r.Halted {
		text += ", halted"
	}
	return text
}
