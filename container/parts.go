package container

import (
	"encoding/binary"
	"math"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// A Part says where bytes of a file are in its unpacked form.
type Part struct {
	File, Size   int64 // in the file
	Form, Length int64 // in the form
	Packed       bool  // the form has what they decompress to
}

// Parts returns what the form of a program consists of, in order: both the
// bytes that are there as they are, and the content of sections. It returns nil
// for other forms, and for what is none. Whether the file can be made again is
// not checked, but all parts are inside the form.
func Parts(form []byte) (list []Part) {
	if len(form) < len(magic) || string(form[:len(magic)]) != magic {
		return nil
	}
	p := &partReader{form: form, at: len(magic)}
	file := int64(0)
	var seals []macho.Seal // whose digests are to come
	for {
		part := Part{File: file}
		switch kind := p.byte(); kind {
		case recordEnd:
			if p.broken || p.at != len(form) {
				return nil
			}
			return list
		case recordPlain:
			part.Size = p.number(math.MaxInt64)
			part.Length = part.Size
		case recordSection:
			part.Packed, part.Size = true, p.number(math.MaxInt64)
			for n := p.number(maxSide); n > 0; n = p.number(maxSide) {
				p.skip(n)
				part.Length += p.number(maxSegment)
			}
			p.byte()
		case recordCheck:
			if p.byte() != checkZlib {
				return nil
			}
			part.Size = 4
		case recordSeal:
			seal := macho.Seal{Hash: macho.Hash(p.byte()), Page: uint(p.byte()), Size: p.number(1 << 62)}
			if !seal.Valid() {
				return nil
			}
			seals = append(seals, seal)
		case recordDigests:
			if len(seals) == 0 {
				return nil
			}
			part.Size, seals = seals[0].End(), seals[1:]
		default:
			return nil
		}
		part.Form = int64(p.at)
		p.skip(part.Length)
		if p.broken || part.Size > math.MaxInt64-file {
			return nil
		}
		if part.Length > 0 {
			list = append(list, part)
		}
		file += part.Size
	}
}

// partReader reads a form that is in memory.
type partReader struct {
	form   []byte
	at     int
	broken bool
}

func (p *partReader) skip(n int64) {
	if n > int64(len(p.form)-p.at) {
		p.broken, n = true, 0
	}
	p.at += int(n)
}

func (p *partReader) byte() byte {
	p.skip(1)
	if p.broken {
		return recordEnd
	}
	return p.form[p.at-1]
}

func (p *partReader) number(most uint64) int64 {
	v, n := binary.Uvarint(p.form[p.at:])
	if n <= 0 || v > most {
		p.broken = true
		return 0
	}
	p.at += n
	return int64(v)
}
