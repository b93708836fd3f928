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
	var name, codec, level string
	cmd := &cobra.Command{
		Use:   "diff OLD NEW -o DELTA",
		Short: "Make a delta between two files or two trees, without a repository",
		Long: `Diff makes the delta that "applyrelease patch OLD DELTA -o NEW" applies. With
--codec bsdiff40 and two files, any bspatch does.

A delta is not signed.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := deltaOptions(codec, level)
			if err != nil {
				return err
			}
			o.Events = func(e delta.Event) { out.Progress("diff", e.Done, e.Total) }
			err = cli.WriteFile(name, 0o644, func(f *os.File) error {
				return diff(cmd.Context(), f, args[0], args[1], o)
			})
			if err != nil {
				return err
			}
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
	codecFlags(cmd, &codec, &level)
	must(cmd.MarkFlagRequired("output"))
	return cmd
}

func diff(ctx context.Context, w *os.File, oldName, newName string, o delta.Options) error {
	oldInfo, err := os.Stat(oldName)
	if err != nil {
		return err
	}
	newInfo, err := os.Stat(newName)
	if err != nil {
		return err
	}
	switch {
	case oldInfo.IsDir() && newInfo.IsDir():
		_, err := publisher.DiffTrees(ctx, w, oldName, newName, o)
		return err
	case !oldInfo.Mode().IsRegular() || !newInfo.Mode().IsRegular():
		return &cli.UsageError{Text: fmt.Sprintf("%s, %s: want two files or two folders", oldName, newName)}
	}
	old, err := fileBlob(oldName)
	if err != nil {
		return err
	}
	new, err := fileBlob(newName)
	if err != nil {
		return err
	}
	if o.Codec == delta.BSDIFF40 {
		return delta.DiffBSDIFF40(ctx, w, old, new)
	}
	_, err = delta.WritePack(ctx, w, []delta.Blob{old}, []delta.Blob{new}, o)
	return err
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
