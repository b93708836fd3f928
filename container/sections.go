package container

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// A packedSection is a section of a program that is compressed: a zlib stream
// behind a head that tells its size.
type packedSection struct{ at, end int64 } // of the stream, in the file

// isProgram reports whether a file begins like a program whose sections may be
// compressed: ELF, PE or Mach-O.
func isProgram(start []byte) bool {
	if len(start) < 4 {
		return false
	}
	switch string(start[:4]) {
	case elfMagic, macho.Magic, macho.FatMagic:
		return true
	}
	return string(start[:2]) == peMagic
}

// sections unpacks the compressed sections of a program, each in one piece.
func (u *unpacker) sections() error {
	list := u.packedSections()
	if len(list) == 0 {
		return ErrPlain
	}
	marks, end := u.sealMarks(list), int64(0)
	for _, s := range list {
		if s.at < end {
			continue // nothing is tried twice
		}
		end = s.end
		marks = u.mark(marks, s.at)
		b := u.read(s.at, 2)
		zlib := len(b) == 2 && b[0]&15 == 8 && b[1]&32 == 0 && binary.BigEndian.Uint16(b)%31 == 0
		if zlib && u.whole(s.at+2, s.end) {
			u.check(checkZlib)
		}
	}
	u.mark(marks, u.size)
	return nil
}

// packedSections returns the compressed sections of a program, in the order of
// the file.
func (u *unpacker) packedSections() (list []packedSection) {
	switch start := u.read(0, 4); {
	case len(start) < 4:
	case string(start) == elfMagic:
		list = u.elfSections()
	case string(start) == macho.Magic || string(start) == macho.FatMagic:
		list = u.machoSections()
	case string(start[:2]) == peMagic:
		list = u.peSections()
	}
	slices.SortStableFunc(list, func(a, b packedSection) int { return cmp.Compare(a.at, b.at) })
	return list
}

// zlibHead is what compressed sections begin with that are not told to be by
// flags: "ZLIB", and the size of the content.
const zlibHead = 12

// addZlib adds the section at a place to a list, if it is inside the file and
// begins as compressed ones do.
func (u *unpacker) addZlib(list []packedSection, at, length int64) []packedSection {
	if at < 0 || at > u.size || length < zlibHead || length > u.size-at || string(u.read(at, 4)) != "ZLIB" {
		return list
	}
	return append(list, packedSection{at + zlibHead, at + length})
}

// whole unpacks the deflate stream that starts at a position and ends before a
// limit. What is to be said of its blocks comes first, and then all of its
// content, so that whoever reads the form finds it in one piece.
func (u *unpacker) whole(from, limit int64) bool {
	var sides []byte
	end, done := u.segments(from, limit, true, func(s *segment) {
		if len(sides) > maxSide {
			return
		}
		s.findMakers()
		side := u.chooser.side(s)
		sides = append(binary.AppendUvarint(sides, uint64(len(side))), side...)
		sides = binary.AppendUvarint(sides, uint64(len(s.content)-s.history))
	})
	if !done || len(sides) > maxSide || u.err != nil {
		return false
	}
	u.plain(from)
	u.write([]byte{recordSection})
	u.number((end + 7) / 8)
	u.write(sides)
	u.end(from, end)
	u.segments(from, limit, true, func(s *segment) {
		u.sums.add(s.content[s.history:])
		u.write(s.content[s.history:])
	})
	return true
}
