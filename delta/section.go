package delta

import (
	"encoding/binary"
	"io"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// A native frame is cut in sections, each with its own covers, so that making
// one needs only so much of new in memory. Reading streams, whatever the size.
// docs/FORMAT.md has the bytes.
//
// The control columns come last in making: which old blobs a frame reads, and
// so where these stand, is known only when all covers are.
type section struct {
	size   int64 // new bytes
	covers int64
	coding coding
	tables uint // log2 of slots
	layout []module
	cols   [numColumns]columnSize
}

// coding says what the data columns are.
type coding uint

const (
	codingMixed     coding = 1 << iota // residuals are in the column mixed
	codingExtra                        // and extra bytes too
	codingPredicted                    // residuals have columns, after prediction
	codingInvalid                      // the first that has no meaning
)

const (
	minTables = 12
	maxTables = 20
)

// columnSize tells where a column is in the frame, and how long.
type columnSize struct{ raw, stored, at int64 }

// eachColumn calls f for all columns in their stored order.
func eachColumn(list []section, f func(*columnSize)) {
	for _, part := range [][2]column{{colLayout, colZeros}, {colZeros, numColumns}} {
		for i := range list {
			for c := part[0]; c < part[1]; c++ {
				f(&list[i].cols[c])
			}
		}
	}
}

const (
	maxSections    = 1 << 16
	maxFrameHeader = 1 << 24
	maxLayout      = 1 << 18
)

func appendSections(b []byte, list []section, seals []macho.Seal) []byte {
	h := binary.AppendUvarint(nil, uint64(len(list)))
	for _, s := range list {
		h = binary.AppendUvarint(h, uint64(s.size))
		h = binary.AppendUvarint(h, uint64(s.covers))
		h = binary.AppendUvarint(h, uint64(s.coding))
		if s.coding&codingMixed != 0 {
			h = binary.AppendUvarint(h, uint64(s.tables))
		}
		h = binary.AppendUvarint(h, s.present())
		for _, c := range s.cols {
			if c.raw > 0 {
				h = binary.AppendUvarint(h, uint64(c.raw))
				h = binary.AppendUvarint(h, uint64(c.stored))
			}
		}
	}
	h = appendSeals(h, seals)
	b = binary.AppendUvarint(b, uint64(len(h)))
	return append(b, h...)
}

// present returns a bit for each column that has content.
func (s *section) present() (mask uint64) {
	for c, size := range s.cols {
		if size.raw > 0 {
			mask |= 1 << c
		}
	}
	return mask
}

// readSections reads the header of a native frame that makes newSize bytes.
func readSections(r *io.SectionReader, newSize int64) ([]section, []macho.Seal, error) {
	const what = "native frame"
	var prefix [binary.MaxVarintLen64]byte
	n, err := r.ReadAt(prefix[:], 0)
	if err != nil && err != io.EOF {
		return nil, nil, badFormat(what, "%v", err)
	}
	p := wireReader{what: what, b: prefix[:n]}
	size := p.uint("header size", min(maxFrameHeader, r.Size()))
	at := int64(n - len(p.b))
	if p.err != nil {
		return nil, nil, p.err
	}
	head := make([]byte, size)
	if _, err := r.ReadAt(head, at); err != nil && err != io.EOF || at+size > r.Size() {
		return nil, nil, badFormat(what, "want a header of %d bytes", size)
	}
	w := &wireReader{what: what, b: head}
	at += size
	list := make([]section, min(w.count("number of sections", 4), maxSections))
	left := newSize
	for i := range list {
		s := w.section(left, r.Size())
		left -= s.size
		list[i] = s
	}
	seals := w.seals(newSize)
	if err := w.end(); err != nil {
		return nil, nil, err
	}
	eachColumn(list, func(c *columnSize) { c.at, at = at, min(at+c.stored, maxOffset) })
	if left != 0 || at != r.Size() {
		return nil, nil, badFormat(what, "sections: %d new bytes and %d stored bytes are left over", left, r.Size()-at)
	}
	return list, seals, nil
}

// section reads one section that makes at most newLeft bytes, of columns that
// take at most maxStored each.
func (r *wireReader) section(newLeft, maxStored int64) (s section) {
	s.size = r.uint("section size", newLeft)
	if s.size == 0 {
		r.fail("section: want at least one new byte")
	}
	s.covers = r.uint("covers", s.size)
	s.coding = coding(r.uint("coding", int64(codingInvalid)-1))
	if s.coding&codingMixed != 0 {
		s.tables = uint(r.uint("tables", maxTables))
	}
	present := r.uint("columns", 1<<numColumns-1)
	for c := range s.cols {
		if present>>c&1 == 0 {
			continue
		}
		limit := s.size // no column but the numbers is longer than new
		if column(c) < colValue || column(c) == colMixed {
			limit = binary.MaxVarintLen64 * (s.size + 1)
		}
		if column(c) == colLayout {
			limit = maxLayout
		}
		raw := r.uint("column", limit)
		stored := r.uint("stored column", min(raw, maxStored))
		s.cols[c] = columnSize{raw: raw, stored: stored}
		if raw == 0 || stored == 0 {
			r.fail("column %v: want at least one byte", column(c))
		}
	}
	r.checkCoding(&s)
	return s
}

// checkCoding checks that a section has those columns that its coding uses.
func (r *wireReader) checkCoding(s *section) {
	if r.err != nil {
		return
	}
	plain := s.cols[colZeros].raw + s.cols[colRun].raw + s.cols[colValue].raw
	mixed, layout := s.cols[colMixed].raw, s.cols[colLayout].raw
	switch {
	case s.coding == 0 && mixed+layout == 0, s.coding == codingPredicted && mixed == 0 && s.covers <= maxMixedCovers:
	case s.coding&codingMixed == 0:
		r.fail("coding %d: want no mixed column, a layout only for prediction, and then at most %d covers", s.coding, maxMixedCovers)
	case s.coding&codingPredicted != 0:
		r.fail("coding: want mixed or predicted columns, got both")
	case s.tables < minTables || s.covers > maxMixedCovers:
		r.fail("mixed section: want tables of at least %d and at most %d covers, got %d and %d",
			minTables, maxMixedCovers, s.tables, s.covers)
	case plain > 0 || s.coding&codingExtra != 0 && s.cols[colExtra].raw > 0:
		r.fail("mixed section: want no columns beside the mixed one")
	case s.cols[colMixed].raw != s.cols[colMixed].stored:
		r.fail("mixed column: want it as it is")
	}
}
