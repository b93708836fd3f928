package store

import (
	"context"
	"errors"
	"io"
	"iter"
)

// A Dir is a Store in a folder: what a static file server publishes, a mirror
// on a disk, or an offline bundle.
type Dir struct {
	path string
}

// OpenDir returns the store in a folder, which must exist.
func OpenDir(path string) (*Dir, error) { return &Dir{path: path}, nil }

var errTODO = errors.New("not yet")

// Fetch reads a file.
func (d *Dir) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	return nil, errTODO
}

// Push stores a file in place of what was there.
func (d *Dir) Push(ctx context.Context, name string, r io.Reader, size int64) error { return errTODO }

// PushNew stores a file under a free name.
func (d *Dir) PushNew(ctx context.Context, name string, r io.Reader, size int64) error {
	return errTODO
}

// Delete removes a file.
func (d *Dir) Delete(ctx context.Context, name string) error { return errTODO }

// List yields the files whose names begin with prefix.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) { yield(Info{}, errTODO) }
}

// Lock makes its caller the only publisher.
func (d *Dir) Lock(ctx context.Context, holder string) (unlock func() error, err error) {
	return nil, errTODO
}
