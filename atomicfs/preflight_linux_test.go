package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/faultfstest"
	"github.com/treegraft-dev/treegraft/internal/powercuttest"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"golang.org/x/sys/unix"
)

// needRoot skips tests that mount or set flags.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount and set flags")
	}
}

// mount mounts a tmpfs with the given options, or skips the test.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// bind mounts from over to, or skips the test.
func bind(t *testing.T, from, to string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("bind mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
	if flags != 0 {
		must(t, unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""))
	}
}

// wantObstacle checks that Preflight and Commit both refuse for one reason at
// one path, and that nothing changed.
func wantObstacle(t *testing.T, root string, from, to treetest.Tree, path, kind string) {
	t.Helper()
	before := snap(t, root)
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	check := func(when string, err error) {
		t.Helper()
		var e *PreflightError
		if !errors.As(err, &e) {
			t.Fatalf("%s: want a PreflightError, got %v", when, err)
		}
		for _, o := range e.Obstacles {
			if o.Path == path && o.Kind == kind {
				return
			}
		}
		t.Errorf("%s: want %s at %s, got %v", when, kind, path, e)
	}
	check("preflight", tree.Preflight(context.Background(), between(from, to), 0))
	_, err = updateOpen(tree, from, to, CommitOptions{})
	check("commit", err)
	wantTree(t, root, before, "refused")
}

var plain = struct{ from, to string }{
	"-- d/f --\none\n-- g --\ng\n", "-- d/f --\ntwo\n-- d/new/x --\nx\n-- g --\ng\n",
}

func TestPreflightPasses(t *testing.T) {
	root := scratch(t)
	from, to, _ := eventful(t)
	plant(t, root, from)
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	must(t, tree.Preflight(context.Background(), between(from, to), 1<<20))
	wantTree(t, root, from, "preflight")
}

func TestPreflightSpaceAndInodes(t *testing.T) {
	needRoot(t)
	root := scratch(t)
	mount(t, root, "size=32m,nr_inodes=200")
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	big := func(n int, size int64) (changes []Change) {
		for i := range n {
			changes = append(changes, Change{Path: fmt.Sprintf("f%d", i), New: &Node{Kind: File, Mode: 0o644, Size: size}})
		}
		return changes
	}
	for _, c := range []struct {
		name  string
		n     int
		size  int64
		extra int64
		kind  string
	}{
		{"fits", 10, 1 << 20, 1 << 20, ""},
		{"one too large", 1, 17 << 20, 0, "space"},
		{"downloads too large", 1, 1, 17 << 20, "space"},
		{"small files in whole blocks", 100, 200 << 10, 0, "space"},
		{"too many", 190, 1, 0, "inodes"},
	} {
		err := tree.Preflight(context.Background(), big(c.n, c.size), c.extra)
		var e *PreflightError
		if c.kind == "" && err != nil || c.kind != "" && (!errors.As(err, &e) || e.Obstacles[0].Kind != c.kind) {
			t.Errorf("%s: want obstacle %q, got %v", c.name, c.kind, err)
		}
	}
}

func TestPreflightImmutable(t *testing.T) {
	needRoot(t)
	from, to := treetest.Parse(t, plain.from), treetest.Parse(t, plain.to)
	for _, p := range []string{"d/f", "d"} {
		root := t.TempDir() // flags need a real file system
		plant(t, root, from)
		f, err := os.Open(filepath.Join(root, p))
		must(t, err)
		defer f.Close()
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, unix.STATX_ATTR_IMMUTABLE); err != nil {
			t.Skipf("set the immutable flag: %v", err)
		}
		wantObstacle(t, root, from, to, p, "immutable")
		must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0))
	}
}

func TestPreflightMounts(t *testing.T) {
	needRoot(t)
	from, to := treetest.Parse(t, plain.from), treetest.Parse(t, plain.to)
	for _, c := range []struct{ name, path, kind string }{
		{"folder", "d", "mount point"}, {"file", "d/f", "mount point"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := scratch(t)
			plant(t, root, from)
			bind(t, filepath.Join(root, c.path), filepath.Join(root, c.path), 0)
			wantObstacle(t, root, from, to, c.path, c.kind)
		})
	}
	t.Run("unmanaged mount is no obstacle", func(t *testing.T) {
		root := scratch(t)
		plant(t, root, with(from, treetest.Parse(t, "-- data/x --\nx\n")))
		bind(t, filepath.Join(root, "data"), filepath.Join(root, "data"), 0)
		_, err := update(root, from, to, Options{}, CommitOptions{})
		must(t, err)
	})
	t.Run("read-only", func(t *testing.T) {
		root := scratch(t)
		plant(t, root, from)
		tree, err := Open(root, Options{})
		must(t, err)
		must(t, tree.Close())
		bind(t, filepath.Join(root, "d"), filepath.Join(root, "d"), unix.MS_RDONLY)
		wantObstacle(t, root, from, to, "d", "read-only")
	})
}

// A running program can be replaced, and runs on.
func TestBusyExecutable(t *testing.T) {
	root := scratch(t)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep command")
	}
	b, err := os.ReadFile(sleep)
	must(t, err)
	from, to := treetest.Tree{"bin/app": treetest.Exec(string(b))}, treetest.Tree{"bin/app": treetest.Exec(string(b) + "2")}
	plant(t, root, from)
	cmd := exec.Command(filepath.Join(root, "bin/app"), "60")
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot run it from here: %v", err)
	}
	defer func() { _ = cmd.Wait() }()
	defer cmd.Process.Kill()
	_, err = update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	wantTree(t, root, to, "updated")
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("want the program running on, got %v", err)
	}
}

// What an ordinary user may not do is found before anything changes.
func TestPreflightAsUser(t *testing.T) {
	const child = "ATOMICFS_TEST_FOREIGN"
	from, to := treetest.Parse(t, "-- d/f --\none\n-- d/e/f --\none\n-- g --\none\n"), treetest.Parse(t, "-- d/f --\ntwo\n-- d/e/f --\ntwo\n-- g --\ntwo\n")
	if root := os.Getenv(child); root != "" {
		tree, err := Open(root, Options{})
		must(t, err)
		defer tree.Close()
		drift, err := tree.Drift(context.Background(), between(from, to))
		must(t, err)
		if len(drift) > 0 {
			t.Errorf("want what cannot be read no drift, got %v", drift)
		}
		fmt.Println(tree.Preflight(context.Background(), between(from, to), 0))
		return
	}
	needRoot(t)
	for _, c := range []struct {
		name, path, want string
		foreign          bool
		mode             os.FileMode
	}{
		{"folder of another user", "d", "d: permission: cannot be written to: permission denied", true, 0o755},
		{"folder that cannot be entered", "d", "d: permission: cannot be entered", true, 0o700},
		{"file that cannot be read", "g", "g: permission: cannot be read", true, 0o600},
		{"root without permission to write", ".", ".: permission: cannot be written to: permission denied", false, 0o555},
		{"own folder without permission", "d", "", false, 0o555},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := scratch(t)
			plant(t, root, from)
			tree, err := Open(root, Options{})
			must(t, err)
			must(t, tree.Close())
			must(t, filepath.WalkDir(root, func(p string, _ os.DirEntry, err error) error { return errors.Join(err, os.Lchown(p, 65534, 65534)) }))
			if c.foreign {
				must(t, os.Lchown(filepath.Join(root, c.path), 0, 0))
			}
			must(t, os.Chmod(filepath.Join(root, c.path), c.mode))
			before := snap(t, root)
			cmd := exec.Command(copyOfTest(t), "-test.run=^TestPreflightAsUser$")
			cmd.Env = append(os.Environ(), child+"="+root)
			asNobody(t, cmd)
			out, err := cmd.CombinedOutput()
			want := "<nil>\n"
			if c.want != "" {
				want = "preflight: " + c.want + "\n"
			}
			if err != nil || !strings.HasPrefix(string(out), want) {
				t.Errorf("want %q, got %q, %v", want, out, err)
			}
			wantTree(t, root, before, "looked at")
		})
	}
}

// Names that the file system does not take are found before anything changes.
func TestPreflightShortNames(t *testing.T) {
	backing := t.TempDir()
	root := faultfstest.New(t, backing)
	root.Arm(func(_ int, op string) faultfstest.Fault {
		if len(op) > 100 {
			return faultfstest.Fault{Errno: syscall.ENAMETOOLONG}
		}
		return faultfstest.Fault{}
	})
	from, to := treetest.Tree{}, treetest.Tree{"d/f": treetest.File("new"), long(149): treetest.File("new")}
	wantObstacle(t, root.Dir, from, to, long(149), "name")
	root.Arm(nil)
}

// Paths that no program could open by their full names are found too.
func TestPreflightLongPath(t *testing.T) {
	root := scratch(t)
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	folders := strings.Repeat(long(199)+"/", (maxFullName-len(root)-1)/200)
	room := maxFullName - len(root) - 1 - len(folders) // if there is none, 200 is too long too
	for _, n := range []int{room - 1, room, room + 1} {
		p := folders + long(max(1, n))
		err := tree.Preflight(context.Background(), between(treetest.Tree{}, treetest.Tree{p: treetest.File("new")}), 0)
		if full := len(root) + 1 + len(p); (err != nil) != (full > maxFullName) {
			t.Errorf("a full name of %d bytes: got %v", full, err)
		}
	}
}

// New files and folders belong to whom the tree belongs to, whoever updates.
func TestOwnerIsKept(t *testing.T) {
	needRoot(t)
	root := scratch(t)
	from, to, _ := eventful(t)
	plant(t, root, from)
	must(t, filepath.Walk(root, func(p string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Lchown(p, 1234, 1234))
	}))
	owned := func(when string) {
		t.Helper()
		must(t, filepath.Walk(root, func(p string, fi os.FileInfo, err error) error {
			if uid, gid := owner(fi); (uid != 1234 || gid != 1234) && !strings.Contains(p, StateDir) {
				t.Errorf("%s: %s belongs to %d:%d", when, p, uid, gid)
			}
			return err
		}))
	}
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	owned("updated")
	_, err = rollBack(root, Options{}, CommitOptions{})
	must(t, err)
	owned("rolled back")
}

// Extended attributes of a replaced file are those of the new one.
func TestAttributesAreKept(t *testing.T) {
	root := t.TempDir()
	from, to := treetest.Parse(t, plain.from), treetest.Parse(t, plain.to)
	plant(t, root, from)
	name := filepath.Join(root, "d/f")
	if err := unix.Setxattr(name, "user.treegraft", []byte("mine"), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	_, err := update(root, from, to, Options{}, CommitOptions{})
	must(t, err)
	buf := make([]byte, 16)
	n, err := unix.Getxattr(name, "user.treegraft", buf)
	if err != nil || string(buf[:n]) != "mine" {
		t.Errorf("want the attribute kept, got %q, %v", buf[:max(n, 0)], err)
	}
}

// Promise 8: with any amount of room left, a commit succeeds or is refused
// before anything changes.
func TestPromise8DiskFull(t *testing.T) {
	needRoot(t)
	t.Run("tmpfs", func(t *testing.T) {
		root := scratch(t)
		mount(t, root, "size=4m")
		turned := diskFull(t, 8, func() (string, func()) { return root, func() { must(t, clearOut(root)) } })
		if turned > 0 {
			t.Errorf("want no visible change, got %d", turned)
		}
	})
	for _, fsys := range powercuttest.FileSystems() {
		t.Run(fsys.Name, func(t *testing.T) {
			if !thorough() {
				t.Skip("set ATOMICFS_THOROUGH=1")
			}
			step, options := 8, []string(nil)
			if fsys.Name == "btrfs" {
				step, options = 64, []string{"--mixed"} // else names run out of room long before data
			}
			empty := powercuttest.Format(t, fsys, options...)
			turned := diskFull(t, step, func() (string, func()) {
				dir, unmount := empty.Mount(t, fsys)
				root := filepath.Join(dir, "tree")
				must(t, os.Mkdir(root, 0o755))
				return root, unmount
			})
			if turned > 0 && fsys.Name != "btrfs" { // see the limits in the package comment
				t.Errorf("want no visible change, got %d", turned)
			}
		})
	}
}

// diskFull tries ever more room, in steps of some KiB, each time in a root from
// fresh. It returns how many changes were turned round after the first visible
// step.
func diskFull(t *testing.T, step int, fresh func() (root string, done func())) (turned int) {
	from, to, unmanaged := eventful(t)
	to["big"] = treetest.File(strings.Repeat("0123456789abcdef", 2<<10)) // 32 KiB
	ended := map[string]int{}
	for room := 0; room <= 50*step; room += step {
		root, done := fresh()
		plant(t, root, with(from, unmanaged))
		tree, err := Open(root, Options{})
		must(t, err)
		must(t, tree.Close())
		leaveRoom(t, filepath.Join(root, "ballast"), int64(room)<<10)
		before := with(from, unmanaged, treetest.Read(t, root, StateDir, "mine"))
		visible := false
		_, err = update(root, from, to, Options{Hook: func(step string) error {
			visible = visible || strings.HasPrefix(step, "rename "+stagedFiles)
			return nil
		}}, CommitOptions{})
		when := fmt.Sprintf("%d KiB left, reported %v", room, err)
		switch {
		case err == nil:
			ended["new"]++
			must(t, os.Remove(filepath.Join(root, "ballast")))
			wantTree(t, root, with(to, unmanaged), when)
		case !errors.Is(err, syscall.ENOSPC):
			t.Fatalf("%s: want ENOSPC", when)
		default:
			ended["old"]++
			if visible {
				turned++
			}
			wantTree(t, root, before, when)
			wantClean(t, root, 0, when)
		}
		done()
	}
	if ended["old"] == 0 || ended["new"] == 0 {
		t.Errorf("want both outcomes, got %v", ended)
	}
	t.Logf("tried: %d full disks, ended %v, %d of them turned round in the middle", addUp(ended), ended, turned)
	return turned
}

func clearOut(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		dispose(filepath.Join(dir, e.Name()))
	}
	return err
}

// leaveRoom fills a file system up to about n free bytes. What statfs says is
// not what can be had everywhere: so it is filled, and n are given back.
func leaveRoom(t *testing.T, name string, n int64) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	size := int64(0)
	for range 3 { // xfs finds more room each time it is synced
		for chunk := int64(1 << 26); chunk >= 4096; {
			if err := unix.Fallocate(int(f.Fd()), 0, size, chunk); err != nil {
				chunk /= 2
			} else {
				size += chunk
			}
		}
		must(t, syncFS(f))
	}
	must(t, f.Truncate(max(0, size-n)))
	must(t, syncFS(f))
}

// Where case does not count, a name that changes in case alone still changes.
func TestCaseInsensitive(t *testing.T) {
	needRoot(t)
	top := scratch(t)
	mount(t, top, "casefold,size=16m")
	for _, c := range fidelityCases {
		if !strings.HasPrefix(c.name, "case-only") {
			continue
		}
		for i, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			root := filepath.Join(top, fmt.Sprint(c.name, i))
			must(t, os.Mkdir(root, 0o755))
			f, err := os.Open(root)
			must(t, err)
			const casefold = 0x40000000 // FS_CASEFOLD_FL of linux/fs.h
			must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, casefold))
			must(t, f.Close())
			from, to := treetest.Parse(t, pair[0]), treetest.Parse(t, pair[1])
			plant(t, root, from)
			_, err = update(root, from, to, Options{}, CommitOptions{})
			must(t, err)
			wantTree(t, root, to, c.name)
			_, err = rollBack(root, Options{}, CommitOptions{})
			must(t, err)
			wantTree(t, root, from, c.name)
		}
	}
}
