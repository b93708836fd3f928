package delta

import "math/bits"

// A cover takes about so many bits in the control columns, found by trying
// values on real updates, and each of its equal bytes saves a few: less in
// text, which compresses well without it. In sixteenths of a bit.
const (
	coverCost    = 12 * 16
	jumpCost     = 19 // for each bit of the distance in old from the last cover
	savedPerByte = 27
	savedInText  = 14
)

// prune drops covers that cost more than they save.
func (x *index) prune(new []byte, covers []cover) []cover {
	saved := savedPerByte
	if isText(new) {
		saved = savedInText
	}
	kept := covers[:0]
	oldEnd := 0
	for _, c := range covers {
		cost := coverCost + jumpCost*bits.Len(uint(distance(int64(c.old), int64(oldEnd))))
		equal := equalBytes(x.old[c.old:c.old+c.n], new[c.new:c.new+c.n])
		if equal*saved < cost {
			continue
		}
		kept = append(kept, c)
		oldEnd = c.old + c.n
	}
	return kept
}

// isText reports whether b looks like text: a sample of its bytes has hardly
// any control characters.
func isText(b []byte) bool {
	const every = 61 // bytes; prime, so that tables with round widths do not deceive
	control, n := 0, 0
	for i := 0; i < len(b); i += every {
		n++
		if c := b[i]; c < '\t' || c > '\r' && c < ' ' || c == 0x7F {
			control++
		}
	}
	return control*50 < n
}
