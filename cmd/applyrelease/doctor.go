package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// finding is what a doctor has found, and what to do about it.
type finding struct {
	client.Finding
	Advice string `json:"advice,omitempty"`
}

func doctorVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "doctor DIR",
		Short: "Look for all that could keep a tree from being updated",
		Long: `Doctor looks at the state of the tree, its files and permissions, its data, the
repository and the clock, and says of each finding what to do. The exit code is
1 if something is not well.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				var ill int
				for _, f := range c.Doctor(cmd.Context()) {
					if f.Well {
						out.Item("finding", finding{Finding: f}, "well   %-12s %s", f.What, f.Detail)
						continue
					}
					ill++
					todo := advice(f.What)
					out.Item("finding", finding{f, todo}, "ILL    %-12s %s\n       %-12s to do: %s", f.What, f.Detail, "", todo)
				}
				code := cli.OK
				if ill > 0 {
					code = cli.Failed
				}
				return out.Done(code, map[string]int{"ill": ill}, "%s", cli.Count(ill, "thing is not well", "things are not well"))
			})
		},
	}
	t.productFlag(cmd.Flags())
	t.remoteFlags(cmd.Flags())
	return cmd
}
