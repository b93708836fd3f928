package main

import (
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

func resumeVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var o client.ResumeOptions
	var data string
	cmd := &cobra.Command{
		Use:   "resume [--done | --again] [--data V] DIR",
		Short: "Go on with an update that was cut short or has stopped",
		Long: `Resume goes on where an update, restore, rollback or setup was: steps that ended
well do not run again. A step that was cut short and must not run twice needs a
person's word: --done if it has done its work, --again if not.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openToEnd(cmd.Context(), args[0], data)
			if err != nil {
				return err
			}
			o.Update = t.update
			r, err := c.Resume(cmd.Context(), o)
			return ended(out, "finished", r, err)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Done, "done", false, "the step that was cut short has done its work")
	f.BoolVar(&o.Again, "again", false, "it has not, and may run again")
	dataFlag(f, &data)
	t.oneProductFlag(f)
	t.remoteFlags(f)
	t.offlineFlag(f)
	t.runFlags(f)
	return cmd
}

// ended tells what became of a run that was cut short; it may have been none.
func ended(out *cli.Out, word string, r *client.Result, err error) error {
	switch {
	case err != nil:
		return err
	case r.UpToDate:
		return out.Done(cli.OK, summaryOf(r), "nothing is under way; %s is installed", release(r.To))
	case r.Rejected != "":
		return returned(out, r)
	}
	return result(out, word, r)
}
