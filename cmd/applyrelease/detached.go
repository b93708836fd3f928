package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/client/detach"
	"github.com/treegraft-dev/treegraft/internal/cli"
)

// detached is what the flags say about other processes: whom an update waits
// for, and what it starts in the end.
type detached struct {
	background bool
	wait       []string
	patience   time.Duration
	restart    string

	changes []detach.Change
}

func (d *detached) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&d.wait, "wait-pid", nil, "wait until this process has ended: PID or PID@START; may be repeated")
	f.DurationVar(&d.patience, "wait-time", 5*time.Minute, "longest time for that")
	f.StringVar(&d.restart, "restart", "", `start this program of the tree in the end, whatever came of the update; its arguments follow "--"`)
	f.BoolVar(&d.background, "detach", false, "do all that in the background")
}

// args is for verbs with one argument, the install tree, and those of --restart.
func (d *detached) args(cmd *cobra.Command, args []string) error {
	n := cmd.ArgsLenAtDash()
	if n < 0 {
		n = len(args)
	}
	if n < len(args) && d.restart == "" {
		return &cli.UsageError{Text: "arguments behind -- are those of --restart, which is missing"}
	}
	return oneDir(cmd, args[:n])
}

// run runs the update of a tree where and when it is asked for. The first of
// the arguments is the tree, others are those of the program to restart.
func (d *detached) run(cmd *cobra.Command, out *cli.Out, args []string, update func() error) error {
	if d.background {
		return d.start(out, args[0])
	}
	if len(d.wait) == 0 && d.restart == "" {
		return update()
	}
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	j := detach.Job{Dir: dir, Wait: d.wait, Patience: d.patience}
	if d.restart != "" {
		j.Restart = append([]string{d.restart}, args[1:]...)
	}
	return detach.Finish(cmd.Context(), j, func(context.Context) (detach.Outcome, error) {
		err := update()
		return detach.Outcome{Changes: d.changes, Code: int(cli.CodeOf(err))}, err
	})
}

// start starts this command anew, in the background.
func (d *detached) start(out *cli.Out, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := slices.Clone(os.Args[1:])
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	args = append(slices.DeleteFunc(args[:end:end], isDetach), args[end:]...)
	pid, err := detach.Start(detach.Job{Dir: dir}, self, args...)
	if err != nil {
		return err
	}
	return out.Done(cli.OK, map[string]int{"pid": pid}, "process %d does it in the background", pid)
}

func isDetach(arg string) bool { return arg == "--detach" || arg == "--detach=true" }

// note keeps what an update did, for the outcome.
func (d *detached) note(r *client.Result) {
	if r.UpToDate || r.To == nil {
		return
	}
	c := detach.Change{Product: r.To.Product, To: r.To.Version}
	if r.From != nil {
		c.From = r.From.Version
	}
	d.changes = append(d.changes, c)
}
