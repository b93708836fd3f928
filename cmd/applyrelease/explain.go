package main

import (
	"errors"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

// A wayError came up after the tree had been brought to a release on the way.
type wayError struct {
	error
	to *manifest.Release
}

func (e *wayError) Unwrap() error { return e.error }

// onTheWay adds to an error how far a verb came that goes step by step.
func onTheWay(r *client.Result, err error) error {
	if err == nil || r == nil || version(r.From) == version(r.To) {
		return err
	}
	return &wayError{err, r.To}
}

// unchanged says what was changed before an error that came up before any change
// of its own step.
func unchanged(err error) string {
	var way *wayError
	if errors.As(err, &way) {
		return "Nothing was changed after that."
	}
	return "Nothing was changed."
}

// explain adds to an error what its one line has no room for, and what to do.
func explain(out *cli.Out, err error) string {
	var way *wayError
	if errors.As(err, &way) {
		out.Note("It came as far as %s.", release(way.to))
	}
	if list := driftOf(err); list != nil {
		for _, d := range list {
			tellDrift(out, d)
		}
		out.Note("%s With --force, what is there stays beside as NAME.kept.", unchanged(err))
		return cli.Count(len(list), "local change is in the way", "local changes are in the way")
	}
	if told := explainRun(out, err); told {
		return err.Error()
	}
	var preflight *atomicfs.PreflightError
	var expired *trust.ExpiredError
	var damaged *client.DamagedError
	switch {
	case errors.As(err, &damaged):
		out.Note("No crash damages that: the disk, or somebody, did. To fetch it again: applyrelease repair DIR")
	case errors.As(err, &preflight):
		tellObstacles(out, preflight.Obstacles)
		out.Note("%s", unchanged(err))
	case errors.As(err, &expired):
		out.Note("What is installed is not touched and keeps working; its publisher must sign anew.")
	case errors.Is(err, client.ErrNotInstalled):
		out.Note("To begin: applyrelease install --repo DIR|URL --root root.json --product P DIR")
	case errors.Is(err, client.ErrDowngrade):
		out.Note("If that is wanted, say --downgrade.")
	case errors.Is(err, client.ErrOffline):
		out.Note("To get it: applyrelease fetch DIR")
	case errors.Is(err, atomicfs.ErrNoSnapshot):
		out.Note("To bring back a release from the repository: applyrelease restore VERSION DIR")
	case errors.Is(err, atomicfs.ErrDamagedJournal):
		out.Note("No crash damages a journal: the disk, or somebody, did. Remove that file, then: applyrelease repair DIR")
	case errors.Is(err, atomicfs.ErrReadOnly):
		out.Note("Where the tree can be written to, any command finishes, or takes back, what was cut short: applyrelease status DIR")
	case errors.Is(err, atomicfs.ErrNeedsRecovery):
		out.Note("Run the command again: it first finishes, or takes back, what was begun.")
	}
	return err.Error()
}

// driftOf returns the whole list of local changes, whether they were found
// before the update or at its last moment.
func driftOf(err error) []client.Drift {
	var early *client.DriftError
	var late *atomicfs.DriftError
	switch {
	case errors.As(err, &early):
		return early.Drift
	case errors.As(err, &late):
		list := make([]client.Drift, len(late.Drift))
		for i, d := range late.Drift {
			list[i] = client.Drift{Path: d.Path, Want: d.Want.String(), Got: d.Got.String()}
		}
		return list
	}
	return nil
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
		out.Note("%s", unchanged(err))
	case errors.As(err, &busy):
		for _, p := range busy.Left {
			out.Item("busy", p, "%s", p)
		}
		out.Note("%s What has --evict ends them: update, apply, setup, restore, resume.", unchanged(err))
	default:
		return explainPeople(out, err)
	}
	return true
}

// explainPeople tells what somebody has to say before it goes on.
func explainPeople(out *cli.Out, err error) bool {
	var held *client.HeldError
	var approval *client.ApprovalError
	var incompatible *client.IncompatibleError
	switch {
	case errors.As(err, &held):
		out.Note("A hold of the user's own is lifted by: applyrelease unhold DIR")
	case errors.As(err, &approval):
		out.Note("To approve it: applyrelease approve --to %s DIR", approval.Version)
	case errors.As(err, &incompatible):
		out.Note("%s If the data has been brought to another version by hand, say so with --data.", unchanged(err))
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
