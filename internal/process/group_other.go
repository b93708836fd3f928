//go:build !unix

package process

import "os/exec"

// Group does nothing: the end of cmd's context ends cmd alone.
func Group(*exec.Cmd) {}
