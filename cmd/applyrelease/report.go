package main

import (
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
)

// summary is the last object of a verb that changes a tree.
type summary struct {
	Product    string `json:"product"`
	From       string `json:"from,omitempty"`
	To         string `json:"to"`
	UpToDate   bool   `json:"up_to_date"`
	Changed    int    `json:"changed"`
	Removed    int    `json:"removed"`
	Downloaded int64  `json:"downloaded"`
	Requests   int    `json:"requests"`

	Hops     []string `json:"hops,omitempty"`     // versions gone through, To the last
	Rejected string   `json:"rejected,omitempty"` // why the release before was left
}

type pathItem struct {
	Path   string `json:"path"`
	Reason string `json:"reason,omitempty"`
}

// result tells what became of a tree. Done is the word for it, such as
// "updated".
func result(out *cli.Out, done string, r *client.Result) error {
	if r.Recovered != "" {
		out.Item("recovered", map[string]string{"text": r.Recovered}, "an earlier run was cut short: %s", r.Recovered)
	}
	for _, p := range r.Missing {
		out.Item("missing", pathItem{Path: p}, "was missing: %s", p)
	}
	for _, c := range r.Config {
		tellConfig(out, c)
	}
	for _, p := range r.Kept {
		out.Item("kept", pathItem{Path: p}, "your version is kept: %s", p)
	}
	for _, f := range r.Fallbacks {
		out.Item("fallback", pathItem{f.Path, f.Reason}, "not as planned: %s: %s", f.Path, f.Reason)
	}
	s := summaryOf(r)
	if r.UpToDate {
		return out.Done(cli.OK, s, "%s is up to date", release(r.To))
	}
	cost := ""
	if r.Requests > 0 { // a way back needs none
		cost = "; downloaded " + cli.Size(r.Downloaded) + " in " + cli.Count(r.Requests, "request", "requests")
	}
	return out.Done(cli.OK, s, "%s %s%s: %s, %d removed%s", done, way(r.From, r.To), byWayOf(r.Hops),
		cli.Count(r.Changed, "file changed", "files changed"), r.Removed, cost)
}

// returned tells that a release has failed and the one before is back.
func returned(out *cli.Out, r *client.Result) error {
	s := summaryOf(r)
	return out.Done(cli.Returned, s, "went back %s: %s", way(r.From, r.To), r.Rejected)
}

// tellConfig tells what became of a settings file.
func tellConfig(out *cli.Out, c client.ConfigChange) {
	text := "your settings stay: " + c.Path
	if c.Merged {
		text = "settings merged: " + c.Path
	}
	if len(c.Conflicts) > 0 {
		text += "; yours stay where both have changed: " + strings.Join(c.Conflicts, ", ")
	}
	if c.Beside != "" {
		text += "; the new ones are in " + c.Beside
	}
	out.Item("config", c, "%s", text)
}

func summaryOf(r *client.Result) summary {
	s := summary{
		From: version(r.From), To: version(r.To), UpToDate: r.UpToDate, Rejected: r.Rejected,
		Changed: r.Changed, Removed: r.Removed, Downloaded: r.Downloaded, Requests: r.Requests,
		Hops: r.Hops,
	}
	for _, facts := range []*manifest.Release{r.From, r.To} {
		if facts != nil {
			s.Product = facts.Product
		}
	}
	return s
}

func tellObstacles(out *cli.Out, list []atomicfs.Obstacle) {
	for _, o := range list {
		out.Item("obstacle", map[string]string{"path": o.Path, "kind": o.Kind, "detail": o.Detail}, "%s", o)
	}
}

func tellDrift(out *cli.Out, d client.Drift) { out.Item("drift", d, "%s", d) }

// release names a release, such as "app 1.2.3".
func release(r *manifest.Release) string {
	if r == nil {
		return "nothing"
	}
	return r.Product + " " + r.Version
}

// way says from where to where, such as "app 1.2.2 → 1.2.3".
func way(from, to *manifest.Release) string {
	switch {
	case from != nil && to == nil:
		return release(from) + " → nothing"
	case from == nil || from.Version == to.Version:
		return release(to)
	}
	return release(from) + " → " + to.Version
}

func version(r *manifest.Release) string {
	if r == nil {
		return ""
	}
	return r.Version
}
