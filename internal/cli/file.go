package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxRoot bounds the bytes of a root.json, as package trust does.
const MaxRoot = 512 << 10

// WriteFile makes the file name, or replaces it, by what write writes. The
// file appears whole and synced, or not at all; until then its bytes have
// another name in the same folder.
func WriteFile(name string, mode fs.FileMode, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".unfinished-*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	// Windows renames only what is closed.
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
