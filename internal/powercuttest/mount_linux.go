package powercuttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Mount mounts a state of a disk, as after a restart, and returns where. The
// state itself does not change.
func (im *Image) Mount(tb testing.TB, fsys FileSystem) (dir string, unmount func()) {
	tb.Helper()
	fd, err := unix.MemfdCreate("powercut", unix.MFD_CLOEXEC)
	if err != nil {
		tb.Fatal(os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), "powercut")
	defer f.Close()
	if err := im.writeTo(f); err != nil {
		tb.Fatal(err)
	}
	return mount(tb, fsys, f)
}

// mount mounts the disk in f.
func mount(tb testing.TB, fsys FileSystem, f *os.File) (dir string, unmount func()) {
	tb.Helper()
	device, err := attach(f)
	if err != nil {
		tb.Skipf("no loop device: %v", err)
	}
	defer device.Close() // the mount holds it from now on, and lets it go at its end
	dir, err = os.MkdirTemp("", "powercut-")
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mount(device.Name(), dir, fsys.Name, 0, fsys.options); err != nil {
		_ = os.Remove(dir)
		tb.Fatalf("mount %s: %v", fsys.Name, err)
	}
	done := false
	unmount = func() {
		if done {
			return
		}
		done = true
		err := unix.Unmount(dir, 0)
		for range 100 { // a program being started elsewhere holds all files for a moment
			if err != unix.EBUSY {
				break
			}
			time.Sleep(10 * time.Millisecond)
			err = unix.Unmount(dir, 0)
		}
		if err != nil {
			tb.Errorf("unmount %s: %v", fsys.Name, err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
		_ = os.Remove(dir)
	}
	tb.Cleanup(unmount)
	return dir, unmount
}

// attach puts a loop device before f. It goes when nobody has it open any more.
func attach(f *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a loop device: %w", err)
		}
		device, err := os.OpenFile(filepath.Join("/dev", fmt.Sprintf("loop%d", n)), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{
			Fd:   uint32(f.Fd()),
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) { // else another process was faster
			return nil, fmt.Errorf("configure %s: %w", device.Name(), err)
		}
	}
}
