package container

import (
	"cmp"
	"encoding/binary"
	"slices"
)

const elfMagic = "\x7fELF"

// packedSection is a section of an ELF file that is compressed: a zlib stream
// behind a head that tells its size.
type packedSection struct{ at, end int64 } // of the stream, in the file

// elf unpacks the compressed sections of an ELF file, each in one piece.
func (u *unpacker) elf() error {
	list := u.packedSections()
	if len(list) == 0 {
		return ErrPlain
	}
	end := int64(0)
	for _, s := range list {
		if s.at < end {
			continue // nothing is tried twice
		}
		end = s.end
		b := u.read(s.at, 2)
		zlib := len(b) == 2 && b[0]&15 == 8 && b[1]&32 == 0 && binary.BigEndian.Uint16(b)%31 == 0
		if zlib && u.whole(s.at+2, s.end) {
			u.check(checkZlib)
		}
	}
	return nil
}

// packedSections returns the compressed sections of an ELF file with
// little-endian numbers, in the order of the file: those with the flag
// SHF_COMPRESSED, which begin with an Elf64_Chdr or Elf32_Chdr, and those that
// begin with "ZLIB" and a size, as they were written before. See the System V
// ABI, "Section Compression".
func (u *unpacker) packedSections() (list []packedSection) {
	head := u.read(0, 64)
	if len(head) < 64 || head[5] != 1 {
		return nil
	}
	wide := head[4] == 2
	le := binary.LittleEndian
	table, size, n := int64(le.Uint32(head[32:])), int64(le.Uint16(head[46:])), int64(le.Uint16(head[48:]))
	usual, chdr := int64(40), int64(12)
	if wide {
		table, size, n = int64(le.Uint64(head[40:])), int64(le.Uint16(head[58:])), int64(le.Uint16(head[60:]))
		usual, chdr = 64, 24
	}
	if size != usual || table < 0 || table > u.size || n*size > u.size-table {
		return nil
	}
	b := u.read(table, int(n*size))
	for ; int64(len(b)) >= size; b = b[size:] {
		kind, flags, at, length := le.Uint32(b[4:]), uint64(le.Uint32(b[8:])), int64(le.Uint32(b[16:])), int64(le.Uint32(b[20:]))
		if wide {
			flags, at, length = le.Uint64(b[8:]), int64(le.Uint64(b[24:])), int64(le.Uint64(b[32:]))
		}
		const noBits, alloc, compressed, zlib = 8, 2, 1 << 11, 1
		if kind == noBits || flags&alloc != 0 || at < 0 || at > u.size || length < 0 || length > u.size-at {
			continue
		}
		switch head := u.read(at, int(min(length, chdr))); {
		case len(head) < 12:
		case flags&compressed != 0 && int64(len(head)) == chdr && le.Uint32(head) == zlib:
			list = append(list, packedSection{at + chdr, at + length})
		case flags&compressed == 0 && string(head[:4]) == "ZLIB":
			list = append(list, packedSection{at + 12, at + length})
		}
	}
	slices.SortStableFunc(list, func(a, b packedSection) int { return cmp.Compare(a.at, b.at) })
	return list
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
