package exe

import (
	"bytes"
	"io"
	"math"
	"sort"

	"github.com/treegraft-dev/treegraft/container"
)

// A program with compressed sections is compared in its unpacked form. An image
// is the program as it was, as far as its format is told by it: where sections
// are compressed, it has zeros. Other files are their own image, without parts.
type image struct {
	form  []byte
	parts []container.Part
}

func newImage(file []byte) *image { return &image{file, container.Parts(file)} }

func (m *image) ReadAt(b []byte, at int64) (n int, err error) {
	if len(m.parts) == 0 {
		return bytes.NewReader(m.form).ReadAt(b, at)
	}
	last := m.parts[len(m.parts)-1]
	if at < 0 || at >= last.File+last.Size {
		return 0, io.EOF
	}
	n = int(min(int64(len(b)), last.File+last.Size-at))
	clear(b[:n])
	for _, p := range m.from(at) {
		if p.File >= at+int64(n) {
			break
		}
		from, to := max(at, p.File), min(at+int64(n), p.File+p.Size)
		if from < to && !p.Packed {
			copy(b[from-at:to-at], m.form[p.Form+from-p.File:][:to-from])
		}
	}
	if n < len(b) {
		err = io.EOF
	}
	return n, err
}

// find returns where a part of the file is in the form: of what is compressed
// in it, the content. Outside of a form, that is where the file says, be it
// beyond its end.
func (m *image) find(pos, size uint64) (at, length uint64, packed bool) {
	if len(m.parts) == 0 {
		return pos, size, false
	}
	for _, p := range m.from(int64(min(pos, math.MaxInt64))) {
		from := uint64(p.File)
		switch {
		case p.Packed && from-pos < size:
			return uint64(p.Form), uint64(p.Length), true
		case !p.Packed && pos-from < uint64(p.Size):
			at, length = uint64(p.Form)+pos-from, min(size, uint64(p.Size)-(pos-from))
		case from >= pos && from-pos >= size:
			return at, length, false
		}
	}
	return at, length, false
}

// from returns the parts that do not end before a place.
func (m *image) from(at int64) []container.Part {
	i := sort.Search(len(m.parts), func(i int) bool { return m.parts[i].File+m.parts[i].Size > at })
	return m.parts[i:]
}
