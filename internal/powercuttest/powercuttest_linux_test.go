package powercuttest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// What was synced is in every later state; what was not is lost in some.
func TestCuts(t *testing.T) {
	for _, fsys := range FileSystems() {
		t.Run(fsys.Name, func(t *testing.T) {
			d := New(t, fsys)
			dir, unmount := d.Mount(t)
			d.Record()
			write(t, filepath.Join(dir, "synced"), true)
			d.Mark("synced")
			write(t, filepath.Join(dir, "not synced"), false)
			d.Mark("end")
			d.Stop()
			unmount()
			lost, states := 0, 0
			for c := range d.Cuts(rng(), 6) {
				states++
				dir, unmount := c.Image.Mount(t, fsys)
				b, err := os.ReadFile(filepath.Join(dir, "synced"))
				if c.Mark != "" && (err != nil || !bytes.Equal(b, content)) {
					t.Errorf("after %q: synced content is lost: %d bytes, %v", c.Mark, len(b), err)
				}
				if b, _ := os.ReadFile(filepath.Join(dir, "not synced")); !bytes.Equal(b, content) {
					lost++
				}
				unmount()
			}
			if states != 6 || lost == 0 {
				t.Errorf("want 6 states, and something lost, got %d and %d", states, lost)
			}
		})
	}
}

var content = bytes.Repeat([]byte("0123456789abcdef"), 1<<10)

func write(t *testing.T, name string, sync bool) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if !sync {
		return
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := errors.Join(f.Sync(), dir.Sync()); err != nil {
		t.Fatal(err)
	}
}

// A device that fails is heard of by who syncs.
func TestFail(t *testing.T) {
	fsys := FileSystems()[0]
	d := New(t, fsys)
	dir, _ := d.Mount(t)
	d.Fail(func() syscall.Errno { return syscall.EIO })
	defer d.Fail(nil)
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: want EIO, got %v", err)
	}
}
