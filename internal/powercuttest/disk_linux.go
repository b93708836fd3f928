package powercuttest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// FileSystem is a kind of file system that a disk can carry.
type FileSystem struct {
	Name    string
	size    int64
	mkfs    []string // the file's name follows
	options string   // of a mount
}

// FileSystems lists those that we know. Their options have them write as late,
// and commit as soon, as they can: both make more states.
func FileSystems() []FileSystem {
	return []FileSystem{
		{"ext4", 24 << 20, []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"}, "commit=1,noauto_da_alloc"},
		{"xfs", 300 << 20, []string{"mkfs.xfs", "-q", "-f"}, "nouuid"},
		{"btrfs", 110 << 20, []string{"mkfs.btrfs", "-q", "-f", "-m", "single"}, "commit=1"},
	}
}

// Disk is a block device that records what is written to it.
type Disk struct {
	fsys FileSystem
	file string // the disk, as our FUSE server shows it

	mu     sync.Mutex
	now    *Image
	base   *Image // what the disk held when the recording began
	events []event
	record bool
	fail   func() syscall.Errno
}

// Need skips the test unless this machine can do all of it.
func Need(tb testing.TB, fsys FileSystem) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("only root can mount")
	}
	for _, name := range []string{"/dev/fuse", "/dev/loop-control"} {
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err != nil {
			tb.Skipf("no %s here: %v", name, err)
		} else {
			f.Close()
		}
	}
	if _, err := exec.LookPath(fsys.mkfs[0]); err != nil {
		tb.Skipf("no %s here", fsys.mkfs[0])
	}
}

// New makes a disk with an empty file system, which goes with the test.
func New(tb testing.TB, fsys FileSystem) *Disk {
	tb.Helper()
	d := &Disk{fsys: fsys, now: Format(tb, fsys)}
	dir := tb.TempDir()
	root := &fs.Inode{}
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powercut", Name: "powercut"},
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk", root.NewPersistentInode(ctx, &diskNode{d: d}, fs.StableAttr{Mode: fuse.S_IFREG}), true)
		},
	})
	if err != nil {
		tb.Skipf("no FUSE here: %v", err)
	}
	tb.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			tb.Errorf("unmount the disk's server: %v", err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	d.file = filepath.Join(dir, "disk")
	return d
}

// Format makes the image of an empty file system, with further options for its
// mkfs if need be.
func Format(tb testing.TB, fsys FileSystem, options ...string) *Image {
	tb.Helper()
	Need(tb, fsys)
	name := filepath.Join(tb.TempDir(), "new")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, fsys.size)); err != nil {
		tb.Fatal(err)
	}
	args := slices.Concat(fsys.mkfs[1:], options, []string{name})
	if out, err := exec.Command(fsys.mkfs[0], args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", fsys.mkfs[0], err, out)
	}
	im, err := readImage(name, fsys.size)
	if err != nil {
		tb.Fatal(err)
	}
	_ = os.Remove(name)
	return im
}

// Mount mounts the disk and returns where. What is done there is done until
// unmount.
func (d *Disk) Mount(tb testing.TB) (dir string, unmount func()) {
	tb.Helper()
	f, err := os.OpenFile(d.file, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	return mount(tb, d.fsys, f)
}

// Record forgets what was recorded, and records from now on.
func (d *Disk) Record() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.events, d.record = d.now.clone(), nil, true
}

// Stop ends the recording.
func (d *Disk) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.record = false
}

// Mark puts a remark into the recording.
func (d *Disk) Mark(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record {
		d.events = append(d.events, event{kind: marked, mark: text})
	}
}

// Fail has fail asked before each write and flush; an errno is the answer that
// the device gives. nil ends that.
func (d *Disk) Fail(fail func() syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// Image returns what the disk holds, everything that reached it included.
func (d *Disk) Image() *Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.clone()
}

// diskNode is the disk's file.
type diskNode struct {
	fs.Inode
	d *Disk
}

func (n *diskNode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (n *diskNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, uint64(n.d.fsys.size)
	return 0
}

func (n *diskNode) Setattr(ctx context.Context, f fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.Getattr(ctx, f, out)
}

func (n *diskNode) Read(_ context.Context, _ fs.FileHandle, b []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	n.d.now.read(b, off)
	return fuse.ReadResultData(b), 0
}

func (n *diskNode) Write(_ context.Context, _ fs.FileHandle, b []byte, off int64) (uint32, syscall.Errno) {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if n.d.fail != nil {
		if errno := n.d.fail(); errno != 0 {
			return 0, errno
		}
	}
	n.d.now.write(b, off)
	if n.d.record {
		n.d.events = append(n.d.events, event{kind: wrote, off: off, data: append([]byte(nil), b...)})
	}
	return uint32(len(b)), 0
}

func (n *diskNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.d.mu.Lock()
	defer n.d.mu.Unlock()
	if n.d.fail != nil {
		if errno := n.d.fail(); errno != 0 {
			return errno
		}
	}
	if n.d.record {
		n.d.events = append(n.d.events, event{kind: flushed})
	}
	return 0
}
