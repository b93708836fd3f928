package main

import (
	"errors"

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
			c, err := t.openRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := setData(cmd.Context(), c, data); err != nil {
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

func abortVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var data string
	cmd := &cobra.Command{
		Use:   "abort [--data V] DIR",
		Short: "Take back an update that was cut short or has stopped",
		Long: `Abort goes back to the release before: migrations down, in reverse order, then the
files. Where a migration has no way back and the release before cannot work with
what it made, bring the data back from a backup and say which version that is,
with --data.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.openRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := setData(cmd.Context(), c, data); err != nil {
				return err
			}
			r, err := c.Abort(cmd.Context())
			return ended(out, "taken back", r, err)
		},
	}
	dataFlag(cmd.Flags(), &data)
	t.oneProductFlag(cmd.Flags())
	return cmd
}

// explainRun tells what a person can do about a run, or about what keeps one from
// beginning. It reports whether it knew.
func explainRun(out *cli.Out, err error) bool {
	var stopped *client.StoppedError
	var returned *client.ReturnedError
	var blocked *client.BlockedError
	var busy *client.BusyError
	switch {
	case errors.As(err, &stopped):
		tellOutput(out, stopped.Run.Output)
		tellWays(out, &stopped.Run)
	case errors.As(err, &returned):
		tellOutput(out, returned.Output)
		out.Note("To try it once more: applyrelease update --to %s DIR", returned.From)
	case errors.As(err, &blocked):
		for _, u := range blocked.Unmet {
			out.Item("unmet", u, "%s", u)
		}
		out.Note("Nothing was changed.")
	case errors.As(err, &busy):
		for _, p := range busy.Left {
			out.Item("busy", p, "%s", p)
		}
		out.Note("Nothing was changed. With --evict they are ended.")
	default:
		return explainPeople(out, err)
	}
	return true
}

func explainPeople(out *cli.Out, err error) bool {
	var held *client.HeldError
	var approval *client.ApprovalError
	var incompatible *client.IncompatibleError
	var migration *client.NeedsMigrationError
	switch {
	case errors.As(err, &held):
		out.Note("A hold of the user's own is lifted by: applyrelease unhold DIR")
	case errors.As(err, &approval):
		out.Note("To approve it: applyrelease approve --to %s DIR", approval.Version)
	case errors.As(err, &migration):
		out.Note("To migrate it: applyrelease setup DIR")
	case errors.As(err, &incompatible):
		out.Note("Nothing was changed. If the data has been brought to another version by hand, say so with --data.")
	default:
		return false
	}
	return true
}

func tellOutput(out *cli.Out, lines []string) {
	for _, l := range lines {
		out.Note("  | %s", l)
	}
}

// tellWays spells out the choices of who has to decide.
func tellWays(out *cli.Out, r *client.Run) {
	out.Note("The gate is closed: programs of the tree do not start. The choices:")
	if r.Begun != "" {
		out.Note("  applyrelease resume --done DIR    %s has done its work: go on after it", r.Begun)
		out.Note("  applyrelease resume --again DIR   it has not: run it again")
	} else {
		out.Note("  applyrelease resume DIR           go on, once the cause is gone")
	}
	out.Note("  applyrelease abort DIR            go back, if every migration has a way back")
	out.Note("  applyrelease rollback --data %s DIR   go back, after the data was brought back from a backup", r.Data)
}
