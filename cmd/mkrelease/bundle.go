package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
)

func bundleVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var b publisher.Bundle
	to, days := "", 0
	cmd := &cobra.Command{
		Use:   "bundle --repo DIR --keys DIR --product P --to DIR",
		Short: "Copy a release for where there is no network",
		Long: `Bundle copies a release, with the deltas to it, into an empty folder. Installs use
that folder as any repository, and check the same signatures; its timestamp is
good for half a year. Later, "applyrelease update --accept-expired" still takes
it, on the word of whoever types that.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 0 {
				return &cli.UsageError{Text: "--days: want a number of days"}
			}
			b.Lifetime = time.Duration(days) * 24 * time.Hour
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			dir, err := store.OpenDir(to)
			if err != nil {
				return err
			}
			all, err := p.Bundle(cmd.Context(), dir, b)
			if err != nil {
				return err
			}
			for _, l := range all {
				out.Item("release", l, "%s %s  %s", l.Product, l.Version, l.Platform)
			}
			return out.Done(cli.OK, map[string]any{"to": to, "releases": len(all)}, "%s is a repository of %s.", to, cli.Count(len(all), "release", "releases"))
		},
	}
	r.signFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&b.Product, "product", "", "product to copy")
	f.StringVar(&b.Version, "version", "", "version to copy (default: the newest of the channel)")
	f.StringVar(&b.Channel, "channel", "", "channel (default: stable)")
	f.StringVar(&b.Platform, "platform", "", "GOOS-GOARCH, or any (default: all platforms)")
	f.StringVar(&to, "to", "", "empty folder for the bundle; made if it is missing")
	f.IntVar(&days, "days", 0, "how long its timestamp is good (default: 180)")
	cli.Require(cmd, "product", "to")
	return cmd
}
