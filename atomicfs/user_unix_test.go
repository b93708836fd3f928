//go:build unix

package atomicfs

import (
	"os/exec"
	"syscall"
	"testing"
)

// asNobody has cmd run as an ordinary user.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}
