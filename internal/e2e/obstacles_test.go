package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// canMount reports whether this process may mount a small file system.
var canMount = sync.OnceValue(func() bool {
	return isRoot() && inNewFolder(func(dir string) error { return errors.Join(mount(dir, "64k", "0"), unmount(dir)) })
})

// canProtect reports whether this process may set flags that stop even itself.
var canProtect = sync.OnceValue(func() bool {
	return isRoot() && inNewFolder(func(dir string) error { return errors.Join(chattr("+i", dir), chattr("-i", dir)) })
})

// canBeNobody reports whether this process may start others as an ordinary
// user, who can reach what it made.
var canBeNobody = sync.OnceValue(func() bool {
	return isRoot() && inNewFolder(func(dir string) error {
		return errors.Join(os.Chmod(dir, 0o755), exec.Command("nobody", "ls", dir).Run(),
			exec.Command("nobody", "applyrelease", "--version").Run())
	})
})

func isRoot() bool { return runtime.GOOS == "linux" && os.Getuid() == 0 }

// inNewFolder reports whether try succeeds.
func inNewFolder(try func(dir string) error) bool {
	dir, err := os.MkdirTemp("", "treegraft-try-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	return try(dir) == nil
}

// writeNobody puts the program "nobody" into dir, which runs its arguments as
// an ordinary user.
func writeNobody(dir string) error {
	const script = "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\"\n"
	return errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "nobody"), []byte(script), 0o755))
}

// Root's tests as an ordinary user skip where they cannot be made, but not for
// want of our own program.
func TestNobody(t *testing.T) {
	if !isRoot() {
		t.Skip("only root can become somebody else")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("no setpriv here")
	}
	out, err := exec.Command("nobody", "id", "-u").Output()
	must(t, err)
	if string(out) != "65534\n" {
		t.Errorf("want another user, got %q", out)
	}
}

func mount(dir, size, inodes string) error {
	return exec.Command("mount", "-t", "tmpfs", "-o", "size="+size+",nr_inodes="+inodes, "tmpfs", dir).Run()
}

func unmount(dir string) error { return exec.Command("umount", dir).Run() }

func chattr(flag, name string) error { return exec.Command("chattr", flag, name).Run() }

func cmdSmallfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: smallfs DIR SIZE [INODES]")
	}
	inodes := "0" // no limit
	if len(args) == 3 {
		inodes = args[2]
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(mount(dir, args[1], inodes))
	ts.Defer(func() { _ = unmount(dir) }) // the script may have done it
}

func cmdBind(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && (len(args) != 2 || args[1] != "ro") {
		ts.Fatalf("usage: bind FILE [ro]")
	}
	name := ts.MkAbs(args[0])
	ts.Check(exec.Command("mount", "--bind", name, name).Run())
	ts.Defer(func() { _ = unmount(name) }) // the script may have done it
	if len(args) == 2 {
		ts.Check(exec.Command("mount", "-o", "remount,bind,ro", name).Run())
	}
}

func cmdUnmount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unmount FILE")
	}
	ts.Check(unmount(ts.MkAbs(args[0])))
}

func cmdProtect(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || args[0] != "i" && args[0] != "a" {
		ts.Fatalf("usage: [!] protect i|a FILE")
	}
	name := ts.MkAbs(args[1])
	if neg {
		ts.Check(chattr("-"+args[0], name))
		return
	}
	ts.Check(chattr("+"+args[0], name))
	ts.Defer(func() { _ = chattr("-"+args[0], name) }) // the script may have done it
}
