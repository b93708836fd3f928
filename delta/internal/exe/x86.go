package exe

import "encoding/binary"

// An x86Reader finds references in x86-64 code: the operands of call, jmp and
// jcc with 32 bits, and of common instructions with an address relative to the
// instruction pointer. It does not decode instructions, so it needs no start;
// what it takes for a reference by chance costs little. See the Intel 64
// manual, volume 2, chapter 2, for the encoding.
type x86Reader struct{}

func (x86Reader) Find(sites []Site, old []byte, from, to int, _, addr uint64) []Site {
	to = min(to, len(old)-3)
	for i := max(from, 3); i < to; i++ {
		class := x86Last[old[i-1]]
		if class == 0 {
			continue
		}
		switch class {
		case classJump:
			if old[i-2] != 0x0F {
				continue
			}
		case classOperand:
			if !usesModRM(old[i-2], old[i-3]) {
				continue
			}
		}
		disp := uint64(int64(int32(binary.LittleEndian.Uint32(old[i:]))))
		sites = append(sites, Site{At: i, Form: Rel32, Class: class, Target: addr + uint64(i) + 4 + disp})
		i += 3
	}
	return sites
}

// x86Last tells by the byte before a place which kind of reference may be there.
var x86Last = func() (t [256]byte) {
	t[0xE8], t[0xE9] = classCall, classCall
	for op := range 16 {
		t[0x80+op] = classJump // after 0x0F
	}
	for reg := range 8 {
		t[reg<<3|5] = classOperand // ModRM: a register and [rip+disp32]
	}
	return t
}()

// usesModRM reports whether op, after a byte before it, is an instruction that
// compilers often use with an operand in memory.
func usesModRM(op, before byte) bool {
	switch op {
	case 0x01, 0x03, 0x0B, 0x23, 0x2B, 0x33, 0x38, 0x39, 0x3A, 0x3B, 0x63,
		0x80, 0x81, 0x83, 0x84, 0x85, 0x88, 0x89, 0x8A, 0x8B, 0x8D, 0xC6, 0xC7, 0xFF:
		return true
	case 0x10, 0x11, 0x12, 0x16, 0x28, 0x2A, 0x2E, 0x2F, 0x54, 0x57, 0x58, 0x59, 0x5A, 0x5C, 0x5E,
		0x6E, 0x6F, 0x7E, 0x7F, 0xB6, 0xB7, 0xBE, 0xBF, 0xD6, 0xDB, 0xEF:
		// After the two-byte escape, or the end of a VEX prefix.
		return before == 0x0F || before&0xF8 == 0x78 || before&0x80 != 0
	}
	return false
}
