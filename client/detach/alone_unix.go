//go:build unix

package detach

import "syscall"

// alone gives a process a session of its own, without a terminal.
func alone() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
