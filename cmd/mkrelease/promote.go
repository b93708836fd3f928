package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

func promoteVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var m publisher.Promotion
	var making making
	rollout := 0
	cmd := &cobra.Command{
		Use:   "promote --repo DIR --keys DIR --product P --version V [--channel C] [OLD...]",
		Short: "Put a release on another channel: the same bits",
		Long: `Promote puts a published release on one more channel. Nothing of it changes, so
what was tried on one channel is what goes out on the other. Deltas are made from
the earlier releases of that channel, out of the repository; OLD are folders with
releases, if they are at hand. It is tried with the real client before, and goes
live with one write.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if m.Delta, err = making.options(); err != nil {
				return err
			}
			m.Delta.Workers = r.work
			if m.Rollout, err = rolloutOf(rollout); err != nil {
				return err
			}
			if m.Keep < 0 {
				return &cli.UsageError{Text: "--keep: want 0 or more"}
			}
			if m.Packs <= 0 {
				m.Packs = -1 // none; to the library, 0 means the default
			}
			m.Old = args
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			reports, err := p.Promote(cmd.Context(), m)
			if err != nil {
				return err
			}
			return tellPromotion(out, &m, reports)
		},
	}
	r.signFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&m.Product, "product", "", "product of the release")
	f.StringVar(&m.Version, "version", "", "version of the release")
	f.StringVar(&m.Platform, "platform", "", "only this platform of it (default: all)")
	f.StringVar(&m.Channel, "channel", "stable", "channel that it goes to")
	f.IntVar(&rollout, "rollout", 100, "how many percent of installs take it there by themselves, 0 to 100")
	f.IntVar(&m.Packs, "packs", 3, "make deltas from so many earlier releases of the channel")
	f.IntVar(&m.Keep, "keep", defaultKeep, "list so many releases of each channel and platform; 0: all")
	making.flags(cmd)
	cli.Require(cmd, "product", "version")
	return cmd
}

func tellPromotion(out *cli.Out, m *publisher.Promotion, reports []*publisher.Report) error {
	already := true
	packs := 0
	for _, r := range reports {
		tellLimit(out, m.Channel, r)
		already = already && r.Already
		tellPacked(out, r)
		packs += len(r.Packs)
	}
	v := map[string]any{"product": m.Product, "version": m.Version, "channel": m.Channel, "already": already, "packs": packs}
	if already {
		return out.Done(cli.OK, v, "%s %s is on %s already", m.Product, m.Version, m.Channel)
	}
	return out.Done(cli.OK, v, "%s %s is on %s now", m.Product, m.Version, m.Channel)
}

// rolloutOf turns a flag into what a Publisher takes.
func rolloutOf(percent int) (*manifest.Rollout, error) {
	switch {
	case percent < 0 || percent > 100:
		return nil, &cli.UsageError{Text: fmt.Sprintf("--rollout %d: want 0 to 100", percent)}
	case percent == 100:
		return nil, nil
	}
	return &manifest.Rollout{Percent: percent}, nil
}
