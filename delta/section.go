package delta

import (
	"encoding/binary"
	"io"
)

// A native frame is cut in sections, each with its own covers, so that making
// one needs only so much of new in memory. Reading streams, whatever the size.
//
//	uvarint  bytes of the header that follows
//	header   uvarint  number of sections
//	         for each section:
//	           uvarint  new bytes
//	           uvarint  covers
//	           for each column: uvarint raw bytes, uvarint stored bytes
//	columns  skip, length and jump of the first section, of the second, …
//	columns  zeros, run, value and extra of the first, of the second, …
//
// The control columns come last in making: which old blobs a frame reads, and
// so where these stand, is known only when all covers are.
type section struct {
	size   int64 // new bytes
	covers int64
	cols   [numColumns]columnSize
}

// columnSize tells where a column is in the frame, and how long.
type columnSize struct{ raw, stored, at int64 }

// eachColumn calls f for all columns in their stored order.
func eachColumn(list []section, f func(*columnSize)) {
	for _, part := range [][2]column{{colSkip, colZeros}, {colZeros, numColumns}} {
		for i := range list {
			for c := part[0]; c < part[1]; c++ {
				f(&list[i].cols[c])
			}
		}
	}
}

const (
	maxSections     = 1 << 16
	maxSectionBytes = 1 << 40
	maxFrameHeader  = 1 << 24
)

func appendSections(b []byte, list []section) []byte {
	h := binary.AppendUvarint(nil, uint64(len(list)))
	for _, s := range list {
		h = binary.AppendUvarint(h, uint64(s.size))
		h = binary.AppendUvarint(h, uint64(s.covers))
		for _, c := range s.cols {
			h = binary.AppendUvarint(h, uint64(c.raw))
			h = binary.AppendUvarint(h, uint64(c.stored))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(h)))
	return append(b, h...)
}

// readSections reads the header of a native frame that makes newSize bytes.
func readSections(r *io.SectionReader, newSize int64) ([]section, error) {
	const what = "native frame"
	var prefix [binary.MaxVarintLen64]byte
	n, err := r.ReadAt(prefix[:], 0)
	if err != nil && err != io.EOF {
		return nil, badFormat(what, "%v", err)
	}
	p := wireReader{what: what, b: prefix[:n]}
	size := p.uint("header size", min(maxFrameHeader, r.Size()))
	at := int64(n - len(p.b))
	if p.err != nil {
		return nil, p.err
	}
	head := make([]byte, size)
	if _, err := r.ReadAt(head, at); err != nil && err != io.EOF || at+size > r.Size() {
		return nil, badFormat(what, "want a header of %d bytes", size)
	}
	w := &wireReader{what: what, b: head}
	at += size
	list := make([]section, min(w.count("number of sections", 2+2*int(numColumns)), maxSections))
	for i := range list {
		s := w.section(newSize, r.Size())
		newSize -= s.size
		list[i] = s
	}
	if err := w.end(); err != nil {
		return nil, err
	}
	eachColumn(list, func(c *columnSize) { c.at, at = at, min(at+c.stored, maxOffset) })
	if newSize != 0 || at != r.Size() {
		return nil, badFormat(what, "sections: %d new bytes and %d stored bytes are left over", newSize, r.Size()-at)
	}
	return list, nil
}

// section reads one section that makes at most newLeft bytes, of columns that
// take at most maxStored each.
func (r *wireReader) section(newLeft, maxStored int64) (s section) {
	s.size = r.uint("section size", newLeft)
	if s.size == 0 {
		r.fail("section: want at least one new byte")
	}
	s.covers = r.uint("covers", s.size)
	for c := range s.cols {
		limit := s.size // no column but the numbers is longer than new
		if column(c) < colValue {
			limit = binary.MaxVarintLen64 * (s.size + 1)
		}
		raw := r.uint("column", limit)
		stored := r.uint("stored column", min(raw, maxStored))
		s.cols[c] = columnSize{raw: raw, stored: stored}
		if (raw == 0) != (stored == 0) {
			r.fail("column %v: want both sizes zero or none, got %d and %d", column(c), raw, stored)
		}
	}
	return s
}
