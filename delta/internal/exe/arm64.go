package exe

import "encoding/binary"

// An arm64Reader finds references in ARM64 code: branches, and pairs of adrp
// with the instruction that adds the low bits of the address. See the Arm
// Architecture Reference Manual for A-profile, C4.1, for the encoding.
type arm64Reader struct{}

// pairReach is how many instructions after an adrp the other one may stand.
const pairReach = 8

func (arm64Reader) Find(sites []Site, old []byte, from, to int, _, addr uint64) []Site {
	i := from + int(-(addr+uint64(from))&3)
	for ; i < to && i+4 <= len(old); i += 4 {
		w := binary.LittleEndian.Uint32(old[i:])
		here := addr + uint64(i)
		s := Site{At: i}
		switch {
		case w&0x7C000000 == 0x14000000: // b, bl
			s.Form, s.Class = Imm26, classCall
		case w&0xFE000000 == 0x54000000, w&0x7E000000 == 0x34000000: // b.cond, cbz, cbnz
			s.Form, s.Class = Imm19, classBranch
		case w&0x3B000000 == 0x18000000: // ldr of a literal
			s.Form, s.Class = Imm19, classOperand
		case w&0x7E000000 == 0x36000000: // tbz, tbnz
			s.Form, s.Class = Imm14, classBranch
		case w&0x9F000000 == 0x90000000: // adrp
			sites = findPair(sites, old, i, here)
			continue
		default:
			continue
		}
		s.Target = s.Form.Get(old[i:], here, 0, 0)
		sites = append(sites, s)
	}
	return sites
}

// findPair appends the adrp at i, and the instructions behind it that add to
// its register.
func findPair(sites []Site, old []byte, i int, here uint64) []Site {
	reg := binary.LittleEndian.Uint32(old[i:]) & 31
	page := Adrp.Get(old[i:], here, 0, 0)
	adrp := len(sites)
	sites = append(sites, Site{At: i, Form: Adrp, Class: classPage, Target: page})
	for k := i + 4; k <= i+4*pairReach && k+4 <= len(old); k += 4 {
		w := binary.LittleEndian.Uint32(old[k:])
		if w>>5&31 != reg {
			if w&0x9F00001F == 0x90000000|reg {
				break // the register is loaded anew
			}
			continue
		}
		form := Lo12
		switch {
		case w&0xFFC00000 == 0x91000000: // add, 64 bits
		case w&0x3B000000 == 0x39000000: // ldr, str with an unsigned offset
			form += Form(w >> 30)
			if w&0x04800000 == 0x04800000 && w>>30 == 0 {
				form = Lo12x16 // of a vector register
			}
		default:
			continue
		}
		target := form.Get(old[k:], 0, page, 0)
		sites[adrp].Target = target
		sites = append(sites, Site{At: k, Form: form, Class: classLow, Target: target})
		break
	}
	return sites
}
