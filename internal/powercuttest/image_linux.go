package powercuttest

import (
	"bytes"
	"io"
	"maps"
	"os"
)

const pageSize = 4096

// Image is the content of a disk. Pages that were never written are zero and
// take no room.
type Image struct {
	size  int64
	pages map[int64]*[pageSize]byte // never changed once they are in a map
}

func newImage(size int64) *Image {
	return &Image{size: size, pages: map[int64]*[pageSize]byte{}}
}

// readImage reads a disk from a file.
func readImage(name string, size int64) (*Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	im := newImage(size)
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; {
		n, err := f.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if n == 0 {
			break
		}
		im.write(buf[:n], off)
		off += int64(n)
	}
	return im, nil
}

func (im *Image) clone() *Image { return &Image{size: im.size, pages: maps.Clone(im.pages)} }

// write changes the image, in new pages.
func (im *Image) write(b []byte, off int64) {
	for len(b) > 0 {
		at := off % pageSize
		n := min(int64(len(b)), pageSize-at)
		old := im.pages[off/pageSize]
		if old == nil && len(bytes.TrimLeft(b[:n], "\x00")) == 0 {
			b, off = b[n:], off+n
			continue
		}
		page := new([pageSize]byte)
		if old != nil {
			*page = *old
		}
		copy(page[at:], b[:n])
		im.pages[off/pageSize] = page
		b, off = b[n:], off+n
	}
}

// read fills b with what is at off.
func (im *Image) read(b []byte, off int64) {
	for len(b) > 0 {
		at := off % pageSize
		n := min(int64(len(b)), pageSize-at)
		if page := im.pages[off/pageSize]; page != nil {
			copy(b[:n], page[at:])
		} else {
			clear(b[:n])
		}
		b, off = b[n:], off+n
	}
}

// writeTo writes the pages to a new file.
func (im *Image) writeTo(f *os.File) error {
	if err := f.Truncate(im.size); err != nil {
		return err
	}
	for n, page := range im.pages {
		if _, err := f.WriteAt(page[:], n*pageSize); err != nil {
			return err
		}
	}
	return nil
}
