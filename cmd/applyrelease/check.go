package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// availability is the summary of check.
type availability struct {
	Installed  string            `json:"installed"`
	Latest     string            `json:"latest,omitempty"`
	Severity   manifest.Severity `json:"severity,omitempty"`
	Fetched    bool              `json:"fetched"`
	Withdrawn  string            `json:"withdrawn,omitempty"`
	RolledBack string            `json:"rolled_back,omitempty"`
	Route      []string          `json:"route,omitempty"` // versions on the way to Latest, which is the last

	Recommended string             `json:"recommended,omitempty"`
	TooNew      bool               `json:"too_new,omitempty"`
	Passed      []lifecycle.Passed `json:"passed,omitempty"`
}

func checkVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Ask whether there is an update",
		Long: `Check asks the repository what the channel holds. It changes nothing, and exits
with 0 if there is no update, 10 if there is one, 11 if there is one with a
security fix, 12 if it is downloaded and waits to be applied.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error { return check(cmd, out, c, args[0]) })
		},
	}
	t.remoteFlags(cmd.Flags())
	t.fleetFlags(cmd.Flags())
	t.productFlag(cmd.Flags())
	return cmd
}

func check(cmd *cobra.Command, out *cli.Out, c *client.Client, dir string) error {
	a, err := c.Check(cmd.Context())
	if err != nil {
		return err
	}
	v := availability{Installed: version(a.Installed), Severity: a.Severity, Fetched: a.Fetched, Withdrawn: a.Withdrawn, RolledBack: a.RolledBack,
		Route: a.Route, Recommended: a.Recommended, TooNew: a.TooNew, Passed: a.Passed}
	has := release(a.Installed)
	if a.Withdrawn != "" {
		out.Note("%s was withdrawn: %s", has, a.Withdrawn)
	}
	if a.RolledBack != "" {
		again := ""
		if slices.Contains(a.Route, a.RolledBack) {
			again = "; an update takes it again"
		}
		out.Note("somebody went back to %s from %s%s", has, a.RolledBack, again)
	}
	if a.TooNew {
		out.Note("%s is newer than %s, which the channel recommends", has, a.Recommended)
	}
	tellPassed(out, a.Passed)
	if a.Latest == nil {
		return out.Done(cli.OK, v, "%s is up to date", has)
	}
	v.Latest = a.Latest.Version
	switch {
	case a.Fetched:
		return out.Done(cli.Staged, v, "%s is installed, %s is downloaded: applyrelease apply %s", has, a.Route[0], dir)
	case a.Severity == manifest.Security || a.Severity == manifest.Critical:
		return out.Done(cli.Security, v, "%s is installed, %s is available (%s)%s", has, v.Latest, a.Severity, byWayOf(a.Route))
	case a.Severity != manifest.Optional:
		return out.Done(cli.Available, v, "%s is installed, %s is available (%s)%s", has, v.Latest, a.Severity, byWayOf(a.Route))
	}
	return out.Done(cli.Available, v, "%s is installed, %s is available%s", has, v.Latest, byWayOf(a.Route))
}

// byWayOf tells the stops of a route, whose end is told already.
func byWayOf(route []string) string {
	if len(route) < 2 {
		return ""
	}
	return ", by way of " + strings.Join(route[:len(route)-1], ", ")
}

// tellPassed tells why newer releases are not for this install.
func tellPassed(out *cli.Out, passed []lifecycle.Passed) {
	for _, p := range passed {
		out.Note("%s is not taken by itself: %s", p.Version, p.Reason)
	}
}
