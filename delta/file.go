package delta

import (
	"context"
	"fmt"
	"io"

	"github.com/treegraft-dev/treegraft/manifest"
)

// PatchFile writes to w the new file that a delta makes out of the old file.
// The delta is a pack of at most one old and exactly one new blob, or a
// BSDIFF40 patch. The bytes written are good only if the error is nil; a
// BSDIFF40 patch carries no digest, so nobody can tell whether it fits.
func PatchFile(ctx context.Context, w io.Writer, old, delta *io.SectionReader) error {
	var magic [len(bsdiffMagic)]byte
	if _, err := delta.ReadAt(magic[:], 0); err != nil {
		return fmt.Errorf("read delta: %w", noEOF(err))
	}
	if string(magic[:]) == bsdiffMagic {
		return patchPlainBSDIFF40(ctx, w, old, delta)
	}
	h, err := ReadHead(io.NewSectionReader(delta, 0, delta.Size()), Limits{})
	if err != nil {
		return err
	}
	if len(h.Old) > 1 || len(h.Frames) != 1 || len(h.Frames[0].New) != 1 {
		return badFormat("delta", "want one old and one new file, got %d and %d frames", len(h.Old), len(h.Frames))
	}
	if h.PackSize() != delta.Size() {
		return badFormat("delta", "want %d bytes, got %d", h.PackSize(), delta.Size())
	}
	for _, want := range h.Old {
		got, _, err := manifest.SumReader(&ctxReader{ctx, io.NewSectionReader(old, 0, old.Size())})
		if err != nil {
			return fmt.Errorf("read old file: %w", err)
		}
		if got != want.Digest {
			return &DigestError{What: "old file", Want: want.Digest, Got: got}
		}
	}
	f := &h.Frames[0]
	return h.Patch(ctx, 0, io.NewSectionReader(delta, f.Offset, f.Size),
		func(int) (File, error) { return unclosed{old}, nil },
		func(Ref) (Output, error) { return plainOutput{w}, nil })
}

func patchPlainBSDIFF40(ctx context.Context, w io.Writer, old, delta *io.SectionReader) error {
	p, err := openBSDIFF40(delta)
	if err != nil {
		return err
	}
	set := &oldSet{
		space: newSpace([]Ref{{Size: old.Size()}}),
		ids:   []int{0},
		open:  func(int) (File, error) { return unclosed{old}, nil },
		pages: map[int64]*page{},
	}
	return patchBSDIFF40(&ctxWriter{ctx, w}, set, delta, p.size)
}

// unclosed is a file that its owner closes.
type unclosed struct{ io.ReaderAt }

func (unclosed) Close() error { return nil }

// plainOutput passes bytes on; the error comes back from Patch.
type plainOutput struct{ io.Writer }

func (plainOutput) Finish(error) error { return nil }

// A ctxWriter stops writing when its context ends.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
