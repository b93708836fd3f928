package main

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
)

func historyVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	return &cobra.Command{
		Use:   "history DIR",
		Short: "List what happened to the tree, oldest first",
		Args:  oneDir,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := t.openAny(args[0])
			if err != nil {
				return err
			}
			entries, err := c.History()
			if err != nil {
				return err
			}
			for _, e := range entries {
				to := cmp.Or(e.To, "nothing")
				if e.From != "" && e.From != e.To {
					to = e.From + " → " + to
				}
				out.Item("event", e, "%s  %-9s  %s %s", e.Time.UTC().Format(time.RFC3339), e.Verb, e.Product, to)
			}
			return out.End(cli.OK, map[string]int{"events": len(entries)})
		},
	}
}
