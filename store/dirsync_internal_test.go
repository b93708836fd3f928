package store

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// watchSyncs opens a store that counts its syncs, and calls look in each.
func watchSyncs(t *testing.T, look func(d *Dir) error) (d *Dir, syncs *int) {
	t.Helper()
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !canSyncAll(f) {
		t.Skip("here, each file is synced on its own")
	}
	syncs = new(int)
	d.later.sync = func(f *os.File) error {
		*syncs++
		if d.later.mu.TryLock() {
			t.Error("another push need not wait for the end of the sync")
			d.later.mu.Unlock()
		}
		if look == nil {
			return nil
		}
		return look(d)
	}
	return d, syncs
}

// pushes pushes small files: to a name with a plus by PushNew, to others by
// Push.
func pushes(t *testing.T, d *Dir, names ...string) {
	t.Helper()
	for _, name := range names {
		push := d.Push
		if strings.Contains(name, "+") {
			push = d.PushNew
		}
		if err := push(t.Context(), name, strings.NewReader("1"), 1); err != nil {
			t.Fatal(err)
		}
	}
}

func wantSyncs(t *testing.T, syncs *int, want int, when string) {
	t.Helper()
	if *syncs != want {
		t.Fatalf("%s: want %d syncs, got %d", when, want, *syncs)
	}
}

func TestSyncBeforePush(t *testing.T) {
	looked := false
	d, syncs := watchSyncs(t, func(d *Dir) error {
		_, before := os.Stat(filepath.Join(d.path, "y/z/+3"))
		_, after := os.Stat(filepath.Join(d.path, "b"))
		looked = looked || before == nil && after != nil
		return nil
	})
	pushes(t, d, "a")
	wantSyncs(t, syncs, 1, "first push, when a killed process may have left something")
	pushes(t, d, "a", "x/a")
	wantSyncs(t, syncs, 1, "nothing new")
	pushes(t, d, "+1", "x/+2", "y/z/+3")
	wantSyncs(t, syncs, 1, "only new files")
	pushes(t, d, "b")
	wantSyncs(t, syncs, 2, "push after new files")
	if !looked {
		t.Error("want the sync between the new files and the name of the last one")
	}
	if d.later.folder != nil {
		t.Error("the folder stays open when nothing waits")
	}
	if err := d.PushNew(t.Context(), "+4", iotest.ErrReader(io.ErrClosedPipe), 1); err == nil {
		t.Error("want an error")
	}
	pushes(t, d, "c")
	if d.later.writing != 0 || d.later.folder != nil {
		t.Errorf("after a failed push: %d files are written", d.later.writing)
	}
}

// TestSyncOverlap pushes a file while a new one is being written: that one
// needs another sync.
func TestSyncOverlap(t *testing.T) {
	d, syncs := watchSyncs(t, nil)
	during := readerFunc(func([]byte) (int, error) {
		pushes(t, d, "a")
		wantSyncs(t, syncs, 1, "push during another")
		if d.later.folder == nil {
			t.Error("the folder was closed while a file is written")
		}
		return 0, io.EOF
	})
	if err := d.PushNew(t.Context(), "+1", io.MultiReader(strings.NewReader("1"), during), 1); err != nil {
		t.Fatal(err)
	}
	pushes(t, d, "b")
	wantSyncs(t, syncs, 2, "push after the other")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSyncFails lets the disk fail once. No name may change any more.
func TestSyncFails(t *testing.T) {
	broken := errors.New("input/output error")
	fail := error(nil)
	d, syncs := watchSyncs(t, func(*Dir) error { return fail })
	pushes(t, d, "name", "+1")
	fail = broken
	for range 2 {
		if err := d.Push(t.Context(), "name", strings.NewReader("22"), 2); !errors.Is(err, broken) {
			t.Errorf("want %v, got %v", broken, err)
		}
		fail = nil // as the system does: it tells of an error once
	}
	wantSyncs(t, syncs, 2, "a failed sync is not repeated")
	if b, err := ReadAll(t.Context(), d, "name", 10); string(b) != "1" {
		t.Errorf("want the old content, got %q, error %v", b, err)
	}
}

// TestSyncMounted has another file system inside the store, which one sync
// does not reach.
func TestSyncMounted(t *testing.T) {
	d, _ := watchSyncs(t, nil)
	inside := filepath.Join(d.path, "inside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", inside).CombinedOutput(); err != nil {
		t.Skipf("this test mounts a file system: %v: %s", err, out)
	}
	defer exec.Command("umount", inside).Run()
	root, err := os.OpenRoot(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	below, err := root.OpenRoot("inside")
	if err != nil {
		t.Fatal(err)
	}
	if d.later.begin(root, below) {
		t.Error("want files below the mount synced on their own")
	}
	below.Close()
	pushes(t, d, "+1", "inside/+2", "name")
	if !d.later.begin(root, root) {
		t.Error("want files beside the mount synced later")
	}
	d.later.end()
}

// TestSyncAgain makes a folder that was durable, went, and came back.
func TestSyncAgain(t *testing.T) {
	d, _ := watchSyncs(t, nil)
	for _, gone := range []func() error{
		func() error { return d.Delete(t.Context(), "a/b/c") },
		func() error { return os.RemoveAll(filepath.Join(d.path, "a")) }, // another process
	} {
		pushes(t, d, "a/b/c")
		if err := gone(); err != nil {
			t.Fatal(err)
		}
		pushes(t, d, "a/b/+d")
		for _, folder := range []string{"a", "a/b"} {
			if _, known := d.synced.Load(folder); known {
				t.Errorf("%s was made anew, and is still taken to be durable", folder)
			}
		}
		if err := os.RemoveAll(filepath.Join(d.path, "a")); err != nil {
			t.Fatal(err)
		}
	}
}
