package delta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/treegraft-dev/treegraft/container"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Compressed content defeats every delta: one changed byte changes all that
// follow. So a file in a container (gzip, zip, PNG, or a program with compressed
// sections) is compared in its unpacked form, which package container makes, and
// makes the file from again. An unpacked frame is made of one old blob and makes
// one new one: varints with the sizes of both forms, then a native frame from
// form to form.

const (
	minContainer = 1 << 10
	maxForm      = 1 << 40
	formMemory   = 4 << 20 // of a form, before it goes to a temporary file
)

// inContainer reports whether a blob looks like a container.
func inContainer(b *Blob) bool {
	if b.Size < minContainer || b.Open == nil {
		return false
	}
	f, err := b.Open()
	if err != nil {
		return false // whoever needs the content will say why
	}
	defer f.Close()
	return container.Known(f, b.Size)
}

// A form is the unpacked form of a file, in memory or in a temporary file.
type form struct {
	spool
	most int64
}

func (f *form) Write(p []byte) (int, error) {
	if f.size+int64(len(p)) > f.most {
		return 0, &LimitError{What: "unpacked form", Max: f.most, Size: f.size + int64(len(p))}
	}
	return f.spool.Write(p)
}

// ReadAt reads the form once it is written.
func (f *form) ReadAt(p []byte, at int64) (int, error) {
	if f.file != nil {
		return f.file.ReadAt(p, at)
	}
	b := f.mem.Bytes()
	if at >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// unpack returns the form of a file, of at most so many bytes. The error is
// container.ErrPlain if there is none.
func unpack(ctx context.Context, r io.ReaderAt, size, most int64) (*form, error) {
	f := &form{spool: spool{limit: formMemory}, most: most}
	if err := container.Unpack(ctx, f, r, size); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// formBlob opens a blob and returns its form as a blob.
func formBlob(ctx context.Context, b *Blob) (*form, Blob, error) {
	file, err := b.Open()
	if err != nil {
		return nil, Blob{}, fmt.Errorf("open %s: %w", b.Name, err)
	}
	defer file.Close()
	f, err := unpack(ctx, file, b.Size, maxForm)
	if err != nil {
		return nil, Blob{}, err
	}
	d, n, err := manifest.SumReader(io.NewSectionReader(f, 0, f.size))
	if err != nil {
		f.close()
		return nil, Blob{}, err
	}
	return f, Blob{Name: b.Name, Ref: Ref{d, n}, Open: func() (File, error) { return unclosed{f}, nil }}, nil
}

// unpackedFrame makes a delta between the unpacked forms of a new blob and its
// old one. It returns nil if one of them has none.
func (p *packer) unpackedFrame(ctx context.Context, j *job) (*frameResult, error) {
	i, ok := p.pairs.find(&j.blobs[0])
	if !ok {
		return nil, nil
	}
	plain := func(err error) error {
		if errors.Is(err, container.ErrPlain) {
			return nil
		}
		return err
	}
	oldForm, old, err := formBlob(ctx, &p.old[i])
	if err != nil {
		return nil, plain(err)
	}
	defer oldForm.close()
	newForm, new, err := formBlob(ctx, &j.blobs[0])
	if err != nil {
		return nil, plain(err)
	}
	defer newForm.close()
	q := newPacker([]Blob{old}, nil, p.o)
	if err := q.load(ctx); err != nil {
		return nil, err
	}
	r, err := q.nativeFrame(ctx, &job{blobs: []Blob{new}, size: new.Size})
	if err != nil {
		return nil, err
	}
	defer r.data.close()
	data := &spool{limit: spoolMemory}
	sizes := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(old.Size)), uint64(new.Size))
	if _, err = data.Write(sizes); err == nil {
		_, err = r.data.WriteTo(data)
	}
	if err != nil {
		data.close()
		return nil, err
	}
	return &frameResult{kind: KindUnpacked, old: []int{i}, data: data}, nil
}

// patchUnpacked makes a new blob out of an unpacked frame.
func patchUnpacked(ctx context.Context, out io.Writer, old *oldSet, r *io.SectionReader) error {
	const what = "unpacked frame"
	var prefix [2 * binary.MaxVarintLen64]byte
	n, err := r.ReadAt(prefix[:], 0)
	if err != nil && err != io.EOF {
		return badFormat(what, "%v", err)
	}
	p := wireReader{what: what, b: prefix[:n]}
	oldSize, newSize := p.uint("size of the old form", maxForm), p.uint("size of the new form", maxForm)
	if p.err != nil {
		return p.err
	}
	at := int64(n - len(p.b))
	f, err := unpack(ctx, old, old.size(), oldSize)
	if err != nil {
		return fmt.Errorf("unpack old blob: %w", err)
	}
	defer f.close()
	if f.size != oldSize {
		return badFormat(what, "want an old form of %d bytes, got %d", oldSize, f.size)
	}
	forms := &oldSet{space: newSpace([]Ref{{Size: oldSize}}), ids: []int{0}, pages: map[int64]*page{},
		open: func(int) (File, error) { return unclosed{f}, nil }}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(patchNative(pw, forms, io.NewSectionReader(r, at, r.Size()-at), newSize))
	}()
	err = container.Repack(ctx, out, pr)
	pr.CloseWithError(errors.Join(err, os.ErrClosed)) // ends the other side in any case
	<-done
	return err
}

// ReadAt reads the old blobs of a frame as if they stood one behind the other.
func (s *oldSet) ReadAt(p []byte, at int64) (int, error) {
	n := min(int64(len(p)), s.size()-at)
	if n <= 0 {
		return 0, io.EOF
	}
	if err := s.readAt(p[:n], at); err != nil {
		return 0, err
	}
	if int(n) < len(p) {
		return int(n), io.EOF
	}
	return int(n), nil
}
