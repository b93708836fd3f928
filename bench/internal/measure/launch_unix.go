//go:build unix

package measure

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// launchEnv makes a process a launcher. Its arguments are the path of a
// program and all that the program shall see as arguments, and it reports a
// Cost on reportFD.
const launchEnv = "TREEGRAFT_MEASURE_LAUNCH"

const reportFD = 3

// Main turns the process into a launcher if [Run] started it as one, and does
// not return then. Every program that calls Run calls Main first of all, test
// binaries in TestMain.
func Main() {
	if os.Getenv(launchEnv) == "" {
		return
	}
	os.Exit(launch(os.Args[1:]))
}

// launch runs the program and returns its exit code.
func launch(args []string) int {
	syscall.CloseOnExec(reportFD)
	if err := os.Unsetenv(launchEnv); err != nil || len(args) < 2 {
		return 127
	}
	cmd := exec.Cmd{Path: args[0], Args: args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	start := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 127
	}
	b, err := json.Marshal(costOf(cmd.ProcessState, time.Since(start)))
	if err != nil {
		return 127
	}
	report := os.NewFile(reportFD, "report")
	if _, err := report.Write(b); err != nil {
		return 127
	}
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// start runs cmd through a launcher. The child and all that it starts are one
// process group, so that nothing of it outlives its context.
func start(ctx context.Context, cmd *exec.Cmd) (c Cost, err error) {
	if os.Getenv(launchEnv) != "" {
		return c, errors.New("measure.Main was not called")
	}
	if cmd.Err != nil {
		return c, cmd.Err
	}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	report, w, err := os.Pipe()
	if err != nil {
		return c, err
	}
	defer report.Close()
	l := exec.CommandContext(ctx, self)
	l.Args = append([]string{"launcher", cmd.Path}, cmd.Args...)
	l.Dir, l.Stdout, l.Stderr = cmd.Dir, cmd.Stdout, cmd.Stderr
	l.Env = append(cmd.Env, launchEnv+"=1")
	l.ExtraFiles = []*os.File{w}
	l.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.Cancel = func() error { return syscall.Kill(-l.Process.Pid, syscall.SIGKILL) }
	err = l.Run()
	w.Close()
	if b, readErr := io.ReadAll(report); readErr == nil && len(b) > 0 {
		return c, errors.Join(err, json.Unmarshal(b, &c))
	}
	if err == nil {
		err = errors.New("launcher reported nothing")
	}
	return c, err
}
