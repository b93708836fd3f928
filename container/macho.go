package container

import (
	"encoding/binary"
	"io"

	"github.com/treegraft-dev/treegraft/internal/macho"
)

// machoSections returns the compressed sections of a program for macOS with 64
// bits, or of all those of a universal file: those that begin with "ZLIB" and
// a size. See Apple's mach-o/loader.h.
func (u *unpacker) machoSections() (list []packedSection) {
	const segment64, segment, row = 0x19, 72, 80
	le := binary.LittleEndian
	for _, p := range macho.Programs(source{u}, u.size) {
		for kind, command := range p.Commands {
			if kind != segment64 || len(command) < segment {
				continue
			}
			rows := command[segment:]
			for left := le.Uint32(command[64:]); left > 0 && len(rows) >= row; left-- {
				if at, length := int64(le.Uint32(rows[48:])), int64(le.Uint64(rows[40:])); at <= p.Size && length <= p.Size-at {
					list = u.addZlib(list, p.Start+at, length)
				}
				rows = rows[row:]
			}
		}
	}
	return list
}

// A source reads what is unpacked, and keeps its errors.
type source struct{ u *unpacker }

func (s source) ReadAt(b []byte, at int64) (int, error) {
	n, err := s.u.src.ReadAt(b, at)
	if err != nil && err != io.EOF && s.u.err == nil {
		s.u.err = err
	}
	return n, err
}
