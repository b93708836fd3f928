package exe

import (
	"debug/macho"
	"encoding/binary"
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

// Valid reports whether the hash is known.
func (h Hash) Valid() bool { return h > 0 && h < hashEnd }

// Size returns the bytes of a digest.
func (h Hash) Size() int {
	if h == SHA1 {
		return 20
	}
	return 32
}

// Count returns the number of digests.
func (s *Seal) Count() int64 {
	page := int64(1) << s.Page
	return s.Size/page + min(1, s.Size%page)
}

// End returns the place behind the digests.
func (s *Seal) End() int64 { return s.At + s.Count()*int64(s.Hash.Size()) }

// Numbers of Apple's loader and cs_blobs.h.
const (
	fatMagic        = 0xcafebabe // of Java classes too
	maxSlices       = 16
	loadSignature   = 0x1d
	signatureMagic  = 0xfade0cc0
	directoryMagic  = 0xfade0c02
	maxSignature    = 32 // parts
	scatterVersion  = 0x20100
	limit64Version  = 0x20300
	directoryHeader = 64
	minPage         = 9
	maxPage         = 24
)

// Seals returns the seals of a file of a size, in the order of their digests:
// those in the code signatures of programs for macOS, of each slice. Whether
// the digests are right is not checked. A file that is broken has fewer.
func Seals(file io.ReaderAt, size int64) (list []Seal) {
	for _, s := range slicesOf(file, size) {
		list = append(list, signature(s.r, s.at)...)
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

// slice is a program in a file.
type slice struct {
	r  *io.SectionReader
	at int64
}

// slicesOf returns the programs for macOS of a file: of a universal one, each.
func slicesOf(file io.ReaderAt, size int64) (list []slice) {
	var head [8 + 20*maxSlices]byte
	if n, _ := file.ReadAt(head[:], 0); n < 8 {
		return nil
	}
	switch string(head[:4]) {
	case "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe":
		return []slice{{io.NewSectionReader(file, 0, size), 0}}
	}
	n := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint32(head[:]) != fatMagic || n > maxSlices {
		return nil
	}
	for b := head[8 : 8+20*n]; len(b) > 0; b = b[20:] {
		at, n := int64(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint32(b[12:]))
		if at <= size && n <= size-at {
			list = append(list, slice{io.NewSectionReader(file, at, n), at})
		}
	}
	return list
}

// signature returns the seals of a program that starts at a place.
func signature(r *io.SectionReader, start int64) (list []Seal) {
	f, err := macho.NewFile(r)
	if err != nil {
		return nil
	}
	for _, l := range f.Loads {
		b := l.Raw()
		if len(b) < 16 || binary.LittleEndian.Uint32(b) != loadSignature {
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
				s.Start, s.At = start, s.At+start
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
	case !s.Hash.Valid() || int(b[36]) != s.Hash.Size() || s.Page < minPage || s.Page > maxPage,
		version >= scatterVersion && word(44) != 0, // pages from all over the file
		s.Size == 0 || s.Size > s.At || s.Count() != word(28) || s.End() > r.Size():
		return s, false
	}
	return s, true
}
