package faultfstest

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// FS is a folder that is mounted a second time.
type FS struct {
	Dir string // where operations are counted and may fail

	mu    sync.Mutex
	n     int
	judge func(n int, op string) Fault
}

// Fault is what happens to one operation. The zero Fault is nothing.
type Fault struct {
	Errno syscall.Errno
	After bool // the operation is done, and still reported as failed
}

// New mounts backing a second time, until the end of the test.
func New(tb testing.TB, backing string) *FS {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("only root can mount")
	}
	root, err := fs.NewLoopbackRoot(backing)
	if err != nil {
		tb.Fatal(err)
	}
	f := &FS{Dir: tb.TempDir()}
	never := time.Duration(0) // what the kernel remembers, we do not see
	options := &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never, NullPermissions: true,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faultfs", Name: "faultfs", Options: []string{"default_permissions"}},
	}
	server, err := fuse.NewServer(&faulty{RawFileSystem: fs.NewNodeFS(root, options), f: f}, f.Dir, &options.MountOptions)
	if err != nil {
		tb.Skipf("no FUSE here: %v", err)
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			tb.Errorf("unmount faultfs: %v", err)
			_ = unix.Unmount(f.Dir, unix.MNT_DETACH)
		}
	})
	return f
}

// Arm counts operations from 1 again, and has judge decide about each from now
// on. Disarm with nil.
func (f *FS) Arm(judge func(n int, op string) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.judge = 0, judge
}

// Count returns how many operations there were since Arm.
func (f *FS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *FS) next(op string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.judge == nil {
		return Fault{}
	}
	f.n++
	return f.judge(f.n, op)
}

// faulty hands operations on, or fails them. What is not named here cannot
// fail in a way that a caller would hear of, or is not used: locks are the
// kernel's own.
type faulty struct {
	fuse.RawFileSystem
	f *FS
}

func (x *faulty) do(op string, call func() fuse.Status) fuse.Status {
	fault := x.f.next(op)
	if fault.Errno != 0 && !fault.After {
		return fuse.Status(fault.Errno)
	}
	status := call()
	if fault.Errno != 0 && status.Ok() {
		return fuse.Status(fault.Errno)
	}
	return status
}

type cancel = <-chan struct{}

// Init keeps the server from the loop-back: with it, it would have the kernel
// read and write the backing files directly, past us.
func (x *faulty) Init(*fuse.Server) {}

func (x *faulty) Lookup(c cancel, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return x.do("lookup "+name, func() fuse.Status { return x.RawFileSystem.Lookup(c, in, name, out) })
}

func (x *faulty) GetAttr(c cancel, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return x.do("getattr", func() fuse.Status { return x.RawFileSystem.GetAttr(c, in, out) })
}

func (x *faulty) SetAttr(c cancel, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return x.do("setattr", func() fuse.Status { return x.RawFileSystem.SetAttr(c, in, out) })
}

func (x *faulty) Mkdir(c cancel, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return x.do("mkdir "+name, func() fuse.Status { return x.RawFileSystem.Mkdir(c, in, name, out) })
}

func (x *faulty) Unlink(c cancel, in *fuse.InHeader, name string) fuse.Status {
	return x.do("unlink "+name, func() fuse.Status { return x.RawFileSystem.Unlink(c, in, name) })
}

func (x *faulty) Rmdir(c cancel, in *fuse.InHeader, name string) fuse.Status {
	return x.do("rmdir "+name, func() fuse.Status { return x.RawFileSystem.Rmdir(c, in, name) })
}

func (x *faulty) Rename(c cancel, in *fuse.RenameIn, from, to string) fuse.Status {
	return x.do("rename "+from+" -> "+to, func() fuse.Status { return x.RawFileSystem.Rename(c, in, from, to) })
}

func (x *faulty) Link(c cancel, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return x.do("link "+name, func() fuse.Status { return x.RawFileSystem.Link(c, in, name, out) })
}

func (x *faulty) Symlink(c cancel, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return x.do("symlink "+name, func() fuse.Status { return x.RawFileSystem.Symlink(c, in, target, name, out) })
}

func (x *faulty) Readlink(c cancel, in *fuse.InHeader) (b []byte, status fuse.Status) {
	status = x.do("readlink", func() (s fuse.Status) { b, s = x.RawFileSystem.Readlink(c, in); return s })
	return b, status
}

func (x *faulty) SetXAttr(c cancel, in *fuse.SetXAttrIn, attr string, data []byte) fuse.Status {
	return x.do("setxattr "+attr, func() fuse.Status { return x.RawFileSystem.SetXAttr(c, in, attr, data) })
}

func (x *faulty) Create(c cancel, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return x.do("create "+name, func() fuse.Status { return x.RawFileSystem.Create(c, in, name, out) })
}

func (x *faulty) Open(c cancel, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return x.do("open", func() fuse.Status { return x.RawFileSystem.Open(c, in, out) })
}

func (x *faulty) Read(c cancel, in *fuse.ReadIn, buf []byte) (r fuse.ReadResult, status fuse.Status) {
	status = x.do("read", func() (s fuse.Status) { r, s = x.RawFileSystem.Read(c, in, buf); return s })
	return r, status
}

// Writev leaves it all to Write.
func (x *faulty) Writev(cancel, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) { return 0, fuse.ENOSYS }

func (x *faulty) Write(c cancel, in *fuse.WriteIn, data []byte) (n uint32, status fuse.Status) {
	status = x.do("write", func() (s fuse.Status) { n, s = x.RawFileSystem.Write(c, in, data); return s })
	return n, status
}

func (x *faulty) Flush(c cancel, in *fuse.FlushIn) fuse.Status {
	return x.do("flush", func() fuse.Status { return x.RawFileSystem.Flush(c, in) })
}

func (x *faulty) Fsync(c cancel, in *fuse.FsyncIn) fuse.Status {
	return x.do("fsync", func() fuse.Status { return x.RawFileSystem.Fsync(c, in) })
}

func (x *faulty) Fallocate(c cancel, in *fuse.FallocateIn) fuse.Status {
	return x.do("fallocate", func() fuse.Status { return x.RawFileSystem.Fallocate(c, in) })
}

func (x *faulty) OpenDir(c cancel, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return x.do("opendir", func() fuse.Status { return x.RawFileSystem.OpenDir(c, in, out) })
}

func (x *faulty) ReadDir(c cancel, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return x.do("readdir", func() fuse.Status { return x.RawFileSystem.ReadDir(c, in, out) })
}

func (x *faulty) ReadDirPlus(c cancel, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return x.do("readdir", func() fuse.Status { return x.RawFileSystem.ReadDirPlus(c, in, out) })
}

func (x *faulty) FsyncDir(c cancel, in *fuse.FsyncIn) fuse.Status {
	return x.do("fsyncdir", func() fuse.Status { return x.RawFileSystem.FsyncDir(c, in) })
}

func (x *faulty) StatFs(c cancel, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return x.do("statfs", func() fuse.Status { return x.RawFileSystem.StatFs(c, in, out) })
}
