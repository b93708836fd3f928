// Package store moves published bytes: it reads them from a folder or over
// HTTP, and writes them where a publisher keeps its repository.
//
// A store is a flat set of named files. A name is a slash path such as
// objects/aa/aa0f… that [fs.ValidPath] accepts and that means the same file
// everywhere: UTF-8, at most 1,024 bytes, no control characters, none of
// \ : < > " | ? *, and no component that begins with a dot or ends with a dot
// or a space. Names with a leading dot belong to the store itself. A name that
// breaks these rules is refused with [fs.ErrInvalid] before anything is read.
//
// # What holds
//
//   - A file is visible whole or not at all. Who reads while it is replaced
//     gets the old bytes or the new ones, never some of both: [HTTP] resumes a
//     broken answer only where a strong validator (RFC 9110, section 8.8) or a
//     hash of what was already delivered proves that the file is still the same,
//     and else fails with [ErrChanged].
//   - Nothing is read without a bound: a caller names the length, or uses
//     [ReadAll] or [Download], which do.
//   - A file that [Download] leaves under its path has the wanted size and
//     digest. Until then its bytes carry another name.
//   - When Push returns, the file survives a power cut, and so do all files that
//     were pushed before it. Until then, what PushNew stored may be lost.
//
// # What does not
//
// A store proves nothing about who wrote a file: that is the business of
// signatures and of digests in signed documents. [Download] does not sync:
// whoever makes a downloaded file part of something durable does.
package store

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/treegraft-dev/treegraft/manifest"
)

// A Fetcher reads published files. Its methods may be called from several
// goroutines at once.
type Fetcher interface {
	// Fetch reads length bytes of the file from offset on; a length of -1
	// reads to its end, a length of 0 only asks whether it is there. The
	// reader ends with io.EOF after exactly these bytes. A file that ends
	// before them gives io.ErrUnexpectedEOF, here or from the reader. A missing
	// file, or a folder, is fs.ErrNotExist, a forbidden one fs.ErrPermission, a bad name
	// fs.ErrInvalid. The context rules the reader too, until it is closed.
	Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)
}

// A Pusher changes published files.
type Pusher interface {
	// Push stores the size bytes of r under a name, in place of what was
	// there. It fails, and changes nothing, when r holds fewer or more.
	Push(ctx context.Context, name string, r io.Reader, size int64) error
	// PushNew is Push for a name that must be free: otherwise it fails with
	// fs.ErrExist and changes nothing. Of two at the same time, one wins. The
	// file may be lost, or broken, in a power cut before the next Push returns.
	PushNew(ctx context.Context, name string, r io.Reader, size int64) error
	// Delete removes a file. To delete a missing one is no error.
	Delete(ctx context.Context, name string) error
}

// A Store is what a publisher needs. Each store passes the suite in storetest.
type Store interface {
	Fetcher
	Pusher
	// List yields the files whose names begin with prefix, sorted by the
	// bytes of their names. It ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
	// Lock makes its caller the only publisher until it calls unlock. When
	// there is one already, Lock fails at once with a *LockedError. The
	// holder tells people who that is. Unlock fails when the lock was lost in
	// the meantime.
	Lock(ctx context.Context, holder string) (unlock func() error, err error)
}

// Info describes a published file.
type Info struct {
	Name     string
	Size     int64
	Modified time.Time
}

// Content is what a file must hold: so many bytes, with this digest.
type Content struct {
	Size   int64
	Digest manifest.Digest
}

// Open returns the Fetcher for a location, which is an http or https URL, a
// file URL, or the path of a folder. The options are used for the first two.
func Open(location string, options HTTPOptions) (Fetcher, error) {
	scheme, _, isURL := strings.Cut(location, "://")
	switch strings.ToLower(scheme) {
	case "http", "https":
		if isURL {
			return NewHTTP(location, options)
		}
	case "file":
		if isURL {
			path, err := filePath(location)
			if err != nil {
				return nil, err
			}
			return OpenDir(path)
		}
	}
	if isURL {
		return nil, fmt.Errorf("open store %q: want a folder or a file, http or https URL, got scheme %q", location, scheme)
	}
	return OpenDir(location)
}

// filePath turns a file URL (RFC 8089) into a path of this system.
func filePath(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", fmt.Errorf("open store: %w", err)
	}
	if u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("open store %q: want a file URL of this machine, got host %q", location, u.Host)
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, "/") // file:///C:/folder
	}
	return filepath.FromSlash(path), nil
}

// ReadAll returns the content of a file of at most max bytes. A longer one
// gives a *LimitError; not more than one byte beyond max is read of it.
func ReadAll(ctx context.Context, f Fetcher, name string, max int64) ([]byte, error) {
	body, err := f.Fetch(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, min(max, math.MaxInt64-1)+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > max {
		return nil, &LimitError{Name: name, Max: max}
	}
	return b, nil
}

// maxName is the longest name in bytes: S3 allows no longer keys.
const maxName = 1024

// CheckName returns an error that is fs.ErrInvalid when a name breaks the
// rules in the package comment.
func CheckName(name string) error {
	fault := ""
	switch {
	case len(name) > maxName:
		return fmt.Errorf("name %.40q…: want at most %d bytes, got %d: %w", name, maxName, len(name), fs.ErrInvalid)
	case !utf8.ValidString(name):
		fault = "not UTF-8"
	case !fs.ValidPath(name) || name == ".":
		fault = "not a slash path below the store"
	case strings.ContainsFunc(name, badRune):
		fault = `a control character or one of \ : < > " | ? *`
	default:
		for part := range strings.SplitSeq(name, "/") {
			if part[0] == '.' || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
				fault = "a component with a leading dot or a trailing dot or space"
			}
		}
	}
	if fault != "" {
		return fmt.Errorf("name %q: %s: %w", name, fault, fs.ErrInvalid)
	}
	return nil
}

func badRune(r rune) bool {
	return r < 0x20 || 0x7f <= r && r < 0xa0 || strings.ContainsRune(`\:<>"|?*`, r)
}

// CheckRange refuses a range that no file can have, with [fs.ErrInvalid].
func CheckRange(name string, offset, length int64) error {
	if offset < 0 || length < -1 || length > 0 && offset+length < offset {
		return fmt.Errorf("fetch %s: offset %d, length %d: %w", name, offset, length, fs.ErrInvalid)
	}
	return nil
}

// errShort is the cause when a file ends before the range that was asked for.
func errShort(name string, want, got int64) error {
	return fmt.Errorf("fetch %s: want %d bytes, got a file of %d: %w", name, want, got, io.ErrUnexpectedEOF)
}
