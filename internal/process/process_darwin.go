package process

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}

func space() string { return "" }

func look(pid int) (start uint64, running bool, err error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EIO) { // EIO: an empty answer
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	const zombie = 5 // SZOMB of sys/proc.h
	t := p.Proc.P_starttime
	return uint64(t.Sec)*1e6 + uint64(t.Usec), int(p.Proc.P_pid) == pid && p.Proc.P_stat != zombie, nil
}

func (id ID) wait(ctx context.Context) error { return id.waitByLooking(ctx) }

// stop looks right before it sends: macOS has no handles of processes.
func (id ID) stop(kill bool) error {
	switch id.State() {
	case Gone:
		return os.ErrProcessDone
	case Unknown:
		return ErrUnknown
	}
	signal := unix.SIGTERM
	if kill {
		signal = unix.SIGKILL
	}
	if err := unix.Kill(id.PID, signal); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}
