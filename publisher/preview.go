package publisher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// pushFunc is a store's Push or PushNew.
type pushFunc func(ctx context.Context, name string, r io.Reader, size int64) error

// preview is a store with files that are not written yet.
type preview struct {
	store.Fetcher
	pending map[string][]byte
}

func newPreview(f store.Fetcher, files []trust.File) *preview {
	p := &preview{f, make(map[string][]byte, len(files))}
	for _, f := range files {
		p.pending[f.Name] = f.Data
	}
	return p
}

// Fetch reads a pending file, or else one of the store.
func (p *preview) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	b, ok := p.pending[name]
	if !ok {
		return p.Fetcher.Fetch(ctx, name, offset, length)
	}
	size := int64(len(b))
	if length == -1 {
		length = max(size-offset, 0)
	}
	if offset < 0 || length < 0 || offset+length < offset {
		return nil, fmt.Errorf("fetch %s: offset %d, length %d: %w", name, offset, length, fs.ErrInvalid)
	}
	if length > size || offset > size-length {
		return nil, fmt.Errorf("fetch %s: want bytes %d to %d, got a file of %d: %w", name, offset, offset+length, size, io.ErrUnexpectedEOF)
	}
	return &pendingFile{ctx, bytes.NewReader(b[offset : offset+length])}, nil
}

// pendingFile reads from memory, but ends as the reader of a store does.
type pendingFile struct {
	ctx  context.Context
	rest *bytes.Reader // nil after Close
}

func (f *pendingFile) Read(p []byte) (int, error) {
	if f.rest == nil {
		return 0, fs.ErrClosed
	}
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.rest.Read(p)
}

func (f *pendingFile) Close() error {
	f.rest = nil
	return nil
}
