package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

// releaseItem is one published release.
type releaseItem struct {
	Product  string            `json:"product"`
	Version  string            `json:"version"`
	Sequence uint64            `json:"sequence"`
	Platform string            `json:"platform"`
	Channels []string          `json:"channels"`
	Severity manifest.Severity `json:"severity,omitempty"`
	Barrier  bool              `json:"barrier,omitempty"`
	Strict   bool              `json:"strict,omitempty"`
	Packs    []packItem        `json:"packs"`

	CriticalSince string                      `json:"critical_since,omitempty"`
	Unstable      bool                        `json:"unstable,omitempty"`
	Recommended   []string                    `json:"recommended,omitempty"`
	Rollout       map[string]manifest.Rollout `json:"rollout,omitempty"`

	Withdrawn string `json:"withdrawn,omitempty"`
	Retreat   bool   `json:"retreat,omitempty"`
}

type packItem struct {
	From string `json:"from"`
	Size int64  `json:"size"`
	Name string `json:"name"`
}

func listVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	product := ""
	cmd := &cobra.Command{
		Use:   "list --repo DIR [--product P]",
		Short: "List what is published",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			items, err := p.List(cmd.Context(), product)
			if err != nil {
				return err
			}
			for _, it := range items {
				v := newReleaseItem(it)
				out.Item("release", v, "%s %s  #%d  %s  %s  %s", v.Product, v.Version, v.Sequence, v.Platform,
					strings.Join(v.Channels, ","), tellState(&v))
			}
			return out.End(cli.OK, map[string]int{"releases": len(items)})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&product, "product", "", "only this product")
	return cmd
}

func newReleaseItem(it publisher.Item) releaseItem {
	v := releaseItem{
		Product: it.Product, Version: it.Version, Sequence: it.Sequence, Platform: it.Platform,
		Channels: it.Channels, Severity: it.Severity, Barrier: it.Barrier, Strict: it.Strict, Packs: []packItem{},
		CriticalSince: it.CriticalSince, Unstable: it.Unstable, Recommended: it.Recommended, Rollout: it.Rollout,
		Withdrawn: it.Withdrawn, Retreat: it.Retreat,
	}
	if it.Index != nil {
		for _, p := range it.Index.Packs {
			v.Packs = append(v.Packs, packItem{p.From, p.Size, p.Name})
		}
	}
	return v
}

func tellState(v *releaseItem) string {
	words := []string{tellPacks(v.Packs)}
	if v.Withdrawn != "" {
		words[0] = "withdrawn: " + v.Withdrawn
	}
	for _, f := range []struct {
		on   bool
		word string
	}{{v.Barrier, "barrier"}, {v.Strict, "strict"}, {v.CriticalSince != "", "critical since " + v.CriticalSince}, {v.Unstable, "unstable"}} {
		if f.on {
			words = append(words, f.word)
		}
	}
	for _, c := range v.Channels {
		if slices.Contains(v.Recommended, c) {
			words = append(words, "recommended on "+c)
		}
		if r, limited := v.Rollout[c]; limited {
			words = append(words, c+": "+tellRollout(r))
		}
	}
	return strings.Join(words, "; ")
}

func tellPacks(packs []packItem) string {
	if len(packs) == 0 {
		return "no deltas"
	}
	words := make([]string, len(packs))
	for i, p := range packs {
		words[i] = p.From + " (" + cli.Size(p.Size) + ")"
	}
	return "deltas from " + strings.Join(words, ", ")
}
