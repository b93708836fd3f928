package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/cmd/mkrelease/demo"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func demoVerb(out *cli.Out) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Publish, install, update, verify and roll back two small releases",
		Long: `Demo shows the main job in a temporary folder: it publishes two releases that it
brings along, serves them on this machine, installs, updates, verifies and rolls
back, and meets a forger. Each step is checked; the demo succeeds only if all
are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			steps := 0
			err := demo.Run(cmd.Context(), demo.Options{
				Rehearse: rehearse,
				Size:     cli.Size,
				Say: func(text string) {
					steps++
					out.Item("step", map[string]string{"text": text}, "%s", text)
				},
			})
			if err != nil {
				return err
			}
			return out.Done(cli.OK, map[string]int{"steps": steps}, "All %d steps were checked and are right.", steps)
		},
	}
}
