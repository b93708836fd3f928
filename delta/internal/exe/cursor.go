package exe

import (
	"bytes"
	"errors"
)

// errBroken says that an area has not what it should.
var errBroken = errors.New("broken area")

// A cursor reads bytes of an area one behind the other, from any place on. Its
// error is sticky: then all is zero.
type cursor struct {
	read  ReadAt
	limit uint64 // where it ends
	chunk int    // bytes to read at once
	buf   []byte
	rest  []byte // of buf, not read yet
	end   uint64 // place of the end of buf
	err   error
}

// mend goes on after an area was broken, and returns other errors.
func (c *cursor) mend() error {
	if c.err == errBroken {
		c.err = nil
	}
	return c.err
}

// place returns where the next byte is.
func (c *cursor) place() uint64 { return c.end - uint64(len(c.rest)) }

// seek goes to a place.
func (c *cursor) seek(pos uint64) {
	if back := c.end - pos; pos <= c.end && back <= uint64(len(c.buf)) {
		c.rest = c.buf[uint64(len(c.buf))-back:]
		return
	}
	c.buf, c.rest, c.end = c.buf[:0], nil, pos
}

// fill reads on when everything is read.
func (c *cursor) fill() bool {
	if c.err == nil && c.end >= c.limit {
		c.err = errBroken
	}
	if c.err != nil {
		c.rest = nil
		return false
	}
	if c.buf == nil {
		c.buf = make([]byte, c.chunk)
	}
	c.buf = c.buf[:min(uint64(cap(c.buf)), c.limit-c.end)]
	if c.err = c.read(c.buf, c.end); c.err != nil {
		c.rest = nil
		return false
	}
	c.rest = c.buf
	c.end += uint64(len(c.buf))
	return true
}

func (c *cursor) byte() byte {
	if len(c.rest) == 0 && !c.fill() {
		return 0
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	return b
}

// number reads a little-endian number of n bytes.
func (c *cursor) number(n int) (v uint64) {
	for i := range n {
		v |= uint64(c.byte()) << (8 * i)
	}
	return v
}

// uleb reads a LEB128 number of at most ten bytes; what does not fit in 64 bits
// is lost. Those with a sign are as long.
func (c *cursor) uleb() (v uint64) {
	for shift := 0; shift < 70; shift += 7 {
		b := c.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	if c.err == nil {
		c.err = errBroken
	}
	return 0
}

func (c *cursor) skip(n uint64) {
	if n <= uint64(len(c.rest)) {
		c.rest = c.rest[n:]
		return
	}
	if n -= uint64(len(c.rest)); n > c.limit-min(c.end, c.limit) {
		c.rest, c.err = nil, errBroken
		return
	}
	c.buf, c.rest, c.end = c.buf[:0], nil, c.end+n
}

// text passes over bytes up to a zero.
func (c *cursor) text() {
	for len(c.rest) > 0 || c.fill() {
		i := bytes.IndexByte(c.rest, 0)
		if i >= 0 {
			c.rest = c.rest[i+1:]
			return
		}
		c.rest = nil
	}
}
