package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/pflag"

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

func (h *health) flags(f *pflag.FlagSet) {
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
