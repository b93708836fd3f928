package bench

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// hasher is a hash function with its name.
type hasher struct {
	name string
	new  func() hash.Hash
}

// hashes are the two that the project uses: BLAKE3 for contents, SHA-256 for
// TUF metadata.
func hashes() []hasher { return []hasher{{"BLAKE3", manifest.NewHash}, {"SHA-256", sha256.New}} }

// BenchmarkHash hashes memory on one core, and on all of them at once.
func BenchmarkHash(b *testing.B) {
	for _, x := range hashes() {
		for _, size := range []int{4 << 10, 1 << 20} {
			data := noise(1, size)
			b.Run(fmt.Sprintf("%s/%dKiB/one-core", x.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				h := x.new()
				var sum []byte
				for b.Loop() {
					h.Reset()
					h.Write(data)
					sum = h.Sum(sum[:0])
				}
			})
			b.Run(fmt.Sprintf("%s/%dKiB/all-cores", x.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.RunParallel(func(pb *testing.PB) {
					h := x.new()
					var sum []byte
					for pb.Next() {
						h.Reset()
						h.Write(data)
						sum = h.Sum(sum[:0])
					}
				})
			})
		}
	}
}

// BenchmarkHashTree reads and hashes 2,000 files, 105 MB, from a warm cache by
// several numbers of readers.
func BenchmarkHashTree(b *testing.B) {
	dir := b.TempDir()
	paths, bytes := plant(b, dir, 2000)
	readers := []int{1, 8}
	if n := runtime.NumCPU(); n != 1 && n != 8 {
		readers = []int{1, n, 8}
	}
	for _, x := range hashes() {
		for _, n := range readers {
			b.Run(fmt.Sprintf("%s/%d-readers", x.name, n), func(b *testing.B) {
				b.SetBytes(bytes)
				for b.Loop() {
					if err := hashTree(dir, paths, n, x.new); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// hashTree hashes the files by n readers, each with a hash and a buffer of its
// own.
func hashTree(dir string, paths []string, n int, newHash func() hash.Hash) error {
	next := make(chan string)
	errs := make(chan error, n)
	var readers sync.WaitGroup
	for range n {
		readers.Go(func() {
			var first error
			h, buf := newHash(), make([]byte, 1<<20)
			for path := range next {
				if err := hashFile(filepath.Join(dir, path), h, buf); err != nil && first == nil {
					first = err
				}
			}
			errs <- first
		})
	}
	for _, p := range paths {
		next <- p
	}
	close(next)
	readers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func hashFile(path string, h hash.Hash, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Reset()
	// The reader's other methods are hidden, or io.Copy would not use buf.
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf); err != nil {
		return err
	}
	h.Sum(buf[:0])
	return nil
}
