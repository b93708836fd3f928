package delta

import "encoding/binary"

// A wireReader takes apart a byte slice. After the first fault it returns
// zeros and keeps the error.
type wireReader struct {
	what string // for errors
	b    []byte
	err  error
}

func (r *wireReader) fail(why string, args ...any) {
	if r.err == nil {
		r.err = badFormat(r.what, why, args...)
	}
	r.b = nil
}

// uint reads a varint of at most limit, in its shortest form.
func (r *wireReader) uint(what string, limit int64) int64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	switch {
	case n <= 0:
		r.fail("%s: want a number, got %d bytes without its end", what, len(r.b))
	case n > 1 && r.b[n-1] == 0:
		r.fail("%s: want the shortest form of a number", what)
	case v > uint64(limit):
		r.fail("%s: want at most %d, got %d", what, limit, v)
	default:
		r.b = r.b[n:]
		return int64(v)
	}
	return 0
}

// count reads the number of items that follow, each of at least size bytes, so
// that no count can make us allocate more than the input is long.
func (r *wireReader) count(what string, size int) int {
	return int(r.uint(what, int64(len(r.b)/size)))
}

// bytes returns the next n bytes, or as many zeros.
func (r *wireReader) bytes(what string, n int) []byte {
	if n > len(r.b) {
		r.fail("%s: want %d bytes, got %d", what, n, len(r.b))
	}
	if r.err != nil {
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *wireReader) ref(what string, maxSize int64) (x Ref) {
	x.Size = r.uint(what+" size", maxSize)
	copy(x.Digest[:], r.bytes(what+" digest", len(x.Digest)))
	return x
}

func (r *wireReader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("want the end, got %d more bytes", len(r.b))
	}
	return r.err
}

func appendRef(b []byte, r Ref) []byte {
	b = binary.AppendUvarint(b, uint64(r.Size))
	return append(b, r.Digest[:]...)
}
