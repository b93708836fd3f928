//go:build !linux

package client

import "os/exec"

func runHeld(cmd *exec.Cmd) error { return cmd.Run() }
