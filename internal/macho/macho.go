// Package macho reads of programs for macOS what a delta has to know of them on
// both sides: load commands, the programs of a universal file, and where a code
// signature holds digests of the program's own pages. It computes such digests
// too. Whether a signature is to be trusted is not looked at, and nothing here
// decides what is run.
//
// What is found is a part of the format of deltas, so it depends on nothing but
// the file. Files may be hostile: what is broken in them is left out.
//
// Sources: Apple's mach-o/loader.h and fat.h, and cs_blobs.h of its kernel.
package macho

import (
	"encoding/binary"
	"io"
)

// Magic begins programs of 64 bits, with little-endian numbers.
const Magic = "\xcf\xfa\xed\xfe"

// FatMagic begins universal files, and Java classes too.
const FatMagic = "\xca\xfe\xba\xbe"

const (
	magic32     = "\xce\xfa\xed\xfe"
	maxPrograms = 16      // of a universal file: those of more are none
	maxCommands = 1 << 20 // bytes of load commands
)

// A Program is one in a file.
type Program struct {
	Start, Size int64
	file        io.ReaderAt
}

// Programs returns those of a file: of a universal one, all that are inside it.
// Whether they are programs is not looked at.
func Programs(file io.ReaderAt, size int64) (list []Program) {
	const header, row = 8, 20
	var head [header + row*maxPrograms]byte
	if n, _ := file.ReadAt(head[:], 0); n < header {
		return nil
	}
	switch string(head[:4]) {
	case Magic, magic32:
		return []Program{{0, size, file}}
	}
	n := binary.BigEndian.Uint32(head[4:])
	if string(head[:4]) != FatMagic || n > maxPrograms {
		return nil
	}
	for b := head[header : header+row*n]; len(b) > 0; b = b[row:] {
		at, n := int64(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint32(b[12:]))
		if at <= size && n <= size-at {
			list = append(list, Program{at, n, file})
		}
	}
	return list
}

// Commands calls yield with the kind of each load command and all its bytes, up
// to the first that is broken.
func (p *Program) Commands(yield func(kind uint32, command []byte) bool) {
	le := binary.LittleEndian
	r := io.NewSectionReader(p.file, p.Start, p.Size)
	var head [32]byte
	if n, _ := r.ReadAt(head[:], 0); n < len(head) {
		return
	}
	header := int64(len(head))
	switch string(head[:4]) {
	case Magic:
	case magic32:
		header -= 4
	default:
		return
	}
	size := int64(le.Uint32(head[20:]))
	if size > maxCommands || size > p.Size-header {
		return
	}
	b := make([]byte, size)
	if n, _ := r.ReadAt(b, header); int64(n) < size {
		return
	}
	for left := le.Uint32(head[16:]); left > 0 && len(b) >= 8; left-- {
		kind, n := le.Uint32(b), le.Uint32(b[4:])
		if n < 8 || n > uint32(len(b)) || !yield(kind, b[:n]) {
			return
		}
		b = b[n:]
	}
}
