package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

// defaultKeep is how many releases a publish leaves listed. Clients read some
// 700 bytes for each of them whenever there is something new.
const defaultKeep = 50

func pruneVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	product, keep := "", 0
	cmd := &cobra.Command{
		Use:   "prune --repo DIR --keys DIR --product P [--keep N]",
		Short: "List fewer old releases",
		Long: `Prune takes old releases out of the signed listing of a product, which clients
read whenever something is new. On each channel and platform the newest stay, and
those that tell clients what to do: barriers, and the newest of each severity. No
file is deleted: gc does that later. Installs of old releases go on from where they
are. Publish does the same with --keep.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			n, err := p.Prune(cmd.Context(), product, keep)
			if err != nil {
				return err
			}
			return out.Done(cli.OK, map[string]any{"product": product, "pruned": n}, "%s less of %s.", cli.Count(n, "release", "releases"), product)
		},
	}
	r.signFlags(cmd)
	cmd.Flags().StringVar(&product, "product", "", "product whose listing gets shorter")
	cmd.Flags().IntVar(&keep, "keep", defaultKeep, "how many stay on each channel and platform")
	cli.Require(cmd, "product")
	return cmd
}
