package exe

import (
	"encoding/binary"
	"math"
)

// A markedReader finds addresses of eight bytes in lines and lists of DWARF: they
// stand behind bytes that say so, among numbers of different sizes. They are told
// by what they look like. See DWARF 5: DW_LNE_set_address in 6.2.5.3, and in
// 7.7.3 and 7.25 the entries of lists that begin with one address; in DWARF 4,
// 2.6.2, the largest number stands before the address that others count from.
type markedReader struct{}

// DW_LNE_set_address, behind the two bytes that begin an opcode of its size.
const setAddress = 2

func (markedReader) Find(sites []Site, old []byte, from, to int, _, _ uint64) []Site {
	to = min(to, len(old)-7)
	for i := max(from, 3); i < to; i++ {
		switch mark := old[i-1]; {
		case mark == setAddress && old[i-2] == 9 && old[i-3] == 0:
		case mark >= 5 && mark <= 8: // DW_RLE and DW_LLE: base_address, start_end, start_length
		case mark == 0xff && i >= 8 && binary.LittleEndian.Uint64(old[i-8:]) == math.MaxUint64: // as DWARF 4 has it
		default:
			continue
		}
		v := binary.LittleEndian.Uint64(old[i:])
		if v>>48 != 0 || v < 1<<12 {
			continue
		}
		sites = append(sites, Site{At: i, Form: Abs64, Class: classMarked, Base: FromZero, Target: v})
		i += 7
	}
	return sites
}
