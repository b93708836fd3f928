package macho

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"slices"
)

// A Seal says that a file holds digests of its own pages: they stand at a
// place, one behind the other, and are of the pages of a part before it. The
// last page may be shorter than the others.
type Seal struct {
	Start, Size int64 // what is sealed
	Page        uint  // size of a page, as a power of two
	Hash        Hash
	At          int64 // where the digests are
}

// Hash says how pages are hashed, in the numbers of Apple's code signatures.
type Hash byte

const (
	SHA1 Hash = 1 + iota
	SHA256
	hashEnd
)

// Size returns the bytes of a digest.
func (h Hash) Size() int {
	if h == SHA1 {
		return 20
	}
	return 32
}

// Valid reports whether a hash and a size of pages are known, and something is
// sealed. Where all of that is, is not looked at.
func (s *Seal) Valid() bool {
	return s.Hash > 0 && s.Hash < hashEnd && s.Page >= minPage && s.Page <= maxPage && s.Size > 0
}

// Count returns the number of digests.
func (s *Seal) Count() int64 {
	page := int64(1) << s.Page
	return s.Size/page + min(1, s.Size%page)
}

// End returns the place behind the digests.
func (s *Seal) End() int64 { return s.At + s.Count()*int64(s.Hash.Size()) }

// Sizes of pages, as powers of two.
const (
	minPage = 9
	maxPage = 24
)

// Numbers of cs_blobs.h, and of its load command.
const (
	loadSignature   = 0x1d
	signatureMagic  = 0xfade0cc0
	directoryMagic  = 0xfade0c02
	maxSignature    = 32 // parts
	scatterVersion  = 0x20100
	limit64Version  = 0x20300
	directoryHeader = 64
)

// Seals returns the seals of a file of a size, in the order of their digests:
// those in the code signatures of programs for macOS, of each slice. Whether
// the digests are right is not checked. A file that is broken has fewer.
func Seals(file io.ReaderAt, size int64) (list []Seal) {
	for _, p := range Programs(file, size) {
		list = append(list, p.signature()...)
	}
	slices.SortStableFunc(list, func(a, b Seal) int { return int(a.At - b.At) })
	end := int64(0)
	return slices.DeleteFunc(list, func(s Seal) bool {
		if s.At < end {
			return true
		}
		end = s.End()
		return false
	})
}

// signature returns the seals of a program.
func (p *Program) signature() (list []Seal) {
	r := io.NewSectionReader(p.file, p.Start, p.Size)
	for kind, b := range p.Commands {
		if kind != loadSignature || len(b) < 16 {
			continue
		}
		at := int64(binary.LittleEndian.Uint32(b[8:]))
		var head [12 + 8*maxSignature]byte
		if n, _ := r.ReadAt(head[:], at); n < 12 || binary.BigEndian.Uint32(head[:]) != signatureMagic {
			continue
		}
		n := min(binary.BigEndian.Uint32(head[8:]), maxSignature)
		for part := head[12 : 12+8*n]; len(part) > 0; part = part[8:] {
			if s, ok := directory(r, at+int64(binary.BigEndian.Uint32(part[4:]))); ok {
				s.Start, s.At = p.Start, s.At+p.Start
				list = append(list, s)
			}
		}
	}
	return list
}

// directory reads the CodeDirectory at a place, if there is one.
func directory(r *io.SectionReader, at int64) (s Seal, ok bool) {
	var b [directoryHeader]byte
	if n, _ := r.ReadAt(b[:], at); n < len(b) || binary.BigEndian.Uint32(b[:]) != directoryMagic {
		return s, false
	}
	word := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i:])) }
	version := word(8)
	s = Seal{Size: word(32), Hash: Hash(b[37]), Page: uint(b[39]), At: at + word(16)}
	if version >= limit64Version {
		if limit := binary.BigEndian.Uint64(b[56:]); limit > 0 && limit < 1<<62 {
			s.Size = int64(limit)
		}
	}
	switch {
	case !s.Valid() || int(b[36]) != s.Hash.Size(),
		version >= scatterVersion && word(44) != 0, // pages from all over the file
		s.Size > s.At || s.Count() != word(28) || s.End() > r.Size():
		return s, false
	}
	return s, true
}

// Pages computes the digests of a seal. What it seals is written to it from the
// first byte on; what is written behind that is not looked at.
type Pages struct {
	seal Seal
	at   int64 // in what is sealed
	hash hash.Hash
	sums []byte
}

// NewPages returns Pages for a valid seal. It allocates as digests are made.
func NewPages(s Seal) *Pages {
	p := &Pages{seal: s}
	if s.Hash == SHA1 {
		p.hash = sha1.New() // what old signatures have; nothing here trusts it
	} else {
		p.hash = sha256.New()
	}
	return p
}

// Write hashes bytes. It returns no error.
func (p *Pages) Write(b []byte) (int, error) {
	given, page := len(b), int64(1)<<p.seal.Page
	b = b[:min(int64(len(b)), p.seal.Size-p.at)]
	for len(b) > 0 {
		n := min(int64(len(b)), page-p.at%page)
		p.hash.Write(b[:n])
		if b, p.at = b[n:], p.at+n; p.at%page == 0 || p.at == p.seal.Size {
			p.sums = p.hash.Sum(p.sums)
			p.hash.Reset()
		}
	}
	return given, nil
}

// Sums returns the digests of the pages that are whole, one behind the other.
func (p *Pages) Sums() []byte { return p.sums }
