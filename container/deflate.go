package container

// stored writes a stored block's content behind its type, RFC 1951 §3.2.4.
func (b *bitWriter) stored(content []byte) {
	if b.n > 0 {
		b.put(0, 8-b.n)
	}
	b.put(uint64(len(content)), 16)
	b.put(uint64(len(content))^0xffff, 16)
	b.out = append(b.out, content...)
}

// coded is a symbol's code, with the extra bits of a value.
type coded struct {
	bits  uint32
	count uint8
}

// tokens writes the tokens of a block, whose content starts at pos, and its
// end. It returns where its content ends.
func (b *bitWriter) tokens(tokens []token, content []byte, pos int, lengths *codeLengths) int {
	var lit [len(lengths.lit)]code
	var dist [len(lengths.dist)]code
	assign(lit[:], lengths.lit[:])
	assign(dist[:], lengths.dist[:])
	var ofLength [maxMatch + 1]coded
	for n := minMatch; n <= maxMatch; n++ {
		sym := symbols.ofLength[n]
		c := lit[257+int(sym)]
		extra := uint32(n) - uint32(symbols.lengths[sym].base)
		ofLength[n] = coded{uint32(c.bits) | extra<<c.length, c.length + symbols.lengths[sym].extra}
	}
	for _, t := range tokens {
		if t == literal {
			c := lit[content[pos]]
			b.put(uint64(c.bits), uint(c.length))
			pos++
			continue
		}
		n := ofLength[t.length()]
		sym := symbols.distanceSymbol(t.distance())
		c, d := dist[sym], symbols.distances[sym]
		more := uint64(c.bits) | uint64(t.distance()-int(d.base))<<c.length
		b.put(uint64(n.bits)|more<<n.count, uint(n.count)+uint(c.length)+uint(d.extra))
		pos += t.length()
	}
	end := lit[endOfBlock]
	b.put(uint64(end.bits), uint(end.length))
	return pos
}
