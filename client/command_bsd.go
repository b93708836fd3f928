//go:build unix && !linux

package client

import "syscall"

// dieWithParent does nothing: there is no such call here.
func dieWithParent(*syscall.SysProcAttr) {}
