package container

import "math/bits"

// read reads the header of a dynamic block, RFC 1951 §3.2.7, from HLIT on, and
// copies its bits.
func (c *codeLengths) read(in *bitReader, raw *bitWriter) error {
	take := func(k int) int {
		in.refill()
		v := in.take(k)
		raw.put(uint64(v), uint(k))
		return int(v)
	}
	lits, dists, codes := take(5)+257, take(5)+1, take(4)+4
	if lits > litSymbols || dists > distSymbols {
		return errBadBlock
	}
	var lengths [19]uint8
	for _, sym := range symbols.codeOrder[:codes] {
		lengths[sym] = uint8(take(3))
	}
	var d decoder
	if !d.init(lengths[:]) {
		return errBadBlock
	}
	var all [litSymbols + distSymbols]uint8
	for at := 0; at < lits+dists; {
		in.refill()
		before := *in
		sym := d.decode(in)
		used := before.n - in.n
		raw.put(before.acc&(1<<used-1), uint(used))
		var value uint8
		repeat := 1
		switch {
		case sym < 16:
			value = uint8(sym)
		case sym == 16 && at > 0:
			value, repeat = all[at-1], 3+take(2)
		case sym == 17:
			repeat = 3 + take(3)
		case sym == 18:
			repeat = 11 + take(7)
		default:
			return errBadBlock
		}
		if at+repeat > lits+dists || in.n < 0 {
			return errBadBlock
		}
		for ; repeat > 0; repeat-- {
			all[at] = value
			at++
		}
	}
	*c = codeLengths{}
	copy(c.lit[:], all[:lits])
	copy(c.dist[:], all[lits:lits+dists])
	return nil
}

// code is what stands for a symbol in a stream: length bits of it.
type code struct {
	bits   uint16 // reversed, as they are written
	length uint8
}

// assign gives each symbol its code, RFC 1951 §3.2.2. Lengths that make no code
// give bits that mean nothing, but do no harm.
func assign(codes []code, lengths []uint8) {
	var counts, next [17]int
	for _, n := range lengths {
		counts[n]++
	}
	counts[0] = 0
	for n := 1; n < 16; n++ {
		next[n+1] = (next[n] + counts[n]) << 1
	}
	for sym, n := range lengths {
		codes[sym] = code{}
		if n > 0 {
			codes[sym] = code{bits.Reverse16(uint16(next[n])) >> (16 - n), n}
			next[n]++
		}
	}
}

// How the header of a dynamic block can be found again.
const (
	headerRaw  = iota // it is kept
	headerZlib        // zlib, gzip, zip and Java make this one from the counts
	headerGo          // Go's compress/flate makes this one
)

// makeHeader writes the header that a compressor makes for a block, from HLIT
// on, and returns its code.
func makeHeader(maker int, n *counts, to *bitWriter) *codeLengths {
	c := &codeLengths{}
	if maker == headerGo {
		goHeader(n, c, to)
	} else {
		zlibHeader(n, c, to)
	}
	return c
}

// A run is a symbol of the code for code lengths, with its extra bits.
type run struct {
	sym   uint8
	value uint8
}

// putRuns writes the header of a dynamic block: how many codes there are, the
// code for their lengths, and these.
func putRuns(to *bitWriter, lits, dists int, lengths *[19]uint8, runs []run) {
	n := len(symbols.codeOrder)
	for n > 4 && lengths[symbols.codeOrder[n-1]] == 0 {
		n--
	}
	to.put(uint64(lits-257), 5)
	to.put(uint64(dists-1), 5)
	to.put(uint64(n-4), 4)
	for _, sym := range symbols.codeOrder[:n] {
		to.put(uint64(lengths[sym]), 3)
	}
	var codes [19]code
	assign(codes[:], lengths[:])
	extra := [19]uint{16: 2, 17: 3, 18: 7}
	for _, r := range runs {
		to.put(uint64(codes[r.sym].bits), uint(codes[r.sym].length))
		to.put(uint64(r.value), extra[r.sym])
	}
}

// used returns how many symbols there are up to the last that is counted.
func used(n []uint32) int {
	last := len(n)
	for last > 0 && n[last-1] == 0 {
		last--
	}
	return last
}
