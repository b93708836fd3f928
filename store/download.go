package store

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/treegraft-dev/treegraft/manifest"
)

// restarts bounds how often one Download reads a file from its start again,
// because it changed while it was read.
const restarts = 3

// Download brings a file to a local path, and returns when it is there with
// the wanted size and digest. A file that is there already is left as it is.
//
// The bytes arrive in a partial file beside path, with a name that holds the
// digest and ends in .unverified. It stays when Download fails or is
// cancelled, and the next call for the same content goes on from its end.
// Content that proves wrong is removed, and gives a *MismatchError.
//
// Progress, which may be nil, is told how many bytes of the file are here.
// The number falls when the file has to be read from its start again.
// Two calls for the same path at the same time are not allowed.
func Download(ctx context.Context, f Fetcher, name, path string, want Content, progress func(n int64)) (err error) {
	if progress == nil {
		progress = func(int64) {}
	}
	if holds(path, want) {
		progress(want.Size)
		return nil
	}
	d := download{f: f, name: name, want: want, progress: progress}
	d.buffer = make([]byte, min(want.Size+1, 256<<10)) // small for many small files
	partial := partialName(path, want)
	if err := d.openPartial(partial); err != nil {
		return fmt.Errorf("download %s: %w", name, err)
	}
	err = d.run(ctx)
	if e := d.file.Close(); err == nil && e != nil {
		err = fmt.Errorf("download %s: %w", name, e)
	}
	if errors.As(err, new(*MismatchError)) {
		os.Remove(partial) // if it stays, the next call finds that it is wrong
	}
	if err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("download %s: %w", name, err)
	}
	return nil
}

// partialName binds a partial file to what it shall become, so that bytes of
// other content are never continued. Half the digest is enough for that, as
// the whole digest is checked in the end.
func partialName(path string, want Content) string {
	return fmt.Sprintf("%s.%x.unverified", path, want.Digest[:len(want.Digest)/2])
}

// holds reports whether a regular file has some content.
func holds(path string, want Content) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != want.Size {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	digest, n, err := manifest.SumReader(io.LimitReader(f, want.Size+1))
	return err == nil && n == want.Size && digest == want.Digest
}

// A download is one call of Download.
type download struct {
	f        Fetcher
	name     string
	want     Content
	progress func(int64)
	buffer   []byte

	file    *os.File  // the partial file
	sum     hash.Hash // of its bytes
	have    int64     // how many these are
	resumed bool      // some of them are from an earlier call
}

// openPartial opens the partial file and hashes what it holds. Whether that is
// too much or wrong, fetch finds out.
func (d *download) openPartial(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		if err := os.Remove(path); err != nil { // never write through a link
			return err
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	d.file, d.sum = file, manifest.NewHash()
	if d.have, err = io.CopyBuffer(d.sum, onlyReader{io.LimitReader(file, d.want.Size+1)}, d.buffer); err != nil {
		file.Close()
		return err
	}
	d.resumed = d.have > 0
	d.progress(min(d.have, d.want.Size))
	return nil
}

// onlyReader hides WriteTo, so that io.CopyBuffer uses its buffer.
type onlyReader struct{ io.Reader }

// restart forgets what is here.
func (d *download) restart() error {
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d.sum.Reset()
	d.have, d.resumed = 0, false
	d.progress(0)
	return nil
}

// run fetches and verifies what is missing. When it fails with a partial file
// of an earlier call, that one may be to blame: it was never synced, so a power
// cut may have spoiled it. Then all is fetched anew.
func (d *download) run(ctx context.Context) error {
	for try := 0; ; try++ {
		err := d.fetch(ctx)
		switch {
		case errors.Is(err, ErrChanged) && try < restarts:
		case d.resumed && (errors.As(err, new(*MismatchError)) || errors.Is(err, io.ErrUnexpectedEOF)):
		default:
			return err
		}
		if err := d.restart(); err != nil {
			return fmt.Errorf("download %s: %w", d.name, err)
		}
	}
}

// fetch appends the missing bytes and verifies all.
func (d *download) fetch(ctx context.Context) error {
	if d.have < d.want.Size || d.want.Size == 0 {
		if err := d.fetchRest(ctx); err != nil {
			return err
		}
	}
	got := Content{Size: d.have, Digest: manifest.SumOf(d.sum)}
	if got != d.want {
		return &MismatchError{Name: d.name, Want: d.want, Got: got}
	}
	return nil
}

// fetchRest appends the missing bytes. A whole file is asked for without a
// range, as that is what caches on the way keep best.
func (d *download) fetchRest(ctx context.Context) error {
	length := int64(-1)
	if d.have > 0 {
		length = d.want.Size - d.have
	}
	body, err := d.f.Fetch(ctx, d.name, d.have, length)
	if err != nil {
		return err
	}
	defer body.Close()
	for {
		n, err := body.Read(d.buffer[:min(int64(len(d.buffer)), d.want.Size-d.have+1)])
		if d.have+int64(n) > d.want.Size {
			return &MismatchError{Name: d.name, Want: d.want, Got: Content{Size: d.want.Size + 1}}
		}
		if n > 0 {
			if _, err := d.file.Write(d.buffer[:n]); err != nil {
				return fmt.Errorf("download %s: %w", d.name, err)
			}
			d.sum.Write(d.buffer[:n])
			d.have += int64(n)
			d.progress(d.have)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
