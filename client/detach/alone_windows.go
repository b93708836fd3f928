package detach

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// alone gives a process a group of its own, without a console.
func alone() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS, HideWindow: true}
}
