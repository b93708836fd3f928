package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// state is the summary of status.
type state struct {
	Dir        string `json:"dir"`
	Repository string `json:"repository"`
	Product    string `json:"product"`
	Channel    string `json:"channel"`
	Platform   string `json:"platform"`
	Installed  string `json:"installed,omitempty"`
	Fetched    string `json:"fetched,omitempty"`
	Rollback   string `json:"rollback,omitempty"`
	Busy       string `json:"busy,omitempty"`

	Probation *client.Trial      `json:"probation,omitempty"`
	Rejected  []client.Rejection `json:"rejected,omitempty"`
}

func statusVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "status DIR",
		Short: "Say what is installed, without network",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error { return status(cmd.Context(), out, c) })
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}

func status(ctx context.Context, out *cli.Out, c *client.Client) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	v := state{
		Dir: s.Dir, Repository: s.Repository, Product: s.Product, Channel: s.Channel, Platform: s.Platform,
		Installed: version(s.Installed), Fetched: s.Fetched, Rollback: s.Rollback, Busy: s.Busy,
		Probation: s.Trial, Rejected: s.Rejected,
	}
	probation := ""
	if s.Trial != nil {
		probation = trialText(s.Trial)
	}
	for _, line := range [...]struct{ name, value string }{
		{"folder", v.Dir},
		{"product", v.Product},
		{"installed", cmp.Or(v.Installed, "nothing")},
		{"channel", v.Channel},
		{"platform", v.Platform},
		{"repository", v.Repository},
		{"downloaded", v.Fetched},
		{"way back to", v.Rollback},
		{"probation", probation},
		{"busy", v.Busy},
	} {
		if line.value != "" {
			out.Say("%-12s %s", line.name, line.value)
		}
	}
	for _, r := range s.Rejected {
		out.Say("%-12s %s: %s", "rejected", r.Version, r.Reason)
	}
	return out.End(cli.OK, v)
}
