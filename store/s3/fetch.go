package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/treegraft-dev/treegraft/store"
)

// Fetch reads a range of a file, as [store.Fetcher] says.
func (s *Store) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := s.check(ctx, "fetch", name); err != nil {
		return nil, err
	}
	if err := store.CheckRange(name, offset, length); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &reader{s: s, ctx: ctx, stop: stop, name: name, at: offset, end: offset + length}
	if err := r.open(length); err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

// retries bounds how often one read goes on after a broken connection.
const retries = 5

// reader reads a range of one version of an object.
type reader struct {
	s       *Store
	ctx     context.Context // of the reader, from Fetch to Close
	stop    context.CancelFunc
	name    string
	at, end int64 // what is still to be read
	etag    string
	body    io.ReadCloser
	tries   int
}

// open finds the object, and its size where the end is not known.
func (r *reader) open(length int64) error {
	if length == 0 || r.at > 0 {
		info, err := r.s.core.StatObject(r.ctx, r.s.bucket, r.s.prefix+r.name, minio.StatObjectOptions{})
		if err != nil {
			return r.s.failed("fetch", r.name, err)
		}
		r.etag = info.ETag
		if length < 0 {
			r.end = info.Size
		}
		if r.at > info.Size || r.end > info.Size {
			return r.short(info.Size)
		}
	}
	if length < 0 && r.at == 0 {
		r.end = -1 // as far as it goes
	}
	if r.at == r.end {
		return nil
	}
	return r.connect()
}

func (r *reader) short(size int64) error {
	return fmt.Errorf("fetch %s%s: want bytes up to %d, got a file of %d: %w", r.s.where, r.name, max(r.at, r.end), size, io.ErrUnexpectedEOF)
}

// connect asks for what is left, of the version that was begun.
func (r *reader) connect() error {
	var o minio.GetObjectOptions
	if r.end >= 0 {
		if err := o.SetRange(r.at, r.end-1); err != nil {
			return err
		}
	}
	if r.etag != "" {
		if err := o.SetMatchETag(r.etag); err != nil {
			return err
		}
	}
	body, info, _, err := r.s.core.GetObject(r.ctx, r.s.bucket, r.s.prefix+r.name, o)
	var answer minio.ErrorResponse
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("fetch %s%s: %w", r.s.where, r.name, store.ErrChanged)
	case errors.As(err, &answer) && answer.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return r.short(0)
	case err != nil:
		return r.s.failed("fetch", r.name, err)
	}
	if r.etag != "" && info.ETag != r.etag {
		body.Close()
		return fmt.Errorf("fetch %s%s: %w", r.s.where, r.name, store.ErrChanged)
	}
	r.body, r.etag = body, info.ETag
	if r.end < 0 {
		r.end = info.Size
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if r.at == r.end {
			return 0, io.EOF
		}
		if r.body == nil {
			if err := r.connect(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.at)])
		r.at += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
		r.body.Close()
		r.body = nil
		if r.tries++; r.tries > retries || errors.Is(err, fs.ErrClosed) {
			if err == io.EOF {
				return 0, r.short(r.at)
			}
			return 0, fmt.Errorf("fetch %s%s: %w", r.s.where, r.name, err)
		}
		if err == io.EOF { // the object ends here, or the connection did
			info, statErr := r.s.core.StatObject(r.ctx, r.s.bucket, r.s.prefix+r.name, minio.StatObjectOptions{})
			if statErr != nil {
				return 0, r.s.failed("fetch", r.name, statErr)
			}
			if info.ETag == r.etag && info.Size < r.end {
				return 0, r.short(info.Size)
			}
		}
	}
}

func (r *reader) Close() error {
	r.stop()
	r.end = r.at
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}
