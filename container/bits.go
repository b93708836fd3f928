package container

import (
	"encoding/binary"
	"errors"
	"io"
)

// errTruncated says that a deflate stream ends too early.
var errTruncated = errors.New("input ends inside a block")

// bitReader reads bits as RFC 1951 §3.1.1 packs them: from the lowest of each
// byte on. Reading behind the end yields zeros and sets n below zero.
type bitReader struct {
	r    io.Reader // nil when buf is all there is
	buf  []byte
	i    int   // next byte of buf
	base int64 // position of buf[0]
	acc  uint64
	n    int // valid bits of acc; higher ones are right or zero
	err  error
}

// refill leaves at least 56 valid bits, as long as there is input.
func (b *bitReader) refill() {
	if len(b.buf)-b.i < 8 {
		b.more()
	}
	if len(b.buf)-b.i >= 8 && b.n >= 0 {
		b.acc |= binary.LittleEndian.Uint64(b.buf[b.i:]) << b.n
		b.i += (63 - b.n) >> 3
		b.n |= 56
		return
	}
	for b.n >= 0 && b.n <= 56 && b.i < len(b.buf) {
		b.acc |= uint64(b.buf[b.i]) << b.n
		b.i++
		b.n += 8
	}
}

// more reads on, behind the bytes that are left.
func (b *bitReader) more() {
	if b.r == nil {
		return
	}
	left := copy(b.buf[:cap(b.buf)], b.buf[b.i:])
	b.base += int64(b.i)
	b.i, b.buf = 0, b.buf[:cap(b.buf)]
	n, err := io.ReadFull(b.r, b.buf[left:])
	b.buf = b.buf[:left+n]
	if err != nil {
		b.r = nil
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			b.err = err
		}
	}
}

// take returns the next k bits, at most 16. The caller has refilled.
func (b *bitReader) take(k int) uint {
	v := uint(b.acc & (1<<k - 1))
	b.drop(k)
	return v
}

func (b *bitReader) drop(k int) {
	b.acc >>= k
	b.n -= k
}

// pos returns the position of the next bit.
func (b *bitReader) pos() int64 { return (b.base+int64(b.i))*8 - int64(b.n) }

// fail returns an error if more was read than there was.
func (b *bitReader) fail() error {
	if b.err != nil {
		return b.err
	}
	if b.n < 0 {
		return errTruncated
	}
	return nil
}

// bytes reads whole bytes after those in acc were aligned.
func (b *bitReader) bytes(dst []byte) error {
	for len(dst) > 0 {
		b.refill()
		if b.n < 8 {
			b.n = min(b.n, -1)
			return b.fail()
		}
		for b.n >= 8 && len(dst) > 0 {
			dst[0] = byte(b.take(8))
			dst = dst[1:]
		}
	}
	return nil
}

// bitWriter is the counterpart of bitReader. It appends whole bytes to out.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint // below 8 between calls of put and flush
}

// put appends the lowest k bits of v, at most 56. Higher ones must be zero.
func (b *bitWriter) put(v uint64, k uint) {
	b.acc |= v << b.n
	b.n += k
	if b.n >= 8 {
		b.flush()
	}
}

// flush appends the whole bytes of acc.
func (b *bitWriter) flush() {
	whole := b.n &^ 7
	b.out = binary.LittleEndian.AppendUint64(b.out, b.acc)
	b.out = b.out[:len(b.out)-8+int(whole/8)]
	b.acc >>= whole
	b.n -= whole
}

// copyBits appends the first k bits of packed bytes.
func (b *bitWriter) copyBits(packed []byte, k int) {
	for ; k >= 8; k -= 8 {
		b.put(uint64(packed[0]), 8)
		packed = packed[1:]
	}
	if k > 0 {
		b.put(uint64(packed[0])&(1<<k-1), uint(k))
	}
}
