package client

import (
	"os/exec"
	"runtime"
	"syscall"
)

// runHeld runs cmd, whose attributes are set, and has it end when we are killed,
// lest the next run begins the same step beside it. To Linux, the parent of a
// process is a thread, so this one must stay.
func runHeld(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
