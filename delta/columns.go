package delta

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A native frame keeps numbers and bytes of one meaning together: like stands
// beside like, and each column is compressed for itself.
type column int

const (
	colLayout column = iota // modules, of which references are predicted
	colSkip                 // new bytes between the last cover and this one, from extra
	colLength               // bytes of the cover
	colJump                 // old position, from the end of the last cover; zigzag
	colZeros                // residuals that are zero, then
	colRun                  // how many follow that are not, and
	colValue                // these: new byte minus predicted byte
	colMixed                // instead of the three before, and maybe of extra: a stream of bits
	colExtra                // new bytes that no cover explains
	numColumns
)

var columnNames = [numColumns]string{"layout", "skip", "length", "jump", "zeros", "run", "value", "mixed", "extra"}

func (c column) String() string { return columnNames[c] }

// window returns the zstd window of a column: a reader holds all columns of a
// section open at once, and these sum up to less than 20 MiB.
func (c column) window() int {
	switch c {
	case colExtra:
		return 8 << 20
	case colValue:
		return 4 << 20
	case colLayout, colSkip, colLength, colJump: // open beside the tables of a mixed section
		return 256 << 10
	default:
		return 1 << 20
	}
}

const shortColumn = 4 << 10

// packColumn returns the stored form of a column: compressed, or as it is when
// that is not longer. The sizes tell a reader which.
func packColumn(c column, raw []byte, l Level) []byte {
	if len(raw) == 0 {
		return nil
	}
	e, done := encoderKind{l.zstd(len(raw)), c.window()}.encoder()
	defer done()
	if b := e.EncodeAll(raw, nil); len(b) < len(raw) {
		return b
	}
	return raw
}

// zstd returns the level for a column of n bytes. The best one begins with
// clearing 34 MB, which saves nothing in a short column.
func (l Level) zstd(n int) zstd.EncoderLevel {
	switch {
	case l == Fast:
		return zstd.SpeedDefault
	case n < shortColumn:
		return zstd.SpeedBetterCompression
	}
	return zstd.SpeedBestCompression
}

// A columnReader reads one column as a stream.
type columnReader struct {
	bufio.Reader
	what  string
	left  io.LimitedReader // raw bytes not yet taken from the decoder
	after io.Reader        // the same decoder, without the limit
	close func()
}

// openColumn returns a reader of the raw bytes of a column whose stored bytes
// are those of r.
func openColumn(c column, r *io.SectionReader, raw int64) (*columnReader, error) {
	cr := &columnReader{what: "column " + c.String(), after: r, close: func() {}}
	if r.Size() != raw {
		d, err := newZstdReader(r, c.window())
		if err != nil {
			return nil, badFormat(cr.what, "%v", err)
		}
		cr.after, cr.close = d, d.Close
	}
	cr.left = io.LimitedReader{R: cr.after, N: raw}
	cr.Reader = *bufio.NewReaderSize(&cr.left, int(min(max(raw, 16), 16<<10)))
	return cr, nil
}

// newZstdReader returns a decoder that holds at most twice the window in memory.
func newZstdReader(r io.Reader, window int) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(window)))
}

// number reads one number.
func (c *columnReader) number(limit int64) (int64, error) {
	v, err := binary.ReadUvarint(&c.Reader)
	if err != nil {
		return 0, c.fault(err)
	}
	if v > uint64(limit) {
		return 0, badFormat(c.what, "want at most %d, got %d", limit, v)
	}
	return int64(v), nil
}

// jump reads a number with a sign.
func (c *columnReader) jump() (int64, error) {
	v, err := binary.ReadVarint(&c.Reader)
	return v, c.fault(err)
}

func (c *columnReader) fill(p []byte) error {
	_, err := io.ReadFull(&c.Reader, p)
	return c.fault(err)
}

func (c *columnReader) fault(err error) error {
	if err == nil {
		return nil
	}
	return badFormat(c.what, "%v", noEOF(err))
}

// end checks that the column is used up, with nothing hidden behind it.
func (c *columnReader) end() error {
	if c.Buffered() > 0 || c.left.N > 0 {
		return badFormat(c.what, "want its end, got more")
	}
	switch n, err := io.ReadFull(c.after, make([]byte, 1)); {
	case n > 0:
		return badFormat(c.what, "want its end, got more")
	case err != io.EOF:
		return c.fault(err)
	}
	return nil
}
