package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

func inspectVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var product, version string
	files := false
	cmd := &cobra.Command{
		Use:   "inspect --repo DIR --product P --version V | inspect DELTA",
		Short: "Say everything about a release, or about a delta",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1:
				return inspectDelta(out, args[0])
			case r.repo == "" || product == "" || version == "":
				return &cli.UsageError{Text: "want --repo, --product and --version, or a delta"}
			}
			details, err := inspect(cmd.Context(), &r, product, version)
			if err != nil {
				return err
			}
			for _, d := range details {
				if err := tellDetails(out, d, files); err != nil {
					return err
				}
			}
			return out.End(cli.OK, map[string]int{"releases": len(details)})
		},
	}
	r.optionalFlags(cmd) // a delta needs no repository
	cmd.Flags().StringVar(&product, "product", "", "name of the product")
	cmd.Flags().StringVar(&version, "version", "", "its version")
	cmd.Flags().BoolVar(&files, "files", false, "list the release's files")
	return cmd
}

func inspect(ctx context.Context, r *repository, product, version string) ([]publisher.Details, error) {
	p, err := r.reader(ctx)
	if err != nil {
		return nil, err
	}
	details, err := p.Inspect(ctx, product, version)
	if err == nil && len(details) == 0 {
		err = fmt.Errorf("%s %s is not published", product, version)
	}
	return details, err
}

// details is what inspect says about a release, beside its files.
type details struct {
	releaseItem
	Facts   manifest.Release `json:"facts"`
	Entries int              `json:"entries"`
	Content int64            `json:"content"`
	Stored  int64            `json:"stored"`
}

type extraItem struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	File   string `json:"file"` // in the repository
}

type fileItem struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Mode   string `json:"mode,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
	Link   string `json:"link,omitempty"`
}

func tellDetails(out *cli.Out, d publisher.Details, files bool) error {
	m := d.Manifest
	v := details{newReleaseItem(d.Item), m.Release, len(m.Entries), m.Content(), d.Stored}
	facts, err := json.MarshalIndent(v.Facts, "", "  ")
	if err != nil {
		return err
	}
	out.Item("release", v, "%s\n%s, %s; %s stored; %s", facts, cli.Count(v.Entries, "entry", "entries"),
		cli.Size(v.Content), cli.Size(v.Stored), tellPacks(v.Packs))
	for _, t := range d.Extras {
		out.Item("extra", extraItem{t.Name, t.Length, fmt.Sprintf("%x", t.SHA256), t.File()}, "%s: %s, sha256 %x", path.Base(t.Name), cli.Size(t.Length), t.SHA256)
	}
	if !files {
		return nil
	}
	for _, e := range m.Entries {
		f := fileItem{Path: e.Path, Kind: e.Kind.String(), Size: e.Size, Link: e.Link}
		if e.Kind != manifest.Symlink {
			f.Mode = fmt.Sprintf("%04o", e.Mode)
		}
		switch e.Kind {
		case manifest.File:
			f.Digest = e.Digest.String()
			out.Item("entry", f, "%s %10d %.16s %s", f.Mode, f.Size, f.Digest, f.Path)
		case manifest.Symlink:
			out.Item("entry", f, "link %27s %s -> %s", "", f.Path, f.Link)
		default:
			out.Item("entry", f, "%s %27s %s/", f.Mode, "", f.Path)
		}
	}
	return nil
}

// frameItem is one frame of a delta.
type frameItem struct {
	Kind   string `json:"kind"`
	Stored int64  `json:"stored"`
	Old    int    `json:"old"`
	New    int    `json:"new"`
	Makes  int64  `json:"makes"`
}

func inspectDelta(out *cli.Out, name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head, err := delta.ReadHead(f, delta.Limits{})
	if err != nil {
		return fmt.Errorf("inspect %s: %w", name, err)
	}
	total := head.Size
	for _, fr := range head.Frames {
		v := frameItem{Kind: kindName(fr.Kind), Stored: fr.Size, Old: len(fr.Old), New: len(fr.New)}
		for _, n := range fr.New {
			v.Makes += n.Size
		}
		total += fr.Size
		out.Item("frame", v, "%-8s %s makes %s in %s", v.Kind, cli.Size(v.Stored), cli.Size(v.Makes), cli.Count(v.New, "file", "files"))
	}
	return out.Done(cli.OK, map[string]int64{"frames": int64(len(head.Frames)), "old": int64(len(head.Old)), "head": head.Size, "size": total},
		"%s, %s read, head of %s, %s in all", cli.Count(len(head.Frames), "frame", "frames"),
		cli.Count(len(head.Old), "old file", "old files"), cli.Size(head.Size), cli.Size(total))
}
