package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func patchVerb(out *cli.Out) *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "patch OLD DELTA -o NEW",
		Short: "Make a new file or tree out of an old one and a delta",
		Long: `Patch applies what "mkrelease diff" made, without a repository. OLD and NEW are
both files or both folders. Files also take deltas of bsdiff.

A delta is not signed: apply only what you trust. One of bsdiff does not even
tell whether it fits the old file.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			if info.IsDir() {
				err = client.PatchTree(cmd.Context(), args[0], args[1], name)
			} else {
				err = patchFile(cmd.Context(), args[0], args[1], name, info.Mode().Perm())
			}
			if err != nil {
				return err
			}
			return out.Done(cli.OK, map[string]string{"new": name}, "made %s", name)
		},
	}
	cmd.Flags().StringVarP(&name, "output", "o", "", "where the new file or tree goes")
	cli.Require(cmd, "output")
	return cmd
}

// patchFile makes a new file, which may replace the old one.
func patchFile(ctx context.Context, oldName, deltaName, newName string, mode fs.FileMode) error {
	old, closeOld, err := openFile(oldName)
	if err != nil {
		return err
	}
	defer closeOld()
	patch, closePatch, err := openFile(deltaName)
	if err != nil {
		return err
	}
	defer closePatch()
	return cli.WriteFile(newName, mode, func(f *os.File) error {
		return delta.PatchFile(ctx, f, old, patch)
	})
}

func openFile(name string) (r *io.SectionReader, closeFile func() error, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return io.NewSectionReader(f, 0, info.Size()), f.Close, nil
}
