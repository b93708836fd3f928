package manifest

import (
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/zeebo/blake3"
)

// Digest is the BLAKE3-256 digest of some bytes: of a file's content, of a
// stored object, of a whole tree. The zero Digest stands for "none".
type Digest [32]byte

// NewHash returns a BLAKE3-256 hash.
func NewHash() hash.Hash { return blake3.New() }

// Sum returns the digest of b.
func Sum(b []byte) Digest { return blake3.Sum256(b) }

// SumReader reads r to its end and returns the digest and the number of bytes.
func SumReader(r io.Reader) (Digest, int64, error) {
	s := summers.Get().(*summer)
	defer summers.Put(s)
	s.hash.Reset()
	n, err := io.CopyBuffer(&s.hash, onlyReader{r}, s.buf[:])
	return SumOf(&s.hash), n, err
}

type summer struct {
	hash blake3.Hasher
	buf  [256 << 10]byte
}

// summers saves a buffer and a hash of 9 KB for each of many small files.
var summers = sync.Pool{New: func() any { return &summer{hash: *blake3.New()} }}

// onlyReader hides WriteTo, so that CopyBuffer uses our large buffer: BLAKE3
// is fastest on large writes.
type onlyReader struct{ io.Reader }

// SumOf returns the digest of what was written to h, a hash from [NewHash].
func SumOf(h hash.Hash) (d Digest) {
	h.Sum(d[:0])
	return d
}

// ParseDigest reads the form that [Digest.String] writes: 64 lower-case
// hexadecimal digits.
func ParseDigest(s string) (d Digest, err error) {
	if len(s) != 2*len(d) {
		return Digest{}, fmt.Errorf("parse digest %.80q: want %d hexadecimal digits", s, 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || d.String() != s {
		return Digest{}, fmt.Errorf("parse digest %q: want lower-case hexadecimal digits", s)
	}
	return d, nil
}

// String returns the digest as 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is the zero Digest, which stands for "none".
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the form of [Digest.String].
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseDigest] reads.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}
