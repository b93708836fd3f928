//go:build unix

package atomicfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"golang.org/x/sys/unix"
)

// The umask of the process does not matter, and neither does root's power:
// the table holds for an ordinary user under a strict umask.
func TestFidelityAsUser(t *testing.T) {
	const child = "ATOMICFS_TEST_USER"
	if os.Getenv(child) != "" {
		syscall.Umask(0o077)
		for _, c := range fidelityCases {
			if c.name == "no mode at all" {
				continue // what its owner may not read cannot be compared
			}
			a, b := treetest.Parse(t, c.a), treetest.Parse(t, c.b)
			thereAndBack(t, a, b)
			thereAndBack(t, b, a)
		}
		return
	}
	cmd := exec.Command(copyOfTest(t), "-test.run=^TestFidelityAsUser$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1")
	if os.Geteuid() == 0 {
		asNobody(t, cmd)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as user: %v\n%s", err, out)
	}
}

// copyOfTest copies the test program to where every user may run it.
func copyOfTest(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	b, err := os.ReadFile(self)
	must(t, err)
	dir, err := os.MkdirTemp("", "atomicfs-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	name := filepath.Join(dir, "test")
	must(t, os.WriteFile(name, b, 0o755))
	return name
}

// asNobody has cmd run as an ordinary user.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// Things that are never managed stop a change without being opened, and can be
// kept beside like anything else.
func TestSpecialFiles(t *testing.T) {
	for _, special := range []string{"pipe", "socket"} {
		root := scratch(t)
		from, to := treetest.Parse(t, "-- f --\none\n"), treetest.Parse(t, "-- f --\ntwo\n")
		plant(t, root, treetest.Tree{})
		makeSpecial(t, special, filepath.Join(root, "f"))
		_, err := update(root, from, to, Options{}, CommitOptions{})
		var e *DriftError
		if !errors.As(err, &e) || e.Drift[0].Got.Kind != Other {
			t.Fatalf("%s: want it as drift, got %v", special, err)
		}
		_, err = update(root, from, to, Options{}, CommitOptions{KeepDrift: true})
		must(t, err)
		fi, err := os.Lstat(filepath.Join(root, "f.kept"))
		must(t, err)
		if fi.Mode().IsRegular() || fi.IsDir() {
			t.Errorf("%s: want it kept, got %v", special, fi.Mode())
		}
		must(t, os.Remove(filepath.Join(root, "f.kept")))
		wantTree(t, root, to, special)
	}
}

// makeSpecial makes what is neither file, folder nor symlink.
func makeSpecial(t *testing.T, what, name string) {
	t.Helper()
	mode := uint32(syscall.S_IFIFO)
	if what == "socket" {
		mode = syscall.S_IFSOCK
	}
	if err := unix.Mknod(name, mode|0o600, 0); err != nil {
		t.Skipf("make a %s: %v", what, err)
	}
}
