package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/lifecycle"
)

// planned is the summary of plan and fetch.
type planned struct {
	Product  string `json:"product"`
	From     string `json:"from,omitempty"`
	To       string `json:"to"`
	Changed  int    `json:"changed"`
	Removed  int    `json:"removed"`
	Download int64  `json:"download"`
	Fetched  int64  `json:"fetched"`
	Reuse    int64  `json:"reuse"`
	Content  int64  `json:"content"`
	Space    int64  `json:"space"`
	Drift    int    `json:"drift"`
	Blocked  int    `json:"obstacles"`
	UpToDate bool   `json:"up_to_date"`

	Route  []string           `json:"route,omitempty"` // versions on the way, To the first
	Passed []lifecycle.Passed `json:"passed,omitempty"`
}

func planVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	steps := false
	cmd := &cobra.Command{
		Use:   "plan [--to V] DIR",
		Short: "Say what an update would do, and what it would cost",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				p, err := c.Plan(cmd.Context(), t.update)
				if err != nil {
					return err
				}
				if steps {
					for _, s := range p.Steps {
						out.Item("step", s, "%-6s %s (%s)", s.Action, s.Path, cli.Size(s.Size))
					}
				}
				return tellPlan(out, p)
			})
		},
	}
	t.remoteFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	t.releaseFlags(cmd.Flags())
	t.offlineFlag(cmd.Flags())
	cmd.Flags().BoolVar(&steps, "steps", false, "list every step")
	return cmd
}

// migration is a step that the data needs.
type migration struct {
	From    lifecycle.Data `json:"from"`
	To      lifecycle.Data `json:"to"`
	Command []string       `json:"command"`
}

func tellPlan(out *cli.Out, p *client.Plan) error {
	for _, d := range p.Drift {
		tellDrift(out, d)
	}
	if len(p.Drift) > 0 {
		out.Note("%s in the way: an update refuses, or with --force keeps what is there beside.",
			cli.Count(len(p.Drift), "local change is", "local changes are"))
	}
	if tellObstacles(out, p.Obstacles); len(p.Obstacles) > 0 {
		out.Note("%s in the way: an update refuses.", cli.Count(len(p.Obstacles), "obstacle is", "obstacles are"))
	}
	for _, u := range p.Unmet {
		out.Item("unmet", u, "missing: %s", u)
	}
	for _, m := range p.Migrations {
		out.Item("migration", migration{m.From, m.To, m.Command}, "migrates data from %v to %v", m.From, m.To)
	}
	if p.Unfit != nil {
		out.Item("unfit", map[string]string{"reason": p.Unfit.Error()}, "incompatible: %v", p.Unfit)
	}
	tellPassed(out, p.Passed)
	if len(p.Route) > 1 {
		out.Note("The way is %s → %s: this is the first part.", release(p.From), strings.Join(p.Route, " → "))
	}
	v := summarize(p)
	if p.UpToDate() {
		return out.Done(cli.OK, v, "%s is up to date", release(p.To))
	}
	return out.Done(cli.OK, v, "%s: %s", way(p.From, p.To), sentence(p))
}

// sentence says what a plan costs, as one would tell a person.
func sentence(p *client.Plan) string {
	v := summarize(p)
	parts := []string{
		"re-uses " + cli.Percent(p.Reuse, p.Content),
		"downloads " + cli.Size(p.Download),
	}
	if p.Fetched > 0 {
		parts[1] += " (" + cli.Size(p.Fetched) + " are here already)"
	}
	parts = append(parts,
		"needs "+cli.Size(p.Space)+" free",
		cli.Count(v.Changed, "file changes", "files change"),
		cli.Count(v.Removed, "removed", "removed"))
	return strings.Join(parts, ", ")
}

func summarize(p *client.Plan) planned {
	v := planned{
		From: version(p.From), To: version(p.To), Download: p.Download, Fetched: p.Fetched,
		Reuse: p.Reuse, Content: p.Content, Space: p.Space, Drift: len(p.Drift), Blocked: len(p.Obstacles), UpToDate: p.UpToDate(),
		Route: p.Route, Passed: p.Passed,
	}
	if p.To != nil {
		v.Product = p.To.Product
	}
	for _, s := range p.Steps {
		if s.Action == client.Delete {
			v.Removed++
		} else {
			v.Changed++
		}
	}
	return v
}
