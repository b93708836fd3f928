package atomicfs

import (
	"context"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/zeebo/blake3"
)

const (
	readers    = 8 // files hashed at once: on a cold disk more than there are cores pays
	readBuffer = 1 << 20
	// A file changed less than this before it was hashed may be changed again
	// without a trace in its times: FAT counts in steps of 2 s.
	timeGrain = 2 * time.Second
)

func newHash() hash.Hash { return blake3.New() }

// sums remembers digests of files for as long as nothing about a file changes,
// so that what [Tree.Drift] hashed, [Stage.Commit] need not.
type sums struct {
	mu      sync.Mutex
	known   map[string]sum
	buffers sync.Pool
}

type sum struct {
	info   fs.FileInfo
	digest [32]byte
}

// of returns the digest of the regular file name, seen as fi.
func (s *sums) of(ctx context.Context, d *disk, name string, fi fs.FileInfo) ([32]byte, error) {
	s.mu.Lock()
	old, ok := s.known[name]
	s.mu.Unlock()
	if ok && unchanged(old.info, fi) {
		return old.digest, nil
	}
	start := time.Now()
	digest, err := s.read(ctx, d, name, fi)
	if err != nil {
		return digest, fmt.Errorf("hash %s: %w", name, err)
	}
	if at := changed(fi); !at.IsZero() && start.Sub(at) > timeGrain {
		s.mu.Lock()
		if s.known == nil {
			s.known = map[string]sum{}
		}
		s.known[name] = sum{fi, digest}
		s.mu.Unlock()
	}
	return digest, nil
}

func (s *sums) read(ctx context.Context, d *disk, name string, fi fs.FileInfo) (digest [32]byte, err error) {
	f, err := d.open(name, fi)
	if err != nil {
		return digest, err
	}
	defer f.Close()
	buf, ok := s.buffers.Get().(*[readBuffer]byte)
	if !ok {
		buf = new([readBuffer]byte)
	}
	defer s.buffers.Put(buf)
	h := blake3.New()
	var n int64
	for n <= fi.Size() { // a file that grows without end is not read without end
		if err := ctx.Err(); err != nil {
			return digest, err
		}
		m, err := f.Read(buf[:])
		h.Write(buf[:m])
		n += int64(m)
		if err == io.EOF {
			break
		}
		if err != nil {
			return digest, err
		}
	}
	if n != fi.Size() {
		return digest, &fs.PathError{Op: "read", Path: name, Err: errChanged}
	}
	h.Sum(digest[:0])
	return digest, nil
}

// unchanged reports whether two looks at a name saw the same file in the same
// state, as far as the system tells without reading it.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() &&
		a.ModTime().Equal(b.ModTime()) && changed(a).Equal(changed(b))
}
