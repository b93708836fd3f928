package manifest

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that decompressing a stored manifest takes
// beyond the manifest itself.
const maxWindow = 8 << 20

// Compress returns the form in which a repository stores a canonical encoding:
// one zstd frame (RFC 8878). The same input gives the same bytes.
func Compress(canonical []byte) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("compress manifest: %w", err)
	}
	defer enc.Close()
	return enc.EncodeAll(canonical, nil), nil
}

// Decompress undoes [Compress]. The stored bytes must have been verified. The
// result has exactly size bytes, of at most [MaxCanonical], and the digest
// want.
func Decompress(stored []byte, size int64, want Digest) ([]byte, error) {
	if size <= 0 || size > MaxCanonical {
		return nil, fmt.Errorf("decompress manifest: size %d is out of range", size)
	}
	// The bound on memory must not be below the window that the frame declares.
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(uint64(max(size, maxWindow))),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("decompress manifest: %w", err)
	}
	defer dec.Close()
	b, err := dec.DecodeAll(stored, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress manifest: %w", err)
	}
	if got := Sum(b); int64(len(b)) != size || got != want {
		return nil, fmt.Errorf("decompress manifest: want %d bytes %v, got %d bytes %v", size, want, len(b), got)
	}
	return b, nil
}
