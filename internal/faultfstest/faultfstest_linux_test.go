package faultfstest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFaults(t *testing.T) {
	backing := t.TempDir()
	f := New(t, backing)
	seen := map[string]bool{}
	for _, c := range []struct {
		op    string
		after bool
	}{{"mkdir d", false}, {"mkdir d", true}} {
		f.Arm(func(_ int, op string) Fault {
			seen[op] = true
			if op == c.op {
				return Fault{Errno: syscall.EIO, After: c.after}
			}
			return Fault{}
		})
		if err := os.Mkdir(filepath.Join(f.Dir, "d"), 0o755); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: want EIO, got %v", c.op, err)
		}
		if _, err := os.Stat(filepath.Join(backing, "d")); (err == nil) != c.after {
			t.Errorf("after=%v: the folder is there: %v", c.after, err == nil)
		}
	}
	count := f.Count()
	if f.Arm(nil); count == 0 || !seen["mkdir d"] {
		t.Errorf("want operations counted, got %d, %v", count, seen)
	}
}

// Disarmed it is a folder like any other, and every kind of operation reaches
// the judge.
func TestOperations(t *testing.T) {
	f := New(t, t.TempDir())
	in := func(name string) string { return filepath.Join(f.Dir, name) }
	seen := map[string]bool{}
	f.Arm(func(_ int, op string) Fault {
		verb, _, _ := strings.Cut(op, " ")
		seen[verb] = true
		return Fault{}
	})
	file, err := os.Create(in("a"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("content")
	err = errors.Join(err, file.Sync(), file.Close(), os.Chmod(in("a"), 0o600), os.Link(in("a"), in("b")),
		os.Symlink("a", in("s")), os.Mkdir(in("d"), 0o755), os.Rename(in("b"), in("d/b")), os.Remove(in("d/b")), os.Remove(in("d")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(in("a"))
	if err != nil || string(b) != "content" {
		t.Errorf("got %q, %v", b, err)
	}
	link, err := os.Readlink(in("s"))
	if err != nil || link != "a" {
		t.Errorf("got %q, %v", link, err)
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v", entries, err)
	}
	dir, err := os.Open(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		t.Fatal(err)
	}
	f.Arm(nil)
	for _, verb := range strings.Fields("lookup getattr setattr mkdir unlink rmdir rename link symlink readlink create open read write flush fsync opendir readdir fsyncdir") {
		if !seen[verb] {
			t.Errorf("%s was not seen", verb)
		}
	}
}
