package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/process"
)

// health is what a new release has to show, as the flags say.
type health struct {
	command   string
	within    time.Duration // for the command
	probation client.Probation
}

func (h *health) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&h.command, "health", "", "shell command that tells, in the tree, whether the new release is well; if not, go back")
	f.DurationVar(&h.within, "health-time", time.Minute, "longest time for that command")
	f.DurationVar(&h.probation.Within, "probation", 0, `go back unless "confirm" is called within this time, such as "30m"`)
	f.IntVar(&h.probation.Starts, "starts", 0, `go back unless "confirm" is called before so many starts`)
}

// ask returns the probation for an update. A release whose health is checked is
// on one meanwhile, lest a crash leaves it unchecked for good.
func (h *health) ask() (client.Probation, error) {
	if h.within <= 0 || h.probation.Within < 0 || h.probation.Starts < 0 {
		return h.probation, &cli.UsageError{Text: "--health-time, --probation and --starts: want more than 0"}
	}
	p := h.probation
	if h.command != "" && p == (client.Probation{}) {
		p.Within = h.within
	}
	return p, nil
}

// judge runs the command after an update, and tells what became of the tree.
func (h *health) judge(ctx context.Context, out *cli.Out, c *client.Client, dir string, r *client.Result) error {
	if h.command == "" || r.UpToDate {
		return result(out, "updated", r)
	}
	if err := h.run(ctx, dir); ctx.Err() != nil {
		return ctx.Err() // says nothing of the release, which stays on probation
	} else if err != nil {
		back, err := c.Reject(ctx, fmt.Sprintf("the health check failed: %v", err))
		if err != nil {
			return err
		}
		return returned(out, back)
	}
	if h.probation == (client.Probation{}) {
		if err := c.Confirm(ctx); err != nil {
			return err
		}
	}
	return result(out, "updated", r)
}

// run runs the command. What it prints goes to standard error.
func (h *health) run(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, h.within)
	defer cancel()
	shell := []string{"sh", "-c", h.command}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C", h.command}
	}
	cmd := exec.CommandContext(ctx, shell[0], shell[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	process.Group(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("it took longer than %v", h.within)
	}
	return err
}

// returned tells that a release has failed and the one before is back.
func returned(out *cli.Out, r *client.Result) error {
	s := summaryOf(r)
	return out.Done(cli.Returned, s, "went back %s: %s", way(r.From, r.To), r.Rejected)
}

func confirmVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	cmd := &cobra.Command{
		Use:   "confirm DIR",
		Short: "Say that the installed release is well: its probation ends",
		Args:  oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				if err := c.Confirm(cmd.Context()); err != nil {
					return err
				}
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return out.Done(cli.OK, map[string]string{"installed": version(s.Installed)}, "%s is confirmed", release(s.Installed))
			})
		},
	}
	t.productFlag(cmd.Flags())
	return cmd
}

func probationVerb(out *cli.Out) *cobra.Command {
	t := tree{out: out}
	var starting bool
	cmd := &cobra.Command{
		Use:   "probation [--start] DIR",
		Short: "Look whether a new release has failed its probation; if so, go back",
		Long: `Probation goes back to the release before if the installed one was not confirmed
in time, or started too often before: see "update --probation" and "--starts". A
release that has failed is not taken again, unless by "update --to".

Run it with --start before each start of the program, and without now and then.
The exit code is 70 if it went back.`,
		Args: oneDir,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.each(args[0], func(c *client.Client) error {
				trial, back, err := c.Pending(cmd.Context(), starting)
				switch {
				case err != nil:
					return err
				case back != nil:
					return returned(out, back)
				case trial == nil:
					return out.Done(cli.OK, struct{}{}, "no release is on probation")
				}
				return out.Done(cli.OK, trial, "%s", trialText(trial))
			})
		},
	}
	t.productFlag(cmd.Flags())
	cmd.Flags().BoolVar(&starting, "start", false, "the program is about to start: count it")
	return cmd
}

func trialText(t *client.Trial) string {
	text := t.Version + " is on probation"
	if !t.Until.IsZero() {
		text += " until " + t.Until.Local().Format(time.DateTime)
	}
	if t.Bounded {
		text += ", " + cli.Count(t.Starts, "start", "starts") + " left"
	}
	return text
}
