package delta

import (
	"context"
	"fmt"
	"hash"
	"io"

	"github.com/treegraft-dev/treegraft/manifest"
)

// A blobWriter divides what a frame makes among its new blobs, and finishes
// each of them when its digest is the wanted one.
type blobWriter struct {
	ctx    context.Context
	refs   []Ref // not yet created
	create func(Ref) (Output, error)

	cur  Output // nil when the present blob is skipped
	want Ref    // the present blob
	left int64  // bytes of it to come
	hash hash.Hash
	busy bool // there is a present blob
}

func (w *blobWriter) Write(p []byte) (n int, err error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	for n < len(p) {
		if err := w.advance(); err != nil {
			return n, err
		}
		if !w.busy {
			return n, badFormat("frame", "want the end of the last new blob, got more")
		}
		part := p[n:min(int64(len(p)), int64(n)+w.left)]
		if w.cur != nil {
			w.hash.Write(part)
			if _, err := w.cur.Write(part); err != nil {
				return n, fmt.Errorf("write new blob %v: %w", w.want.Digest, err)
			}
		}
		n, w.left = n+len(part), w.left-int64(len(part))
	}
	// Finish a full blob at once: whoever waits for it need not wait for the next.
	return n, w.advance()
}

// advance finishes a blob that is full, and creates the next ones up to the
// first that wants bytes.
func (w *blobWriter) advance() error {
	for !w.busy || w.left == 0 {
		if w.busy {
			if err := w.complete(); err != nil {
				return err
			}
		}
		if len(w.refs) == 0 {
			return nil
		}
		w.want, w.refs = w.refs[0], w.refs[1:]
		out, err := w.create(w.want)
		if err != nil {
			return fmt.Errorf("create new blob %v: %w", w.want.Digest, err)
		}
		w.cur, w.left, w.busy = out, w.want.Size, true
		if w.hash == nil {
			w.hash = manifest.NewHash()
		}
		w.hash.Reset()
	}
	return nil
}

// complete hands over the present blob, if it is what it should be.
func (w *blobWriter) complete() error {
	w.busy = false
	if w.cur == nil {
		return nil
	}
	var err error
	if got := manifest.SumOf(w.hash); got != w.want.Digest {
		err = &DigestError{What: "new blob", Want: w.want.Digest, Got: got}
	}
	if e := w.cur.Finish(err); err == nil && e != nil {
		err = fmt.Errorf("finish new blob %v: %w", w.want.Digest, e)
	}
	return err
}

// finish ends the frame. After an error, the present blob is given up.
func (w *blobWriter) finish(err error) error {
	if err == nil {
		err = w.advance()
	}
	if err == nil && (w.busy || len(w.refs) > 0) {
		err = badFormat("frame", "want %d more bytes of new blob %v: %v", w.left, w.want.Digest, io.ErrUnexpectedEOF)
	}
	if w.busy && w.cur != nil {
		w.busy = false
		w.cur.Finish(err)
	}
	return err
}
