package smallfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, max := range []int64{4, 5, 1 << 40} {
		if b, err := Read(name, max); err != nil || string(b) != "four" {
			t.Errorf("at most %d: got %q, %v", max, b, err)
		}
	}
	for _, max := range []int64{0, 3} {
		if b, err := Read(name, max); b != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("at most %d: want an error that names the file, got %q, %v", max, b, err)
		}
	}
	if _, err := Read(name+".missing", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
	if _, err := Read(filepath.Dir(name), 4); err == nil {
		t.Error("a folder: want an error")
	}
}
