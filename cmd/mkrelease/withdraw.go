package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
)

func withdrawVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var w publisher.Withdrawal
	restore := false
	cmd := &cobra.Command{
		Use:   "withdraw --repo DIR --keys DIR --product P --version V --reason TEXT",
		Short: "Take a release back",
		Long: `Withdraw signs that nobody is to install a release any more, and why. Installs
that have it are told so by "applyrelease check", and stay on it until something
newer is published; with --retreat they go back to the newest release that
stands, by their next update. Nothing is deleted. With --restore the release
stands again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if restore == (w.Reason != "") || restore && w.Retreat {
				return &cli.UsageError{Text: "want --reason TEXT, with or without --retreat, or else --restore alone"}
			}
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.Withdraw(cmd.Context(), w); err != nil {
				return err
			}
			text := "%s %s is withdrawn."
			if restore {
				text = "%s %s stands again."
			}
			return out.Done(cli.OK, map[string]any{"product": w.Product, "version": w.Version, "withdrawn": w.Reason, "retreat": w.Retreat},
				text, w.Product, w.Version)
		},
	}
	r.signFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&w.Product, "product", "", "product of the release")
	f.StringVar(&w.Version, "version", "", "version of the release, on all platforms")
	f.StringVar(&w.Reason, "reason", "", "why, for the people who have it")
	f.BoolVar(&w.Retreat, "retreat", false, "installs that have it go back to an older release")
	f.BoolVar(&restore, "restore", false, "let the release stand again")
	cli.Require(cmd, "product", "version")
	return cmd
}
