//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// killAll has the end of cmd's context kill all that it has started, too: a
// shell that is killed leaves its commands running.
func killAll(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
