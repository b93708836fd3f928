//go:build unix

package process

import (
	"os/exec"
	"syscall"
)

// Group has the end of cmd's context end all that cmd has started, too: a shell
// that is killed leaves its commands running.
func Group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
