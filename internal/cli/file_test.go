package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	broken := errors.New("broken")
	for _, c := range []struct {
		text string
		err  error
		want string
	}{{"first", nil, "first"}, {"second", broken, "first"}, {"third", nil, "third"}} {
		err := WriteFile(name, 0o640, func(f *os.File) error {
			if _, err := f.WriteString(c.text); err != nil {
				return err
			}
			return c.err
		})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: want %v, got %v", c.text, c.err, err)
		}
		if b, err := os.ReadFile(name); err != nil || string(b) != c.want {
			t.Errorf("%s: want %q, got %q, %v", c.text, c.want, b, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("%s: left behind: %q", c.text, left)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 && os.PathSeparator == '/' {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if err := WriteFile(filepath.Join(dir, "no", "f"), 0o600, func(*os.File) error { return nil }); err == nil {
		t.Error("a file in a missing folder: want an error")
	}
}

func TestPassphrase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from the file\r\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TOOL_SECRET", "from the environment")
	for _, c := range []struct {
		name string
		p    Passphrase
		want string
	}{
		{"file first", Passphrase{File: file, Env: "TOOL_SECRET"}, "from the file"},
		{"environment", Passphrase{Env: "TOOL_SECRET"}, "from the environment"},
		{"empty file", Passphrase{File: empty, Env: "TOOL_SECRET"}, ""},
		{"missing file", Passphrase{File: file + "-not", Env: "TOOL_SECRET"}, ""},
		{"nowhere", Passphrase{Env: "TOOL_NOT_SET"}, ""},
	} {
		got, err := (&Out{}).Passphrase(c.p)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: want %q, got %q, %v", c.name, c.want, got, err)
		}
	}
}
