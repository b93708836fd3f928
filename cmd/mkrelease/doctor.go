package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
)

func doctorVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	cmd := &cobra.Command{
		Use:   "doctor --repo DIR [--keys DIR | --root FILE]",
		Short: "Say what is wrong with a repository, or soon will be",
		Long: `Doctor looks at signatures and their expiry, keys and thresholds, files that are
missing or of another size, where the channels lead to, clocks, and files that
nothing needs. It exits with 1 if there are faults or warnings; notes are only good
to know. It only lists what is in the store: verify reads all of it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			findings, err := p.Examine(cmd.Context())
			if err != nil {
				return err
			}
			return tellFindings(out, r.repo, findings)
		},
	}
	r.flags(cmd)
	return cmd
}

func tellFindings(out *cli.Out, repo string, findings []publisher.Finding) error {
	n := map[publisher.Level]int{}
	for _, f := range findings {
		n[f.Level]++
		out.Item("finding", f, "%-7s  %s: %s", f.Level, f.About, f.Text)
	}
	v := map[string]int{"faults": n[publisher.Fault], "warnings": n[publisher.Warning], "notes": n[publisher.Note]}
	if v["faults"]+v["warnings"] > 0 {
		return out.Done(cli.Failed, v, "%s has %s and %s", repo,
			cli.Count(v["faults"], "fault", "faults"), cli.Count(v["warnings"], "warning", "warnings"))
	}
	return out.Done(cli.OK, v, "%s is well", repo)
}
