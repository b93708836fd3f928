package main

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
)

// defaultGrace is how long files stay that nothing needs any more.
const defaultGrace = 7 * 24 * time.Hour

func gcVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	c := publisher.Collection{}
	cmd := &cobra.Command{
		Use:   "gc --repo DIR [--keys DIR | --root FILE] [--grace 168h] [--dry-run]",
		Short: "Delete the files of releases that are not listed any more",
		Long: `Gc deletes what no listed release needs: objects, deltas, manifests and indexes of
releases that prune has taken out, metadata that newer versions took the place of,
and what stopped publishes have left. Old roots stay for ever, and so does all
that is not mkrelease's.

A file goes when it has been out of use for the grace time, so that clients which
have begun with older metadata come to their end. A proposal that waits longer for
its signatures loses its files: publish it again before you merge it. Installs of
a release whose files are gone still update, and roll back; to repair them, update
them first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.Grace < 0 {
				return &cli.UsageError{Text: "--grace: want a time of 0 or more"}
			}
			c.Grace = cmp.Or(c.Grace, -1) // for the library, 0 is the default
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			done, err := p.Collect(cmd.Context(), c)
			if err != nil {
				return err
			}
			return tellCollected(out, done, c.DryRun)
		},
	}
	r.flags(cmd)
	cmd.Flags().DurationVar(&c.Grace, "grace", defaultGrace, "how long files stay that nothing needs")
	cmd.Flags().BoolVarP(&c.DryRun, "dry-run", "n", false, "delete nothing, only list what would go")
	return cmd
}

func tellCollected(out *cli.Out, done *publisher.Collected, dry bool) error {
	verb := "Deleted"
	if dry {
		verb = "Would delete"
		for _, f := range done.Files {
			out.Item("file", map[string]any{"name": f.Name, "size": f.Size}, "%s  %s", f.Name, cli.Size(f.Size))
		}
	}
	v := map[string]any{"deleted": len(done.Files), "bytes": done.Bytes, "young": done.Young, "used": done.Used, "dry_run": dry}
	return out.Done(cli.OK, v, "%s %s, %s. %s in use, %d went out of use within the grace time.", verb,
		cli.Count(len(done.Files), "file", "files"), cli.Size(done.Bytes), cli.Count(done.Used, "file is", "files are"), done.Young)
}
