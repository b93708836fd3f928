package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

func diffVerb(out *cli.Out) *cobra.Command {
	var name string
	var making making
	cmd := &cobra.Command{
		Use:   "diff OLD NEW -o DELTA",
		Short: "Make a delta between two files or two trees, without a repository",
		Long: `Diff makes the delta that "applyrelease patch OLD DELTA -o NEW" applies. With
--codec bsdiff40 and two files, any bspatch does.

A delta is not signed.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := making.options()
			if err != nil {
				return err
			}
			o.Events = func(e delta.Event) { out.Progress("diff", e.Done, e.Total) }
			var files []delta.BlobReport
			err = cli.WriteFile(name, 0o644, func(f *os.File) (err error) {
				files, err = diff(cmd.Context(), f, args[0], args[1], o)
				return err
			})
			if err != nil {
				return err
			}
			tellFull(out, files)
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			return out.Done(cli.OK, struct {
				Delta string `json:"delta"`
				Size  int64  `json:"size"`
			}{name, info.Size()}, "made %s: %s", name, cli.Size(info.Size()))
		},
	}
	cmd.Flags().StringVarP(&name, "output", "o", "", "where the delta goes")
	making.flags(cmd)
	cli.Require(cmd, "output")
	return cmd
}

// diff writes a delta to w and tells how it makes each file.
func diff(ctx context.Context, w *os.File, oldName, newName string, o delta.Options) ([]delta.BlobReport, error) {
	oldInfo, err := os.Stat(oldName)
	if err != nil {
		return nil, err
	}
	newInfo, err := os.Stat(newName)
	if err != nil {
		return nil, err
	}
	switch {
	case oldInfo.IsDir() && newInfo.IsDir():
		r, err := publisher.DiffTrees(ctx, w, oldName, newName, o)
		if err != nil {
			return nil, err
		}
		return r.Packs[0].Files, nil
	case !oldInfo.Mode().IsRegular() || !newInfo.Mode().IsRegular():
		return nil, &cli.UsageError{Text: fmt.Sprintf("%s, %s: want two files or two folders", oldName, newName)}
	}
	old, err := fileBlob(oldName)
	if err != nil {
		return nil, err
	}
	new, err := fileBlob(newName)
	if err != nil {
		return nil, err
	}
	if o.Codec == delta.BSDIFF40 {
		return nil, delta.DiffBSDIFF40(ctx, w, old, new)
	}
	r, err := delta.WritePack(ctx, w, []delta.Blob{old}, []delta.Blob{new}, o)
	if err != nil {
		return nil, err
	}
	return r.Blobs, nil
}

// fileBlob describes a file by its content.
func fileBlob(name string) (b delta.Blob, err error) {
	f, err := os.Open(name)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b.Name = name
	b.Open = func() (delta.File, error) { return os.Open(name) }
	b.Digest, b.Size, err = manifest.SumReader(f)
	return b, err
}
