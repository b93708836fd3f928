package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func installVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "install --repo DIR|URL --root root.json --product P [--version V] DIR",
		Short: "Install a release into a folder",
		Long: `Install brings a folder to a release of a product, and remembers there where it
came from. Files that are in the folder already stay, and are refused if they
are in the way.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.open(args[0])
			if err != nil {
				return err
			}
			r, err := c.Install(cmd.Context(), t.update)
			if err != nil {
				return err
			}
			return result(out, "installed", r)
		},
	}
	f := cmd.Flags()
	t.remoteFlags(f)
	t.forceFlag(f)
	t.strategyFlag(f)
	f.StringVar(&t.options.Product, "product", "", "product to install")
	f.StringVar(&t.options.Channel, "channel", "", "channel to follow (default: stable)")
	f.StringVar(&t.options.Platform, "platform", "", "GOOS-GOARCH, or any (default: this machine's)")
	f.Uint64Var(&t.options.Floor, "floor", 0, "sequence below which no release is ever installed without --downgrade")
	f.StringVar(&t.update.Version, "version", "", "version to install (default: the newest of the channel)")
	for _, name := range []string{"repo", "root", "product"} {
		must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

// must is for what only a mistake in this program can break.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
