package gate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// maxRecord bounds what is read of a record.
const maxRecord = 64 << 10

// readSmall reads a record. It neither waits for a writer, as on a named pipe,
// nor follows a symlink.
func readSmall(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("want a file, got %v", info.Mode().Type())
	}
	f, err := os.OpenFile(name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(b) > maxRecord {
		err = fmt.Errorf("want at most %d bytes, got more", maxRecord)
	}
	return b, err
}

// replace gives name the content b in one step. It need not survive a power
// cut, which no process does.
func replace(name string, b []byte) error {
	draft := name + ".new"
	if err := os.WriteFile(draft, b, 0o600); err != nil {
		return err
	}
	return patiently(func() error { return os.Rename(draft, name) })
}

// patiently tries again for a moment, since on Windows a file that somebody
// reads cannot be replaced or removed.
func patiently(do func() error) error {
	err := do()
	for range 20 {
		if err == nil || runtime.GOOS != "windows" {
			break
		}
		time.Sleep(5 * time.Millisecond)
		err = do()
	}
	return err
}

// syncDir makes what happened to the entries of a folder durable.
func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
