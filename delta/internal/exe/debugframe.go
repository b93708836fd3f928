package exe

import "fmt"

// A debugFrame reader finds references in the records of functions in
// .debug_frame: to the head of their group, and to the function. Offsets have
// four bytes, and addresses eight. See DWARF 5, 6.4.1.
type debugFrame struct {
	starts starts
	area   *Area
}

func newDebugFrame(a *Area, records *int, read ReadAt) (*debugFrame, error) {
	if len(a.Bases) != 1 {
		return nil, fmt.Errorf("area of frames: want one base, got %d", len(a.Bases))
	}
	list, err := frameStarts(a, 1<<32-1, records, read)
	return &debugFrame{list, a}, err
}

// frameLongest is how far the last reference of a record begins behind its start.
const frameLongest = 8

func (d *debugFrame) Find(sites []Site, old []byte, from, to int, pos, _ uint64) []Site {
	for k := d.starts.from(pos+uint64(from), frameLongest+1); k < len(d.starts); k++ {
		at := int(uint64(d.starts[k]) - pos) // may be before old
		if at >= to {
			break
		}
		if p := at + 4; p >= from && p < to && p+4 <= len(old) {
			sites = append(sites, Site{At: p, Form: Abs32, Class: classFrameGroup, Target: Abs32.Get(old[p:], 0, 0, d.area.Bases[0])})
		}
		if p := at + 8; p >= from && p < to && p+8 <= len(old) {
			sites = append(sites, Site{At: p, Form: Abs64, Class: classFrame, Base: FromZero, Target: Abs64.Get(old[p:], 0, 0, 0)})
		}
	}
	return sites
}
