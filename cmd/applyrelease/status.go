package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/lifecycle"
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
	RolledBack string `json:"rolled_back,omitempty"`
	Busy       string `json:"busy,omitempty"`

	Probation *client.Trial      `json:"probation,omitempty"`
	Rejected  []client.Rejection `json:"rejected,omitempty"`

	State    lifecycle.State  `json:"state"`
	Ways     []string         `json:"ways"`          // verbs that lead on
	Run      *client.Run      `json:"run,omitempty"` // under way
	CutShort bool             `json:"cut_short,omitempty"`
	Hold     *client.Hold     `json:"hold,omitempty"`
	Pin      string           `json:"pin,omitempty"`
	Data     lifecycle.Data   `json:"data"`
	Needs    []lifecycle.Data `json:"needs,omitempty"` // versions that data must be migrated to
	Unfit    string           `json:"unfit,omitempty"`
	Seen     *client.Sighting `json:"seen,omitempty"` // by the last check
}

func statusVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var wait bool
	cmd := &cobra.Command{
		Use:   "status [--wait] DIR",
		Short: "Say what is installed, what goes on, and what can be done, without network",
		Long: `Status says in which state a tree is and which verbs lead on. With --wait it waits
until no process is at work on it. It exits with 21 if data must be migrated
first, 22 if the release cannot work with its data, 71 if an update was cut short
or has stopped, and else with 0.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error { return status(cmd.Context(), out, c, wait) })
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until nobody is at work on the tree")
	t.productFlag(cmd.Flags())
	return cmd
}

// settled returns the status of a tree, if wanted once nobody is at work on it.
func settled(ctx context.Context, out *cli.Out, c *client.Client, wait bool) (*client.Status, error) {
	for told := ""; ; {
		s, err := c.Status(ctx)
		if err != nil || !wait || s.Busy == "" {
			return s, err
		}
		if text := runText(s); text != told {
			out.Note("waiting: %s", cmp.Or(text, s.Busy))
			told = text
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// runText says how far a run is.
func runText(s *client.Status) string {
	r := s.Run
	if r == nil {
		return ""
	}
	text := r.Verb + " of " + r.Product
	if r.From != "" {
		text += " " + r.From + " →"
	}
	text += " " + cmp.Or(r.To, "nothing") + ", phase " + r.Phase
	if r.Step != "" {
		text += ", step " + r.Step
	}
	if r.Back {
		text += ", going back"
	}
	if !r.ETA.IsZero() && !s.CutShort && s.State != lifecycle.Failed {
		text += ", over by " + r.ETA.Local().Format(time.TimeOnly)
	}
	if s.CutShort {
		text += fmt.Sprintf("; process %d, which did it, has ended", r.Owner.PID)
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// stateCode is the exit code for a state.
func stateCode(s *client.Status) cli.Code {
	switch {
	case s.CutShort || s.State == lifecycle.Failed:
		return cli.Unfinished
	case s.State == lifecycle.NeedsMigration && s.Unfit != "":
		return cli.Incompatible
	case s.State == lifecycle.NeedsMigration:
		return cli.Migration
	}
	return cli.OK
}

func status(ctx context.Context, out *cli.Out, c *client.Client, wait bool) error {
	s, err := settled(ctx, out, c, wait)
	if err != nil {
		return err
	}
	v := state{
		Dir: s.Dir, Repository: s.Repository, Product: s.Product, Channel: s.Channel, Platform: s.Platform,
		Installed: version(s.Installed), Fetched: s.Fetched, Rollback: s.Rollback, RolledBack: s.RolledBack, Busy: s.Busy,
		Probation: s.Trial, Rejected: s.Rejected,
		State: s.State, Ways: waysOut(s.State), Run: s.Run, CutShort: s.CutShort, Hold: s.Hold, Pin: s.Pin,
		Data: s.Data, Needs: s.Needs, Unfit: s.Unfit, Seen: s.Seen,
	}
	tellState(out, s, &v)
	return out.End(stateCode(s), v)
}

func tellState(out *cli.Out, s *client.Status, v *state) {
	probation, hold, data, seen, left := "", "", "", "", ""
	if s.RolledBack != "" {
		left = "from " + s.RolledBack + ", by hand"
		if s.Seen == nil || s.Seen.Version != "" {
			left += ": an update takes it again"
		}
	}
	if s.Trial != nil {
		probation = trialText(s.Trial)
	}
	if s.Hold != nil {
		hold = s.Hold.String()
	}
	if s.Data != 0 || len(s.Needs) > 0 {
		data = s.Data.String()
	}
	if n := len(s.Needs); n > 0 {
		data += fmt.Sprintf(", must be migrated to %v first (%s)", s.Needs[n-1], cli.Count(n, "step", "steps"))
	}
	if s.Unfit != "" {
		data += ": " + s.Unfit
	}
	if s.Seen != nil && s.Seen.Version != "" {
		seen = s.Seen.Version
		for _, u := range s.Seen.Unmet {
			seen += "; needs " + u.String()
		}
	}
	for _, line := range [...]struct{ name, value string }{
		{"state", string(v.State)},
		{"run", runText(s)},
		{"folder", v.Dir},
		{"product", v.Product},
		{"installed", cmp.Or(v.Installed, "nothing")},
		{"channel", v.Channel},
		{"platform", v.Platform},
		{"repository", v.Repository},
		{"downloaded", v.Fetched},
		{"way back to", v.Rollback},
		{"rolled back", left},
		{"probation", probation},
		{"data", data},
		{"available", seen},
		{"on hold", hold},
		{"pinned to", v.Pin},
		{"busy", v.Busy},
		{"next", strings.Join(v.Ways, ", ")},
	} {
		if line.value != "" {
			out.Say("%-12s %s", line.name, line.value)
		}
	}
	for _, r := range s.Rejected {
		out.Say("%-12s %s: %s", "rejected", r.Version, r.Reason)
	}
}
