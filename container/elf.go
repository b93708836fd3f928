package container

import "encoding/binary"

const elfMagic = "\x7fELF"

// elfSections returns the compressed sections of an ELF file with little-endian
// numbers: those with the flag SHF_COMPRESSED, which begin with an Elf64_Chdr
// or Elf32_Chdr, and those that begin with "ZLIB" and a size, as they were
// written before. See the System V ABI, "Section Compression".
func (u *unpacker) elfSections() (list []packedSection) {
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
		switch {
		case kind == noBits || flags&alloc != 0:
		case flags&compressed == 0:
			list = u.addZlib(list, at, length)
		case at < 0 || at > u.size || length < chdr || length > u.size-at:
		default:
			if head := u.read(at, int(chdr)); int64(len(head)) == chdr && le.Uint32(head) == zlib {
				list = append(list, packedSection{at + chdr, at + length})
			}
		}
	}
	return list
}
