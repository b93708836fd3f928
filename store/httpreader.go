package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/treegraft-dev/treegraft/manifest"
)

// An httpReader reads a range of one version of a file, over as many answers
// as it takes.
//
// Bytes of two versions never mix. A strong validator is sent along when an
// answer is taken up again, so that the server proves that the file is the
// same. Without one, the range is read again from its start, and its bytes
// up to pos must have the same hash as those that were delivered.
type httpReader struct {
	h          *HTTP
	ctx        context.Context
	name       string
	start, pos int64 // first byte of the range, next byte to deliver
	length     int64 // as asked for: -1 to the end
	end        int64 // byte after the range, -1 while unknown

	validator string    // strong, of the version that is being read; or ""
	total     int64     // size of the file, -1 while unknown
	delivered hash.Hash // of the bytes from start to pos, without a validator

	answer    *answer // nil between two answers
	answerEnd int64   // byte after the answer's last one, -1 while unknown
	failure   error   // of the last answer, not yet dealt with
	tries     int     // failures since the last progress
	since     int64   // bytes since the last failure
	err       error   // sticky
}

// askedEnd returns the end of the range as far as the caller of Fetch fixed it.
func (r *httpReader) askedEnd() int64 {
	if r.length < 0 {
		return -1
	}
	return r.start + r.length
}

func (r *httpReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, r.err
	}
	for r.err == nil {
		switch err := r.ctx.Err(); {
		case err != nil: // at once, though the system may hold more bytes
			r.err = fmt.Errorf("fetch %s: %w", r.name, err)
		case r.failure != nil:
			r.err = r.retry(r.failure)
			r.failure = nil
			if r.err == nil {
				r.err = r.open()
			}
		case r.end >= 0 && r.pos >= r.end:
			r.drop()
			r.err = io.EOF
		default:
			if n := r.readAnswer(p); n > 0 {
				return n, nil
			}
		}
	}
	return 0, r.err
}

// readAnswer reads from the current answer, and notes how it ended.
func (r *httpReader) readAnswer(p []byte) int {
	for _, end := range []int64{r.end, r.answerEnd} {
		if end >= 0 {
			p = p[:min(int64(len(p)), end-r.pos)]
		}
	}
	n, err := r.answer.Read(p)
	r.pos += int64(n)
	r.since += int64(n)
	if r.delivered != nil {
		r.delivered.Write(p[:n])
	}
	if err == nil && r.pos == r.answerEnd && r.pos != r.end {
		err = io.EOF // the server gave less than was asked for, which it may
	}
	if err != nil {
		r.drop()
		r.failure = r.afterAnswer(err)
	}
	return n
}

// afterAnswer says what an answer's end means: nil when it completes the range.
func (r *httpReader) afterAnswer(err error) error {
	switch {
	case err != io.EOF:
		return err
	case r.pos == r.end:
		return nil
	case r.answerEnd >= 0: // the rest needs another answer
		return &temporaryError{cause: fmt.Errorf("fetch %s from %s: %w", r.name, r.h.base.Host, errBroken)}
	case r.end < 0: // only now the size of the file is known
		r.end = r.pos
		return nil
	}
	return errShort(r.name, r.end, r.pos)
}

// Close ends the reader.
func (r *httpReader) Close() error {
	r.drop()
	if r.err == nil {
		r.err = fmt.Errorf("fetch %s: %w", r.name, fs.ErrClosed)
	}
	return nil
}

// drop ends the current answer, and keeps its connection when it was read to
// its end.
func (r *httpReader) drop() {
	if r.answer != nil {
		r.answer.close(r.pos == r.answerEnd)
		r.answer = nil
	}
}

// open gets an answer that goes on at pos, with as many tries as it may.
func (r *httpReader) open() error {
	for {
		err := r.request()
		if err == nil {
			return nil
		}
		if err = r.retry(err); err != nil {
			return err
		}
	}
}

// request asks once for the bytes from pos on.
func (r *httpReader) request() error {
	method, header, from := http.MethodGet, http.Header{}, r.pos
	switch {
	case r.length == 0:
		method = http.MethodHead
	case r.validator == "":
		from = r.start
	case r.pos > r.start:
		header.Set("If-Range", r.validator)
	}
	if asked := r.askedEnd(); r.length > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, asked-1))
	} else if from > 0 && r.length < 0 {
		header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	}
	a, err := r.h.do(r.ctx, method, r.name, header)
	if err != nil {
		return err
	}
	p, err := readPart(a.Response)
	switch {
	case a.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		err = r.acceptNothing(p.total)
	case a.StatusCode != http.StatusOK && a.StatusCode != http.StatusPartialContent:
		err = statusError(r.name, r.h.publicURL(r.name), a.Response)
	case err != nil:
		err = fmt.Errorf("fetch %s from %s: %w", r.name, r.h.base.Host, err)
	default:
		if err = r.accept(a, p, from); err == nil {
			r.answer, r.answerEnd = a, p.end
			return nil
		}
	}
	a.close(true)
	return err
}

// acceptNothing judges the answer that the file, of size bytes (-1: it does
// not say), has none from pos on.
func (r *httpReader) acceptNothing(size int64) error {
	if r.pos > r.start {
		return fmt.Errorf("fetch %s: %w", r.name, ErrChanged)
	}
	if r.length < 0 && size == r.start {
		r.end = r.start
		return nil
	}
	return errShort(r.name, max(r.start+1, r.askedEnd()), size)
}

// accept checks that an answer continues the version that is being read, and
// skips what it holds before pos.
func (r *httpReader) accept(a *answer, p part, from int64) error {
	if a.StatusCode == http.StatusPartialContent && p.start != from {
		return fmt.Errorf("fetch %s from %s: want bytes from %d on, got from %d on", r.name, r.h.base.Host, from, p.start)
	}
	if r.pos == r.start {
		r.begin(p)
	} else if !r.sameVersion(a.StatusCode, p) {
		return fmt.Errorf("fetch %s: %w", r.name, ErrChanged)
	}
	if r.length >= 0 && p.total >= 0 && p.total < r.end || p.total >= 0 && p.total < r.start {
		return errShort(r.name, max(r.start, r.end), p.total)
	}
	if r.length == 0 {
		return nil
	}
	if p.end >= 0 && p.end < r.pos {
		return fmt.Errorf("fetch %s from %s: want bytes from %d on, got up to %d", r.name, r.h.base.Host, r.pos, p.end)
	}
	return r.skip(a, p.start)
}

// begin takes the version of an answer as the one to read. Nothing of another
// version has been delivered.
func (r *httpReader) begin(p part) {
	r.validator, r.total, r.end, r.delivered = p.validator, p.total, r.askedEnd(), nil
	if r.validator == "" {
		r.delivered = manifest.NewHash()
	}
	if r.end < 0 {
		r.end = p.total
	}
}

// sameVersion reports whether an answer may continue the version that is being
// read. Without a validator, skip has the last word.
func (r *httpReader) sameVersion(status int, p part) bool {
	if p.total >= 0 && r.total >= 0 && p.total != r.total {
		return false
	}
	if r.validator == "" || p.validator == r.validator {
		return true
	}
	// A partial answer to If-Range need not repeat a date (RFC 9110, 15.3.7).
	return status == http.StatusPartialContent && p.validator == ""
}

// skip reads an answer that starts before pos up to there.
func (r *httpReader) skip(a *answer, from int64) error {
	until := r.pos
	if r.delivered != nil {
		until = r.start
	}
	n, err := io.CopyN(io.Discard, a, until-from)
	if err == nil && until < r.pos {
		again, sum := manifest.NewHash(), r.delivered.Sum(nil)
		n, err = io.CopyN(again, a, r.pos-until)
		if err == nil && !bytes.Equal(again.Sum(nil), sum) {
			return fmt.Errorf("fetch %s: %w", r.name, ErrChanged)
		}
	}
	if errors.Is(err, io.EOF) {
		if r.pos > r.start {
			return fmt.Errorf("fetch %s: %w", r.name, ErrChanged)
		}
		return errShort(r.name, r.start, from+n)
	}
	return err
}
