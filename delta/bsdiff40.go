package delta

import (
	"bufio"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gabstv/go-bsdiff/pkg/bsdiff"
	"github.com/treegraft-dev/treegraft/manifest"
)

// BSDIFF40 is the format of Colin Percival's bsdiff 4:
//
//	0    8  "BSDIFF40"
//	8    8  X, size of the control block
//	16   8  Y, size of the diff block
//	24   8  size of new
//	32   X  control: bzip2 of triples (add x bytes of diff to x of old,
//	        then copy y bytes of extra, then move z in old)
//	     Y  diff: bzip2
//	     …  extra: bzip2
//
// All numbers take 8 bytes, little-endian, the sign in the highest bit.
const (
	bsdiffMagic  = "BSDIFF40"
	bsdiffHeader = 32
	// The library sorts suffixes in 17 bytes of memory for each byte of old.
	maxBSDIFF40 = 256 << 20
)

// DiffBSDIFF40 writes to w the BSDIFF40 patch from old to new, for any bspatch
// program. It holds both in memory, up to 256 MiB each, and fails for more.
func DiffBSDIFF40(ctx context.Context, w io.Writer, old, new Blob) error {
	o, err := readBlob(ctx, &old)
	if err != nil {
		return err
	}
	n, err := readBlob(ctx, &new)
	if err != nil {
		return err
	}
	patch, err := bsdiffBytes(o, n)
	if err != nil {
		return fmt.Errorf("diff %s: %w", new.Name, err)
	}
	_, err = w.Write(patch)
	return err
}

// readBlob returns the content of a blob, verified: the library panics on
// some inputs, and must not see what nobody vouches for.
func readBlob(ctx context.Context, b *Blob) ([]byte, error) {
	if b.Size > maxBSDIFF40 {
		return nil, &LimitError{What: b.Name + " for bsdiff40", Max: maxBSDIFF40, Size: b.Size}
	}
	data := make([]byte, b.Size)
	if err := loadBlob(ctx, b, data); err != nil {
		return nil, err
	}
	return data, nil
}

// bsdiffBytes calls the library, and turns its panics into errors.
func bsdiffBytes(old, new []byte) (patch []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			patch, err = nil, fmt.Errorf("bsdiff40: %v", p)
		}
	}()
	return bsdiff.Bytes(old, new)
}

// patchBSDIFF40 streams: the library's own patcher holds everything in memory
// and trusts the sizes it reads.
func patchBSDIFF40(w io.Writer, old *oldSet, r *io.SectionReader, newSize int64) error {
	p, err := openBSDIFF40(r)
	if err != nil {
		return err
	}
	if p.size != newSize {
		return badFormat("bsdiff40", "want %d new bytes, got %d", newSize, p.size)
	}
	buf := make([]byte, 64<<10)
	for at := int64(0); newSize > 0; {
		add, copied, move, err := p.triple(newSize)
		if err != nil {
			return err
		}
		newSize -= add + copied
		if err := p.add(w, old, at, add, buf); err != nil {
			return err
		}
		if err := bsdiffCopy(w, p.extra, copied, buf, nil); err != nil {
			return err
		}
		// Seeking outside old is allowed, as long as nothing is read there but
		// zeros; bound it, so that nothing overflows.
		if at += add + move; at < -maxOffset || at > maxOffset {
			return badFormat("bsdiff40", "want an old position, got %d", at)
		}
	}
	return nil
}

// bsdiffReader holds the three streams of a BSDIFF40 patch.
type bsdiffReader struct {
	size                 int64
	control, diff, extra io.Reader
}

func openBSDIFF40(r *io.SectionReader) (*bsdiffReader, error) {
	var h [bsdiffHeader]byte
	if _, err := r.ReadAt(h[:], 0); err != nil {
		return nil, badFormat("bsdiff40", "%v", noEOF(err))
	}
	x, y, size := bsdiffInt(h[8:]), bsdiffInt(h[16:]), bsdiffInt(h[24:])
	body := r.Size() - bsdiffHeader
	if string(h[:8]) != bsdiffMagic || size < 0 || x < 0 || x > body || y < 0 || y > body-x {
		return nil, badFormat("bsdiff40", "want a header that fits %d bytes, got %q %d %d %d", r.Size(), h[:8], x, y, size)
	}
	stream := func(at, n int64) io.Reader {
		return bufio.NewReaderSize(bzip2.NewReader(bufio.NewReader(io.NewSectionReader(r, at, n))), 16<<10)
	}
	return &bsdiffReader{
		size:    size,
		control: stream(bsdiffHeader, x),
		diff:    stream(bsdiffHeader+x, y),
		extra:   stream(bsdiffHeader+x+y, body-x-y),
	}, nil
}

func bsdiffInt(b []byte) int64 {
	v := binary.LittleEndian.Uint64(b)
	n := int64(v &^ (1 << 63))
	if v>>63 == 1 {
		return -n
	}
	return n
}

func (p *bsdiffReader) triple(left int64) (add, copied, move int64, err error) {
	var b [24]byte
	if _, err := io.ReadFull(p.control, b[:]); err != nil {
		return 0, 0, 0, badFormat("bsdiff40 control", "%v", noEOF(err))
	}
	add, copied, move = bsdiffInt(b[:]), bsdiffInt(b[8:]), bsdiffInt(b[16:])
	if add < 0 || copied < 0 || add > left || copied > left-add || move < -maxOffset || move > maxOffset {
		return 0, 0, 0, badFormat("bsdiff40 control", "want at most %d bytes, got (%d, %d, %d)", left, add, copied, move)
	}
	return add, copied, move, nil
}

// add writes n bytes, each the sum of one of diff and one of old. Outside old,
// old counts as zeros.
func (p *bsdiffReader) add(w io.Writer, old *oldSet, at, n int64, buf []byte) error {
	oldBuf := make([]byte, min(n, int64(len(buf))))
	return bsdiffCopy(w, p.diff, n, buf, func(b []byte) error {
		o := oldBuf[:len(b)]
		from, to := max(at, 0), min(at+int64(len(b)), old.size())
		if from < to {
			o = o[:to-from]
			if err := old.readAt(o, from); err != nil {
				return err
			}
			for i, v := range o {
				b[from-at+int64(i)] += v
			}
		}
		at += int64(len(b))
		return nil
	})
}

func bsdiffCopy(w io.Writer, r io.Reader, n int64, buf []byte, change func([]byte) error) error {
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return badFormat("bsdiff40 stream", "%v", noEOF(err))
		}
		if change != nil {
			if err := change(b); err != nil {
				return err
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		n -= int64(len(b))
	}
	return nil
}

// loadBlob reads a blob into data, which has its size, and verifies it.
func loadBlob(ctx context.Context, b *Blob, data []byte) (err error) {
	f, err := b.Open()
	if err != nil {
		return fmt.Errorf("open %s: %w", b.Name, err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("close %s: %w", b.Name, e)
		}
	}()
	h := manifest.NewHash()
	for at := 0; at < len(data); {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := data[at:min(len(data), at+1<<20)]
		n, err := f.ReadAt(part, int64(at))
		if n < len(part) {
			return fmt.Errorf("read %s: %w", b.Name, noEOF(err))
		}
		h.Write(part)
		at += n
	}
	if got := manifest.SumOf(h); got != b.Digest {
		return &DigestError{What: b.Name, Want: b.Digest, Got: got}
	}
	return nil
}
