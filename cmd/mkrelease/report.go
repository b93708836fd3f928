package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
)

// costItem is one delta to a release.
type costItem struct {
	Product   string `json:"product"`
	From      string `json:"from"`
	To        string `json:"to"`
	Platform  string `json:"platform"`
	Size      int64  `json:"size"`
	Head      int64  `json:"head"`
	Content   int64  `json:"content"`
	Unchanged int64  `json:"unchanged"`
}

// partItem is a part of a delta.
type partItem struct {
	From   string   `json:"from"`
	Kind   string   `json:"kind"`
	Stored int64    `json:"stored"`
	Makes  int64    `json:"makes"`
	Paths  []string `json:"paths"`
}

func reportVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var product, version string
	top := 0
	cmd := &cobra.Command{
		Use:   "report --repo DIR --product P --version V",
		Short: "Say which files make the updates to a release large",
		Long: `Report reads back the deltas to a release, and tells what each one costs and for
which files, the dearest first. Files that share a part of a delta are told
together. Files that are stored whole, because no delta was smaller or because
there was no time or memory for one, say "full".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if top < 0 {
				return &cli.UsageError{Text: "--top: want 0 or more"}
			}
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			all, err := p.Costs(cmd.Context(), product, version)
			if err != nil {
				return err
			}
			for _, c := range all {
				tellCosts(out, c, top)
			}
			if len(all) == 0 {
				out.Say("no deltas to %s %s: its users fetch what is new as a whole", product, version)
			}
			return out.End(cli.OK, map[string]int{"deltas": len(all)})
		},
	}
	r.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&product, "product", "", "name of the product")
	f.StringVar(&version, "version", "", "its version")
	f.IntVar(&top, "top", 10, "so many parts of each delta; 0: all")
	cli.Require(cmd, "product", "version")
	return cmd
}

func tellCosts(out *cli.Out, c publisher.Costs, top int) {
	v := costItem{c.To.Product, c.From.Version, c.To.Version, c.To.Platform, c.Size, c.Head, c.Content, c.Unchanged}
	out.Item("delta", v, "%s %s → %s, %s: %s for %s of new content; %s stay as they are", v.Product, v.From, v.To, v.Platform,
		cli.Size(c.Size), cli.Size(c.Content-c.Unchanged), cli.Percent(c.Unchanged, c.Content))
	for i, p := range c.Parts {
		if top > 0 && i == top {
			out.Say("  … and %s", cli.Count(len(c.Parts)-i, "smaller part", "smaller parts"))
			break
		}
		item := partItem{c.From.Version, kindName(p.Kind), p.Stored, p.Makes, p.Paths}
		out.Item("part", item, "  %7s  %8s for %8s  %-8s  %s", cli.Percent(p.Stored, c.Size), cli.Size(p.Stored), cli.Size(p.Makes), item.Kind, names(p.Paths))
	}
}

// maxNames bounds the files that are named in a line.
const maxNames = 3

func names(paths []string) string {
	switch {
	case len(paths) == 0:
		return "(the list of files)"
	case len(paths) > maxNames:
		return strings.Join(paths[:maxNames], ", ") + ", and " + cli.Count(len(paths)-maxNames, "other", "others")
	}
	return strings.Join(paths, ", ")
}

func kindName(k delta.Kind) string {
	switch k {
	case delta.KindFull:
		return "full"
	case delta.KindNative:
		return "native"
	case delta.KindBSDIFF40:
		return "bsdiff40"
	case delta.KindUnpacked:
		return "unpacked"
	}
	return "unknown"
}
