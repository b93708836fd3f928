package container

// A token is a literal or a match: distance<<9 | length. A literal is a length
// of 1 at distance 0; its byte stands in the content.
type token uint32

const (
	literal  token = 1
	minMatch       = 3
	maxMatch       = 258
	window         = 1 << 15 // the largest distance
)

func match(length, distance int) token { return token(distance<<9 | length) }

func (t token) length() int   { return int(t & 511) }
func (t token) distance() int { return int(t >> 9) }

// Symbols of RFC 1951 §3.2.5.
const (
	litSymbols  = 286
	distSymbols = 30
	endOfBlock  = 256
)

// span is a symbol's smallest value and the number of bits that say how much
// is added.
type span struct {
	base  uint16
	extra uint8
}

// symbolTables hold the numbers of RFC 1951 §3.2.5, computed.
type symbolTables struct {
	lengths   [litSymbols - 257]span
	distances [distSymbols]span
	ofLength  [maxMatch + 1]uint8 // length to symbol less 257
	ofNear    [256]uint8          // distance-1 to symbol
	ofFar     [256]uint8          // (distance-1)>>7 to symbol
	codeOrder [19]uint8           // §3.2.7
}

var symbols = makeSymbols()

func makeSymbols() *symbolTables {
	t := &symbolTables{codeOrder: [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}}
	base := minMatch
	for i := range t.lengths {
		extra := max(0, i/4-1)
		if i == len(t.lengths)-1 {
			base, extra = maxMatch, 0
		}
		t.lengths[i] = span{uint16(base), uint8(extra)}
		for n := range 1 << extra {
			if base+n <= maxMatch {
				t.ofLength[base+n] = uint8(i)
			}
		}
		base += 1 << extra
	}
	base = 1
	for i := range t.distances {
		extra := max(0, i/2-1)
		t.distances[i] = span{uint16(base), uint8(extra)}
		for d := base - 1; d < base-1+1<<extra; d++ {
			if d < 256 {
				t.ofNear[d] = uint8(i)
			} else {
				t.ofFar[d>>7] = uint8(i)
			}
		}
		base += 1 << extra
	}
	return t
}

// distanceSymbol returns the symbol of a distance.
func (t *symbolTables) distanceSymbol(distance int) uint8 {
	if d := distance - 1; d < 256 {
		return t.ofNear[d]
	}
	return t.ofFar[((distance-1)>>7)&255]
}

// lengths are the bits of each symbol's code: the literals' and lengths', and
// the distances'. Zero means that it has none.
type codeLengths struct {
	lit  [288]uint8
	dist [32]uint8
}

// fixedLengths is the code of RFC 1951 §3.2.6.
func fixedLengths() *codeLengths {
	c := &codeLengths{}
	for i := range c.lit {
		switch {
		case i < 144 || i >= 280:
			c.lit[i] = 8
		case i < 256:
			c.lit[i] = 9
		default:
			c.lit[i] = 7
		}
	}
	for i := range c.dist {
		c.dist[i] = 5
	}
	return c
}

// counts say how often each symbol stands in a block.
type counts struct {
	lit  [litSymbols]uint32
	dist [distSymbols]uint32
}

// count counts the symbols of a block whose content starts at content[0].
func count(tokens []token, content []byte) *counts {
	c := &counts{}
	c.lit[endOfBlock] = 1
	at := 0
	for _, t := range tokens {
		if t == literal {
			c.lit[content[at]]++
			at++
			continue
		}
		c.lit[257+int(symbols.ofLength[t.length()])]++
		c.dist[symbols.distanceSymbol(t.distance())]++
		at += t.length()
	}
	return c
}
