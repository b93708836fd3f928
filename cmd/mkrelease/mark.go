package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
)

func markVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var m publisher.Mark
	unstable, stable, recommended, notRecommended := false, false, false, false
	cmd := &cobra.Command{
		Use:   "mark --repo DIR --keys DIR --product P --version V {--unstable | --stable} {--recommended | --not-recommended}",
		Short: "Say that a release is unstable, or the one to have",
		Long: `Mark signs what is thought of a release now. An unstable one is taken only by
installs that ask for unstable ones, or for it. A recommended one is where the
channel's installs go by themselves, and no further; those that are newer already
are told, stay, or go back to it, as they are set: "applyrelease --too-new". One
release of a channel is recommended, or none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unstable && (stable || recommended) || recommended && notRecommended || !(unstable || stable || recommended || notRecommended) {
				return &cli.UsageError{Text: "want --unstable or --stable, or --recommended or --not-recommended"}
			}
			if unstable || stable {
				m.Unstable = &unstable
			}
			if recommended || notRecommended {
				m.Recommended = &recommended
			}
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.Mark(cmd.Context(), m); err != nil {
				return err
			}
			var words []string
			for _, f := range []string{"unstable", "stable", "recommended", "not-recommended"} {
				if on, _ := cmd.Flags().GetBool(f); on {
					words = append(words, strings.ReplaceAll(f, "-", " "))
				}
			}
			v := map[string]any{"product": m.Product, "version": m.Version, "channel": m.Channel, "marks": words}
			return out.Done(cli.OK, v, "%s %s is %s", m.Product, m.Version, strings.Join(words, " and "))
		},
	}
	r.signFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&m.Product, "product", "", "product of the release")
	f.StringVar(&m.Version, "version", "", "version of the release, on all platforms")
	f.StringVar(&m.Channel, "channel", "stable", "channel that recommends it")
	f.BoolVar(&unstable, "unstable", false, "nobody takes it who does not ask for it")
	f.BoolVar(&stable, "stable", false, "it is not unstable any more")
	f.BoolVar(&recommended, "recommended", false, "the release to have on the channel")
	f.BoolVar(&notRecommended, "not-recommended", false, "not any more")
	cli.Require(cmd, "product", "version")
	return cmd
}
