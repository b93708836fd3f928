package process

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// bootID is not needed: the start of a process is an absolute time here, which
// tells those before a restart from those after it.
func bootID() string { return "" }

func space() string { return "" }

func look(pid int) (start uint64, running bool, err error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, uint32(pid))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer windows.CloseHandle(h)
	return lookAt(h)
}

func lookAt(h windows.Handle) (start uint64, running bool, err error) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return 0, false, err
	}
	event, err := windows.WaitForSingleObject(h, 0)
	return uint64(created.Nanoseconds()), event == uint32(windows.WAIT_TIMEOUT), err
}

// open returns a handle of the process, and not of one that got its number.
func (id ID) open(access uint32) (windows.Handle, error) {
	h, err := windows.OpenProcess(access|windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, uint32(id.PID))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return 0, os.ErrProcessDone
	}
	if err != nil {
		return 0, err
	}
	start, running, err := lookAt(h)
	if err == nil && (!running || id.Start != 0 && start != id.Start) {
		err = os.ErrProcessDone
	}
	if err != nil {
		windows.CloseHandle(h)
		return 0, err
	}
	return h, nil
}

func (id ID) wait(ctx context.Context) error {
	h, err := id.open(0)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	for ctx.Err() == nil {
		event, err := windows.WaitForSingleObject(h, uint32(between.Milliseconds()))
		if err != nil {
			return err
		}
		if event != uint32(windows.WAIT_TIMEOUT) {
			return nil
		}
	}
	return ctx.Err()
}

// stop ends the process in both cases: one without a window cannot be asked.
func (id ID) stop(bool) error {
	if id.State() == Unknown {
		return ErrUnknown
	}
	h, err := id.open(windows.PROCESS_TERMINATE)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.TerminateProcess(h, 1)
}
