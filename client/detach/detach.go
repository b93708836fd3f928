// Package detach updates a program that runs, and starts it anew: a helper
// process waits until the program is gone, applies the update, keeps what came
// of it for the program to read, and starts the program.
//
// A program with the package client in it is its own helper:
//
//	func main() {
//		if job, ok := detach.Inherited(); ok {
//			err := detach.Finish(ctx, job, func(ctx context.Context) (detach.Outcome, error) {
//				r, err := c.Update(ctx, client.UpdateOptions{})
//				…
//			})
//			…
//		}
//		last, err := detach.Last(dir) // what came of it, if anything
//		…
//		// To update: start the helper, then end.
//		pid, err := detach.Start(detach.Job{Dir: dir, Restart: []string{"bin/app", "serve"}}, exe)
//	}
//
// The command applyrelease does the same with --detach, --wait-pid and --restart.
//
// # Invariants
//
//   - Nothing is applied while one of the processes lives. They are known by
//     when they began, so that a number used again is no other process.
//   - The outcome is durable before the program is started, and the program is
//     started whatever the outcome: an update that fails leaves the old one.
//   - The helper has a session of its own and no terminal: neither the end of
//     the program nor that of its terminal ends it.
//
// # Limits
//
// A service manager that ends all processes of a service ends the helper, too:
// under systemd let another unit run the update, or set KillMode=process. The
// helper's output and the program's go to .treegraft/detached.log, which each
// Start begins anew.
package detach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/process"
)

// A Job is what a helper has to do.
type Job struct {
	Dir string `json:"dir"` // the install tree

	// Wait lists the processes that must be gone first, as PID or PID@START, see
	// Self. For Start, none means the calling process.
	Wait     []string      `json:"wait"`
	Patience time.Duration `json:"patience,omitempty"` // with them; default: five minutes

	// Restart is the program to start in the end, and its arguments. A name
	// with a slash, or that of a file in the tree, is one of the tree; others
	// are looked for on the PATH. It runs in the tree. None starts nothing.
	Restart []string `json:"restart,omitempty"`
}

// An Outcome is what came of a job.
type Outcome struct {
	Time    time.Time `json:"time"`
	Changes []Change  `json:"changes,omitempty"` // none if all was up to date
	Error   string    `json:"error,omitempty"`
	Code    int       `json:"code,omitempty"` // the exit code that the command has for the error
}

// A Change is a product that changed.
type Change struct {
	Product string `json:"product"`
	From    string `json:"from,omitempty"` // versions
	To      string `json:"to"`
}

// A RunningError says which processes did not end in time.
type RunningError struct{ PIDs []int }

// Error tells their numbers.
func (e *RunningError) Error() string {
	return fmt.Sprintf("wait for processes to end: still there: %v", e.PIDs)
}

// jobVariable hands a job to the helper.
const jobVariable = "TREEGRAFT_JOB"

// Names in the state folder.
const (
	outcomeName = "detached.json"
	logName     = "detached.log"
	copyName    = "detached.exe"
)

// Self names the calling process for Job.Wait.
func Self() string { return process.Self().String() }

// Inherited returns the job that the calling process was started for by Start.
func Inherited() (j Job, ok bool) {
	text, ok := os.LookupEnv(jobVariable)
	if !ok {
		return j, false
	}
	err := json.Unmarshal([]byte(text), &j)
	return j, err == nil && j.Dir != ""
}

// Start starts a helper in the background: a program, and its arguments. It
// returns the number of its process.
func Start(j Job, program string, args ...string) (pid int, err error) {
	pid, err = start(j, program, args)
	if err != nil {
		return 0, fmt.Errorf("start a detached update: %w", err)
	}
	return pid, nil
}

func start(j Job, program string, args []string) (int, error) {
	var err error
	if j.Dir, err = filepath.Abs(j.Dir); err != nil {
		return 0, err
	}
	if len(j.Wait) == 0 {
		j.Wait = []string{Self()}
	}
	b, err := json.Marshal(&j)
	if err != nil {
		return 0, err
	}
	if program, err = outside(j.Dir, program); err != nil {
		return 0, err
	}
	log, err := openLog(j.Dir, os.O_TRUNC)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(environment(), jobVariable+"="+string(b))
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, alone()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid // Release forgets it
	return pid, cmd.Process.Release()
}

// outside returns a program that can be run while the tree changes: on Windows a
// running one can be neither replaced nor removed, so one of the tree is copied.
func outside(dir, program string) (string, error) {
	if runtime.GOOS != "windows" {
		return program, nil
	}
	abs, err := filepath.Abs(program)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(dir, abs); err != nil || !filepath.IsLocal(rel) {
		return program, nil
	}
	return copyTo(statePath(dir, copyName), abs)
}

func copyTo(name, from string) (string, error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	return name, errors.Join(err, out.Close())
}

// Finish does a job: it waits, runs update, keeps the outcome, and starts the
// program. Where processes do not end in time, that is the outcome, a
// *[RunningError]; nothing is applied then, and nothing started.
func Finish(ctx context.Context, j Job, update func(context.Context) (Outcome, error)) error {
	if err := j.wait(ctx); err != nil {
		return errors.Join(err, keep(j.Dir, Outcome{Error: err.Error()}))
	}
	o, err := update(ctx)
	if err != nil {
		o.Error = err.Error()
	}
	// A program that is not started since its outcome could not be kept would
	// help nobody.
	return errors.Join(err, keep(j.Dir, o), j.restart())
}

// wait waits for all processes.
func (j *Job) wait(ctx context.Context) error {
	patience := j.Patience
	if patience <= 0 {
		patience = 5 * time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var still []int
	for _, text := range j.Wait {
		id, err := process.Parse(text)
		if err != nil {
			return err
		}
		if id.PID == os.Getpid() {
			return fmt.Errorf("wait for process %d: that is the one that would wait", id.PID)
		}
		err = id.Wait(limited)
		switch {
		case ctx.Err() != nil:
			return err
		case errors.Is(err, context.DeadlineExceeded):
			still = append(still, id.PID)
		case err != nil:
			return err
		}
	}
	if len(still) > 0 {
		return &RunningError{PIDs: still}
	}
	return nil
}

// restart starts the program, which outlives the helper.
func (j *Job) restart() error {
	if len(j.Restart) == 0 {
		return nil
	}
	log, err := openLog(j.Dir, os.O_APPEND)
	if err != nil {
		return fmt.Errorf("restart %s: %w", j.Restart[0], err)
	}
	defer log.Close()
	cmd := exec.Command(j.program(), j.Restart[1:]...)
	cmd.Dir, cmd.Env = j.Dir, environment()
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, alone()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return cmd.Process.Release()
}

func (j *Job) program() string {
	name := j.Restart[0]
	if filepath.IsAbs(name) {
		return name
	}
	inTree := filepath.Join(j.Dir, filepath.FromSlash(name))
	if _, err := os.Stat(inTree); err == nil || strings.ContainsAny(name, `/\`) {
		return inTree
	}
	return name
}

// environment is that of this process without the job.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, jobVariable+"=") })
}

func statePath(dir, name string) string { return filepath.Join(dir, atomicfs.StateDir, name) }

func openLog(dir string, flag int) (*os.File, error) {
	return os.OpenFile(statePath(dir, logName), os.O_CREATE|os.O_WRONLY|os.O_APPEND|flag, 0o600)
}

// keep makes an outcome durable.
func keep(dir string, o Outcome) error {
	if o.Time.IsZero() {
		o.Time = time.Now().UTC().Truncate(time.Second)
	}
	b, err := json.MarshalIndent(&o, "", "\t")
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(statePath(dir, outcomeName), append(b, '\n'), 0o600)
}

// maxOutcome bounds what is read of an outcome.
const maxOutcome = 1 << 20

// Last returns the outcome of the last job of a tree, or nil if there was none.
func Last(dir string) (*Outcome, error) {
	o, err := last(statePath(dir, outcomeName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the outcome of an update: %w", err)
	}
	return o, nil
}

func last(name string) (*Outcome, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var o Outcome
	if err := json.NewDecoder(io.LimitReader(f, maxOutcome)).Decode(&o); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &o, nil
}
