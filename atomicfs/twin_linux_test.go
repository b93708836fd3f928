package atomicfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"golang.org/x/sys/unix"
)

// A tree that is a mount point, or holds one, cannot have a twin: it is changed
// in place, and it is said why.
func TestTwinAndMounts(t *testing.T) {
	needRoot(t)
	from, to := treetest.Parse(t, plain.from), treetest.Parse(t, plain.to)
	for _, s := range twinStrategies {
		for _, where := range []string{".", "data"} {
			root := newRoot(t)
			if where == "." {
				mount(t, root, "size=16m")
			}
			plant(t, root, with(from, treetest.Parse(t, "-- data/x --\nx\n")))
			if where != "." {
				bind(t, filepath.Join(root, where), filepath.Join(root, where), 0)
			}
			res, err := update(root, from, to, Options{Strategy: s}, CommitOptions{})
			must(t, err)
			if res.Strategy != InPlace || res.Fallback == nil {
				t.Errorf("%v, mounted %s: want it made in place, got %v", s, where, res.Strategy)
			}
			t.Logf("%v, mounted %s: %v", s, where, res.Fallback)
			wantTree(t, root, with(to, treetest.Parse(t, "-- data/x --\nx\n")), where)
			wantAlone(t, root, where)
		}
	}
}

// An ordinary user who may not write beside the tree changes it in place. Where
// he may, folders that forbid writing are no trouble, in the twin or after it.
func TestTwinAsUser(t *testing.T) {
	const child = "ATOMICFS_TEST_TWIN"
	from, to, _ := eventful(t)
	if root := os.Getenv(child); root != "" {
		for _, s := range twinStrategies {
			res, err := update(root, from, to, Options{Strategy: s}, CommitOptions{})
			must(t, err)
			_, err = rollBack(root, Options{Strategy: s}, CommitOptions{})
			must(t, err)
			fmt.Printf("%v: %v\n", s, res.Strategy)
		}
		return
	}
	needRoot(t)
	for _, mayBeside := range []bool{true, false} {
		root := newRoot(t)
		plant(t, root, from)
		for _, p := range []string{root, filepath.Dir(root)} {
			must(t, filepath.Walk(p, func(p string, _ os.FileInfo, err error) error {
				return errors.Join(err, os.Lchown(p, 65534, 65534))
			}))
		}
		if !mayBeside {
			must(t, os.Chown(filepath.Dir(root), 0, 0))
		}
		must(t, os.Chmod(filepath.Dir(root), 0o755))
		cmd := exec.Command(copyOfTest(t), "-test.run=^TestTwinAsUser$")
		cmd.Env = append(os.Environ(), child+"="+root)
		asNobody(t, cmd)
		out, err := cmd.CombinedOutput()
		want := "exchange: exchange\nversioned: versioned\n"
		if !mayBeside {
			want = "exchange: inplace\nversioned: inplace\n"
		}
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("as user, folder above his: %v: want %q, got %v\n%s", mayBeside, want, err, out)
		}
		wantTree(t, root, from, "there and back")
		wantAlone(t, root, "there and back")
	}
}

// Capabilities and attributes of a replaced file stay with its path, by every
// strategy, and those of folders too.
func TestCapabilitiesAreKept(t *testing.T) {
	needRoot(t)
	from, to := treetest.Parse(t, plain.from), treetest.Parse(t, plain.to)
	const net = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service, version 2 of linux/capability.h
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		root := filepath.Join(t.TempDir(), "tree")
		plant(t, root, from)
		if err := unix.Setxattr(filepath.Join(root, "d/f"), "security.capability", []byte(net), 0); err != nil {
			t.Skipf("no capabilities here: %v", err)
		}
		if err := unix.Setxattr(filepath.Join(root, "d"), "user.treegraft", []byte("folder"), 0); err != nil {
			t.Skipf("no extended attributes here: %v", err)
		}
		check := func(when string) {
			t.Helper()
			for p, want := range map[string]string{"d/f security.capability": net, "d user.treegraft": "folder"} {
				name, attr, _ := strings.Cut(p, " ")
				buf := make([]byte, 64)
				n, err := unix.Getxattr(filepath.Join(root, name), attr, buf)
				if err != nil || string(buf[:n]) != want {
					t.Errorf("%v, %s: %s: got %q, %v", s, when, p, buf[:max(n, 0)], err)
				}
			}
		}
		_, err := update(root, from, to, Options{Strategy: s}, CommitOptions{})
		must(t, err)
		check("updated")
		_, err = rollBack(root, Options{Strategy: s}, CommitOptions{})
		must(t, err)
		check("rolled back")
	}
}

// Promise 7: with room for the journal alone, far less than the files that it
// brings back, a rollback succeeds.
func TestPromise7RollbackOnFullDisk(t *testing.T) {
	needRoot(t)
	from, to, _ := eventful(t)
	from["big"], to["big"] = treetest.File(strings.Repeat("old", 200<<10)), treetest.File(strings.Repeat("new", 200<<10))
	for _, s := range []Strategy{InPlace, Exchange, Versioned} {
		top := scratch(t)
		mount(t, top, "size=4m")
		root := filepath.Join(top, "tree")
		must(t, os.Mkdir(root, 0o755))
		plant(t, root, from)
		_, err := update(root, from, to, Options{Strategy: s}, CommitOptions{})
		must(t, err)
		leaveRoom(t, filepath.Join(top, "other"), 64<<10)
		_, err = rollBack(root, Options{Strategy: s}, CommitOptions{})
		must(t, err)
		wantTree(t, root, from, "rolled back")
		f, err := os.Open(top)
		must(t, err)
		r, err := room(f)
		must(t, errors.Join(err, f.Close()))
		t.Logf("tried: 1 rollback on a full disk, %v: %d bytes free after it", s, r.bytes)
	}
}
