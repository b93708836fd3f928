package container

import "encoding/binary"

const (
	machoMagic  = "\xcf\xfa\xed\xfe" // 64 bits, little-endian
	fatMagic    = "\xca\xfe\xba\xbe" // of Java classes too
	maxCommands = 1 << 20            // bytes of load commands
	maxPrograms = 16                 // of a universal file
)

// machoSections returns the compressed sections of a program for macOS that
// begins at a place: those that begin with "ZLIB" and a size. See Apple's
// mach-o/loader.h.
func (u *unpacker) machoSections(start, size int64) (list []packedSection) {
	const header, segment64, segment, row = 32, 0x19, 72, 80
	le := binary.LittleEndian
	head := u.read(start, header)
	if len(head) < header || string(head[:4]) != machoMagic {
		return nil
	}
	n := int64(le.Uint32(head[20:]))
	if n > maxCommands || n > size-header {
		return nil
	}
	b := u.read(start+header, int(n))
	for left := le.Uint32(head[16:]); left > 0 && len(b) >= 8; left-- {
		kind, n := le.Uint32(b), le.Uint32(b[4:])
		if n < 8 || n > uint32(len(b)) {
			break
		}
		command := b[:n]
		b = b[n:]
		if kind != segment64 || n < segment {
			continue
		}
		rows := command[segment:]
		for k := le.Uint32(command[64:]); k > 0 && len(rows) >= row; k-- {
			if at, length := int64(le.Uint32(rows[48:])), int64(le.Uint64(rows[40:])); at <= size && length <= size-at {
				list = u.addZlib(list, start+at, length)
			}
			rows = rows[row:]
		}
	}
	return list
}

// fatSections returns the compressed sections of all programs of a universal
// file. See Apple's mach-o/fat.h.
func (u *unpacker) fatSections() (list []packedSection) {
	const header, row = 8, 20
	be := binary.BigEndian
	head := u.read(0, header+maxPrograms*row)
	if len(head) < header {
		return nil
	}
	rows := head[header:]
	for left := be.Uint32(head[4:]); left > 0 && len(rows) >= row; left-- {
		at, size := int64(be.Uint32(rows[8:])), int64(be.Uint32(rows[12:]))
		if at <= u.size && size <= u.size-at {
			list = append(list, u.machoSections(at, size)...)
		}
		rows = rows[row:]
	}
	return list
}
