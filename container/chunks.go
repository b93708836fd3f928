package container

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// chunkView reads what the IDAT chunks of a PNG file hold, as one.
type chunkView struct {
	r      io.ReaderAt
	starts []int64 // in the view
	at     []int64 // in the file
	size   int64
}

func (v *chunkView) add(at, size int64) {
	v.starts, v.at = append(v.starts, v.size), append(v.at, at)
	v.size += size
}

func (v *chunkView) ReadAt(b []byte, at int64) (n int, err error) {
	i, found := slices.BinarySearch(v.starts, at)
	if !found {
		i--
	}
	for ; n < len(b) && i < len(v.starts); i++ {
		end := v.size
		if i+1 < len(v.starts) {
			end = v.starts[i+1]
		}
		off := at + int64(n) - v.starts[i]
		part := b[n:min(int64(len(b)), int64(n)+end-v.starts[i]-off)]
		got, err := v.r.ReadAt(part, v.at[i]+off)
		if n += got; got < len(part) {
			return n, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// png unpacks the zlib stream that the IDAT chunks of a PNG file hold.
func (u *unpacker) png() error {
	view := &chunkView{r: u.src}
	var runs []chunkRun
	first, end := int64(0), int64(0)
	for at := int64(len(pngMagic)); u.err == nil; {
		b := u.read(at, 8)
		if len(b) < 8 {
			break
		}
		n := int64(binary.BigEndian.Uint32(b))
		idat := string(b[4:]) == "IDAT"
		if idat && (n == 0 || !u.goodChunk(at, n)) || !idat && first > 0 || len(view.at) >= maxChunks {
			break
		}
		if idat {
			if first == 0 {
				first = at
			}
			view.add(at+8, n)
			end = at + chunkOverhead + n
			if len(runs) == 0 || runs[len(runs)-1].size != n {
				runs = append(runs, chunkRun{0, n})
			}
			runs[len(runs)-1].times++
		}
		at += chunkOverhead + n
	}
	if u.err == nil && first > 0 && view.size > 6 {
		u.plain(first)
		u.chunks(view, runs, end)
	}
	return nil
}

// goodChunk reports whether an IDAT chunk has the right checksum.
func (u *unpacker) goodChunk(at, n int64) bool {
	if n > 1<<31-1 || at+chunkOverhead+n > u.size {
		return false
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.NewSectionReader(u.src, at+4, n+4)); err != nil {
		u.err = err
	}
	return binary.BigEndian.Uint32(append(u.read(at+8+n, 4), 0, 0, 0, 0)) == sum.Sum32()
}

// chunks writes what a view holds, and goes on behind it.
func (u *unpacker) chunks(view *chunkView, runs []chunkRun, end int64) {
	u.write([]byte{recordChunks})
	u.number(int64(len(runs)))
	for _, run := range runs {
		u.number(run.times)
		u.number(run.size)
	}
	src, size := u.src, u.size
	u.src, u.size, u.at = view, view.size, 0
	if u.stream(2, view.size, true) {
		u.check(checkZlib)
	}
	u.plain(u.size)
	u.write([]byte{recordWhole})
	u.src, u.size, u.at = src, size, end
}

// chunkRun is so many IDAT chunks of a size.
type chunkRun struct{ times, size int64 }

// cutter writes to w. While it has sizes of chunks, it makes IDAT chunks of
// what it is given.
type cutter struct {
	w     *bufio.Writer
	n     int64 // bytes written
	size  int64 // bytes given
	runs  []chunkRun
	left  int64 // of the chunk
	crc   uint32
	inIt  bool
	start [8]byte
	seals []openSeal // of what is written
}

func newCutter(w io.Writer) *cutter { return &cutter{w: bufio.NewWriterSize(w, 64<<10)} }

func (c *cutter) cutting() bool { return c.inIt }

// cut starts the first chunk.
func (c *cutter) cut(runs []chunkRun) error {
	if c.inIt {
		return badForm("chunks in chunks")
	}
	c.runs, c.inIt = runs, true
	return c.open()
}

// open starts the next chunk.
func (c *cutter) open() error {
	for len(c.runs) > 0 && c.runs[0].times == 0 {
		c.runs = c.runs[1:]
	}
	if len(c.runs) == 0 {
		return badForm("more bytes than chunks")
	}
	c.runs[0].times--
	c.left = c.runs[0].size
	binary.BigEndian.PutUint32(c.start[:], uint32(c.left))
	copy(c.start[4:], "IDAT")
	c.crc = crc32.ChecksumIEEE(c.start[4:])
	return c.raw(c.start[:])
}

func (c *cutter) raw(b []byte) error {
	for _, s := range c.seals {
		s.pages.Write(b)
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	return err
}

func (c *cutter) Write(b []byte) (int, error) {
	c.size += int64(len(b))
	if !c.inIt {
		return len(b), c.raw(b)
	}
	given := len(b)
	for len(b) > 0 {
		if c.left == 0 {
			if err := c.finish(); err != nil {
				return 0, err
			}
			if err := c.open(); err != nil {
				return 0, err
			}
			continue
		}
		part := b[:min(int64(len(b)), c.left)]
		c.crc = crc32.Update(c.crc, crc32.IEEETable, part)
		if err := c.raw(part); err != nil {
			return 0, err
		}
		b = b[len(part):]
		c.left -= int64(len(part))
	}
	return given, nil
}

// finish writes the checksum of a full chunk.
func (c *cutter) finish() error {
	return c.raw(binary.BigEndian.AppendUint32(nil, c.crc))
}

// whole ends the chunks.
func (c *cutter) whole() error {
	switch {
	case !c.inIt:
		return badForm("end of chunks without a start")
	case c.left > 0:
		return badForm("chunk is not full")
	}
	if err := c.finish(); err != nil {
		return err
	}
	for _, run := range c.runs {
		if run.times > 0 {
			return badForm("more chunks than bytes")
		}
	}
	c.inIt = false
	return nil
}

func (c *cutter) close() error {
	if c.inIt {
		return badForm("chunks do not end")
	}
	if len(c.seals) > 0 {
		return badForm("seal without digests")
	}
	return c.w.Flush()
}
