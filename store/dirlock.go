package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockFile carries the lock, which the system drops when its process
	// ends, however it ends. The file itself stays: to remove it would let two
	// publishers lock two files of the same name.
	lockFile = ".lock"
	// holderFile says who holds the lock. It is a file of its own, because a
	// locked one cannot be read on Windows.
	holderFile = ".lock-holder"
	// tempAge is how old a temporary file must be to count as left behind by
	// a publisher that was killed.
	tempAge = 24 * time.Hour
)

// Lock makes its caller the only publisher, also among other processes. It
// ends with the process at the latest. Lock sweeps what killed publishers
// left half-written more than a day ago.
func (d *Dir) Lock(ctx context.Context, holder string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("lock store %s: %w", d.path, err)
	}
	lock := flock.New(filepath.Join(d.path, lockFile), flock.SetPermissions(0o644))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock store %s: %w", d.path, err)
	}
	holderPath := filepath.Join(d.path, holderFile)
	if !locked {
		other, _ := os.ReadFile(holderPath) // only tells people who it is
		return nil, &LockedError{Store: d.path, Holder: string(other)}
	}
	err = os.WriteFile(holderPath, []byte(holder), 0o644)
	if err == nil {
		err = d.sweep(ctx)
	}
	if err != nil {
		lock.Unlock()
		return nil, fmt.Errorf("lock store %s: %w", d.path, err)
	}
	return func() error {
		return cmp.Or(os.Remove(holderPath), lock.Unlock())
	}, nil
}

// sweep removes old temporary files.
func (d *Dir) sweep(ctx context.Context) error {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return cmp.Or(err, ctx.Err())
		}
		if !e.Type().IsRegular() || !strings.HasPrefix(path.Base(name), tempPrefix) {
			return nil
		}
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) > tempAge {
			err = root.Remove(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
