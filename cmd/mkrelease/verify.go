package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func verifyVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	quick := false
	cmd := &cobra.Command{
		Use:   "verify --repo DIR [--keys DIR | --root FILE]",
		Short: "Read the whole repository and compare it with what was signed",
		Long: `Verify reads every file that the signed metadata names, and the copy of
root.json, lists all that are missing or not what was signed, and then exits
with 32.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			faults, err := p.Verify(cmd.Context(), !quick)
			if err != nil {
				return err
			}
			tellFaults(out, faults)
			v := map[string]int{"faults": len(faults)}
			if len(faults) > 0 {
				return out.Done(cli.Mismatch, v, "%s has %s", r.repo, cli.Count(len(faults), "fault", "faults"))
			}
			return out.Done(cli.OK, v, "%s is intact", r.repo)
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&quick, "quick", false, "do not decompress objects")
	return cmd
}
