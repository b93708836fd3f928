package exe

import "encoding/binary"

// A Site is a reference in old bytes.
type Site struct {
	At     int    // place of its first byte
	Form   Form   // how it is written
	Class  byte   // which kind of reference it is, from 1 to Classes-1
	Target uint64 // the old address that it points at
	Base   int    // as in Field, of the forms Abs32 and Abs64
	Origin uint64 // what it counts from, if Base is FromUnit
}

// Classes is more than any Site.Class.
const Classes = 32

// Form says how a reference is written in its bytes.
type Form byte

const (
	Abs32  Form = iota // target less base
	Abs64              // the same in 64 bits
	Word32             // target less base, in words of four bytes
	Uleb               // target less base, 21 bits in three bytes (LEB128)
	Page32             // target less base, rounded down to a multiple of 4,096
	Page12             // the low 12 bits of target less base, in 16 bits
	Rel32              // target less the end of the field
	Imm26              // ARM64 b, bl: target less address, in words
	Imm19              // ARM64 b.cond, cbz, ldr: the same
	Imm14              // ARM64 tbz: the same
	Adrp               // ARM64 adrp: pages of 4,096 bytes from here to the target
	Lo12               // ARM64 add: the low 12 bits of the target
	Lo12x2             // ARM64 ldr, str: the same in units of 2, 4, 8 or 16 bytes
	Lo12x4
	Lo12x8
	Lo12x16
	Back32 // from the target to here
)

// Width returns how many bytes a reference has.
func (f Form) Width() int {
	switch f {
	case Abs64:
		return 8
	case Uleb:
		return 3
	case Page12:
		return 2
	}
	return 4
}

// Relative reports whether what is written depends on where it stands.
func (f Form) Relative() bool { return f > Page12 }

// Whole reports whether what is written tells all of the target.
func (f Form) Whole() bool { return f <= Imm26 && f != Page32 && f != Page12 }

// Put writes the reference p, which has the address here, so that it points at
// target. Bits that belong to an instruction stay.
func (f Form) Put(p []byte, here, target, base uint64) {
	le := binary.LittleEndian
	switch f {
	case Abs64:
		le.PutUint64(p, target-base)
	case Abs32:
		le.PutUint32(p, uint32(target-base))
	case Word32:
		le.PutUint32(p, uint32((target-base)/4))
	case Uleb:
		v := target - base
		p[0], p[1], p[2] = byte(v)|0x80, byte(v>>7)|0x80, byte(v>>14)&0x7f
	case Page32:
		le.PutUint32(p, uint32(target-base)&^0xfff)
	case Page12:
		le.PutUint16(p, le.Uint16(p)&^0xfff|uint16(target-base)&0xfff)
	case Rel32:
		le.PutUint32(p, uint32(target-here-4))
	case Back32:
		le.PutUint32(p, uint32(here-target))
	case Imm26:
		putBits(p, 0, 26, uint32((target-here)>>2))
	case Imm19:
		putBits(p, 5, 19, uint32((target-here)>>2))
	case Imm14:
		putBits(p, 5, 14, uint32((target-here)>>2))
	case Adrp:
		v := uint32(target>>12 - here>>12)
		putBits(p, 29, 2, v)
		putBits(p, 5, 19, v>>2)
	case Lo12, Lo12x2, Lo12x4, Lo12x8, Lo12x16:
		putBits(p, 10, 12, uint32(target&0xfff)>>(f-Lo12))
	}
}

// Get returns where the reference p, which has the address here, points at.
// Those that hold only a part of an address take the rest from near.
func (f Form) Get(p []byte, here, near, base uint64) uint64 {
	le := binary.LittleEndian
	switch f {
	case Abs64:
		return le.Uint64(p) + base
	case Abs32:
		return wide(le.Uint32(p), base) + base
	case Word32:
		return uint64(le.Uint32(p))*4 + base
	case Uleb:
		return uint64(p[0]&0x7f) + uint64(p[1]&0x7f)<<7 + uint64(p[2]&0x7f)<<14 + base
	case Back32:
		return here - uint64(int64(int32(le.Uint32(p))))
	case Rel32:
		return here + 4 + uint64(int64(int32(le.Uint32(p))))
	case Imm26:
		return here + signed(bits(p, 0, 26), 26)<<2
	case Imm19:
		return here + signed(bits(p, 5, 19), 19)<<2
	case Imm14:
		return here + signed(bits(p, 5, 14), 14)<<2
	case Adrp:
		return (here>>12+signed(bits(p, 5, 19)<<2|bits(p, 29, 2), 21))<<12 | near&0xfff
	default:
		return near&^0xfff | uint64(bits(p, 10, 12))<<(f-Lo12)&0xfff
	}
}

// wide extends a value of 32 bits: an address has no sign, an offset has.
func wide(v uint32, base uint64) uint64 {
	if base == 0 {
		return uint64(v)
	}
	return uint64(int64(int32(v)))
}

func bits(p []byte, shift, n uint) uint32 {
	return binary.LittleEndian.Uint32(p) >> shift & (1<<n - 1)
}

func putBits(p []byte, shift, n uint, v uint32) {
	mask := uint32(1<<n-1) << shift
	binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)&^mask|v<<shift&mask)
}

// signed extends the sign of a value of n bits.
func signed(v uint32, n uint) uint64 { return uint64(int64(int32(v<<(32-n))) >> (32 - n)) }
