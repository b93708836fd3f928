package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func space() string {
	name, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

// look reads /proc/PID/stat, see proc_pid_stat(5).
func look(pid int) (start uint64, running bool, err error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if errors.Is(err, syscall.ESRCH) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	// The second field is the program's name, which may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	const state, startTime = 0, 19 // the third and the 22nd
	if len(fields) <= startTime {
		return 0, false, errors.New("/proc/PID/stat has too few fields")
	}
	if start, err = strconv.ParseUint(fields[startTime], 10, 64); err != nil {
		return 0, false, err
	}
	return start, fields[state] != "Z" && fields[state] != "X", nil
}

// open returns a descriptor of the process, and not of one that got its number.
func (id ID) open() (fd int, err error) {
	if fd, err = unix.PidfdOpen(id.PID, 0); err != nil {
		return -1, err
	}
	// Whoever has the number now is who the descriptor stands for, or came
	// after it; then sending to the descriptor fails.
	if s := id.State(); s != Alive {
		unix.Close(fd)
		if s == Gone {
			return -1, os.ErrProcessDone
		}
		return -1, ErrUnknown
	}
	return fd, nil
}

func (id ID) wait(ctx context.Context) error {
	fd, err := id.open()
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil { // an old kernel, or a sandbox
		return id.waitByLooking(ctx)
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(between.Milliseconds()))
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return ctx.Err()
}

func (id ID) stop(kill bool) error {
	fd, err := id.open()
	if errors.Is(err, unix.ESRCH) {
		return os.ErrProcessDone
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	signal := unix.SIGTERM
	if kill {
		signal = unix.SIGKILL
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}
