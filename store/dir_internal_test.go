package store

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRenameNew tries what PushNew does on file systems without hard links.
func TestRenameNew(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var group sync.WaitGroup
	var winner atomic.Value
	for _, temp := range []string{".tmp-1", ".tmp-2", ".tmp-3", ".tmp-4"} {
		if err := root.WriteFile(temp, []byte(temp), 0o644); err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			switch err := d.renameNew(root, temp, "name"); {
			case err == nil:
				if !winner.CompareAndSwap(nil, temp) {
					t.Error("two have won")
				}
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("want fs.ErrExist, got %v", err)
			}
		})
	}
	group.Wait()
	if got, err := root.ReadFile("name"); err != nil || string(got) != winner.Load() {
		t.Errorf("want the content of %v, got %q, error %v", winner.Load(), got, err)
	}
}
