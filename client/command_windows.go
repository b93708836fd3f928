package client

import "os/exec"

// ownGroup does nothing: the end of cmd's context ends cmd alone.
func ownGroup(*exec.Cmd) {}
