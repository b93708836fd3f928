// Package s3 keeps a repository in a bucket of any object store that speaks
// Amazon's S3 protocol. It is for publishers: clients read the same bucket over
// HTTPS, through a CDN if there is one, and need nothing of this package.
//
// # What holds
//
// Everything that package store promises: S3 makes an object visible whole or
// not at all, and keeps it once it has said so. A read that breaks off goes on
// where it was, if the object is still the same one by its ETag.
//
// # The lock
//
// S3 has no locks. The object ".lock" stands for one: it is made only where
// there is none (a conditional write, RFC 9110, section 13.1.2), renewed while
// it is held, and taken over by others when it was not renewed for [lease]. A
// publisher that was cut off for so long, and then goes on, finds that out when
// it renews or unlocks; what it wrote in between is content that nothing signed
// names, and the conditional write of the lock keeps two from signing at the
// same time only as far as clocks agree to within a few minutes.
//
// # Limits
//
// The server must honour conditional writes: Amazon, MinIO, Ceph, Cloudflare R2
// and versitygw do. An object has at most 5 TiB.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/treegraft-dev/treegraft/store"
)

// Store is a [store.Store] in a bucket, below a prefix. Make one with [Open].
type Store struct {
	core   minio.Core
	bucket string
	prefix string // "" or ending in a slash
	where  string // for people
}

// Open returns the store at s3://BUCKET/PREFIX. The query may name an endpoint
// (a URL, for other services than Amazon's) and a region; else they come from
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, and AWS_REGION. Credentials come from
// the environment (AWS_ACCESS_KEY_ID and its like), from the file that Amazon's
// own tools share, or from the machine's role. No request is made yet.
func Open(location string) (*Store, error) {
	s, err := open(location)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", location, err)
	}
	return s, nil
}

func open(location string) (*Store, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "s3" || u.Host == "" || u.User != nil {
		return nil, errors.New("want s3://BUCKET/PREFIX, and no password in it")
	}
	query := u.Query()
	for name := range query {
		if name != "endpoint" && name != "region" {
			return nil, fmt.Errorf("unknown setting %q: want endpoint or region", name)
		}
	}
	endpoint := cmp.Or(query.Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
	e, err := url.Parse(endpoint)
	if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" || strings.Trim(e.Path, "/") != "" {
		return nil, fmt.Errorf("endpoint %q: want https://HOST", endpoint)
	}
	core, err := minio.NewCore(e.Host, &minio.Options{
		Secure: e.Scheme == "https",
		Region: cmp.Or(query.Get("region"), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: http.DefaultClient},
		}),
	})
	if err != nil {
		return nil, err
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		if err := store.CheckName(prefix); err != nil {
			return nil, err
		}
		prefix += "/"
	}
	return &Store{core: *core, bucket: u.Host, prefix: prefix, where: "s3://" + u.Host + "/" + prefix}, nil
}

// check returns an error for a name that may not be used, or a context that has
// ended.
func (s *Store) check(ctx context.Context, verb, name string) error {
	if err := cmp.Or(ctx.Err(), store.CheckName(name)); err != nil {
		return fmt.Errorf("%s %s: %w", verb, s.where, err)
	}
	return nil
}

// failed gives an error of the server the meaning that package store promises.
func (s *Store) failed(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	known := err
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		switch {
		case answer.StatusCode == http.StatusPreconditionFailed, answer.StatusCode == http.StatusConflict && answer.Code == "ConditionalRequestConflict":
			known = errors.Join(fs.ErrExist, err)
		case answer.StatusCode == http.StatusNotFound:
			known = errors.Join(fs.ErrNotExist, err)
		case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
			known = errors.Join(fs.ErrPermission, err)
		}
	}
	return fmt.Errorf("%s %s%s: %w", verb, s.where, name, known)
}

// Delete removes a file; to delete a missing one is no error.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.check(ctx, "delete", name); err != nil {
		return err
	}
	err := s.failed("delete", name, s.core.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List yields the files whose names begin with prefix, in order of their bytes.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield(store.Info{}, s.failed("list", prefix, o.Err))
				return
			}
			name := strings.TrimPrefix(o.Key, s.prefix)
			if store.CheckName(name) != nil {
				continue // ours alone, as the lock is, or not ours at all
			}
			if !yield(store.Info{Name: name, Size: o.Size, Modified: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(store.Info{}, fmt.Errorf("list %s: %w", s.where, err))
		}
	}
}

// Push stores size bytes under a name, in place of what was there.
func (s *Store) Push(ctx context.Context, name string, r io.Reader, size int64) error {
	return s.push(ctx, name, r, size, minio.PutObjectOptions{})
}

// PushNew is Push for a name that must be free: otherwise it is fs.ErrExist.
func (s *Store) PushNew(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := s.check(ctx, "push", name); err != nil {
		return err
	}
	// Before the bytes are sent. The condition below decides.
	_, err := s.core.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{})
	if err == nil {
		return fmt.Errorf("push %s%s: %w", s.where, name, fs.ErrExist)
	}
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	return s.push(ctx, name, r, size, o)
}

// partSize is what is held in memory at once, twice, of a large object: so much
// is sent again when a connection breaks.
const partSize = 16 << 20

func (s *Store) push(ctx context.Context, name string, r io.Reader, size int64, o minio.PutObjectOptions) error {
	if err := s.check(ctx, "push", name); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("push %s%s: size %d: %w", s.where, name, size, fs.ErrInvalid)
	}
	o.PartSize, o.NumThreads, o.ContentType = partSize, 2, "application/octet-stream"
	exact := &exactReader{r: r, left: size}
	var err error
	if size <= partSize {
		// Whole in memory, so that it can be sent again.
		b := make([]byte, size)
		if _, err = io.ReadFull(exact, b); err == nil {
			err = exact.end()
		}
		if err == nil {
			_, err = s.core.Client.PutObject(ctx, s.bucket, s.prefix+name, strings.NewReader(string(b)), size, o)
		}
	} else {
		_, err = s.core.Client.PutObject(ctx, s.bucket, s.prefix+name, exact, size, o)
	}
	if exact.err != nil { // more to the point than what the server made of it
		err = exact.err
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return s.failed("push", name, err)
}

// exactReader fails where what it reads has fewer or more bytes than it should,
// before it has given the last of them away: so no such object comes about.
type exactReader struct {
	r    io.Reader
	left int64
	err  error
}

func (x *exactReader) Read(p []byte) (int, error) {
	if x.err != nil {
		return 0, x.err
	}
	if x.left == 0 {
		return 0, cmp.Or(x.end(), io.EOF)
	}
	n, err := x.r.Read(p[:min(int64(len(p)), x.left)])
	x.left -= int64(n)
	switch {
	case err == io.EOF && x.left > 0:
		x.err = fmt.Errorf("want %d bytes more: %w", x.left, io.ErrUnexpectedEOF)
	case err != nil && err != io.EOF:
		x.err = err
	case x.left == 0:
		x.err = x.end()
	}
	if x.err != nil {
		return 0, x.err
	}
	return n, nil
}

// errMore says that a reader has more than it was said to have.
var errMore = errors.New("want the end, got more bytes")

// end reads beyond the last byte.
func (x *exactReader) end() error {
	if x.err != nil {
		return x.err
	}
	var one [1]byte
	n, err := io.ReadFull(x.r, one[:])
	switch {
	case n > 0:
		x.err = errMore
	case err != io.EOF:
		x.err = err
	}
	return x.err
}
