package container

import "encoding/binary"

const peMagic = "MZ"

// peSections returns the compressed sections of a program for Windows: those
// that begin with "ZLIB" and a size. There is no flag for them, and what
// comes behind the stream fills up the section. See Microsoft's PE format,
// "COFF File Header" and "Section Table".
func (u *unpacker) peSections() (list []packedSection) {
	const stub, header, row = 64, 24, 40
	le := binary.LittleEndian
	b := u.read(0, stub)
	if len(b) < stub {
		return nil
	}
	at := int64(le.Uint32(b[60:]))
	if b = u.read(at, header); len(b) < header || string(b[:4]) != "PE\x00\x00" {
		return nil
	}
	n, optional := int(le.Uint16(b[6:])), int64(le.Uint16(b[20:]))
	for b = u.read(at+header+optional, n*row); len(b) >= row; b = b[row:] {
		list = u.addZlib(list, int64(le.Uint32(b[20:])), int64(le.Uint32(b[16:])))
	}
	return list
}
