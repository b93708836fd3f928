package client

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent has a command end when we are killed, lest the next run begins
// the same step beside it.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// runHeld runs cmd. To Linux, the parent of a process is a thread, so this one
// must stay.
func runHeld(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
