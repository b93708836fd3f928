//go:build !unix

package measure

import (
	"context"
	"os/exec"
	"time"
)

// Main does nothing here, see the package comment.
func Main() {}

func start(_ context.Context, cmd *exec.Cmd) (Cost, error) {
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return Cost{}, err
	}
	return costOf(cmd.ProcessState, time.Since(began)), err
}
