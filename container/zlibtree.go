package container

// zlibHeader makes the header that zlib makes, and all that descend from
// Info-ZIP: a Huffman tree from a binary heap, with ties settled by depth, cut
// to its largest length; then runs, literals apart from distances.
func zlibHeader(n *counts, c *codeLengths, to *bitWriter) {
	lits := zlibTree(n.lit[:], 15, c.lit[:])
	dists := zlibTree(n.dist[:], 15, c.dist[:])
	runs := zlibRuns(nil, c.lit[:lits])
	runs = zlibRuns(runs, c.dist[:dists])
	var often [19]uint32
	for _, r := range runs {
		often[r.sym]++
	}
	var lengths [19]uint8
	zlibTree(often[:], 7, lengths[:])
	putRuns(to, lits, dists, &lengths, runs)
}

// heap is a binary heap of tree nodes, lightest first; of equal ones the
// shallowest.
type heap struct {
	nodes [litSymbols + 2]uint16 // from 1 on
	n     int
	keys  [2*litSymbols + 1]uint64 // of a node: weight<<8 | depth
}

// down moves the node at k to its place.
func (h *heap) down(k int) {
	v := h.nodes[k]
	key := h.keys[v]
	for j := 2 * k; j <= h.n; j *= 2 {
		if j < h.n && h.keys[h.nodes[j+1]] <= h.keys[h.nodes[j]] {
			j++
		}
		if key <= h.keys[h.nodes[j]] {
			break
		}
		h.nodes[k] = h.nodes[j]
		k = j
	}
	h.nodes[k] = v
}

func (h *heap) push(node int, weight uint32) {
	h.n++
	h.nodes[h.n], h.keys[node] = uint16(node), uint64(weight)<<8
}

// zlibTree sets the lengths of all symbols, and returns how many there are.
// There are always two at least that have a code.
func zlibTree(often []uint32, longest int, lengths []uint8) int {
	var h heap
	last := -1
	for sym, n := range often {
		if n > 0 {
			h.push(sym, n)
			last = sym
		}
	}
	for h.n < 2 {
		node := 0
		if last < 2 {
			last++
			node = last
		}
		h.push(node, 1)
	}
	for k := h.n / 2; k >= 1; k-- {
		h.down(k)
	}
	var parent [2*litSymbols + 1]uint16
	order := make([]uint16, 0, 2*litSymbols) // nodes as they left the heap, lightest first
	node := len(often)
	for ; h.n > 1; node++ {
		a := h.nodes[1]
		h.nodes[1] = h.nodes[h.n]
		h.n--
		h.down(1)
		b := h.nodes[1]
		order = append(order, a, b)
		depth := max(h.keys[a]&255, h.keys[b]&255) + 1
		h.keys[node] = (h.keys[a]>>8+h.keys[b]>>8)<<8 | depth
		parent[a], parent[b] = uint16(node), uint16(node)
		h.nodes[1] = uint16(node)
		h.down(1)
	}
	zlibLengths(order, parent[:], node-1, longest, lengths[:len(often)])
	return last + 1
}

// zlibLengths goes from the root down. Leaves that are too deep are pulled up,
// and the leaf that makes room for them goes one down.
func zlibLengths(order, parent []uint16, root, longest int, lengths []uint8) {
	var depth [2*litSymbols + 1]int
	var count [17]int
	over := 0
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		d := 1
		if int(parent[n]) != root {
			d = depth[parent[n]] + 1
		}
		if d > longest {
			d = longest
			over++
		}
		depth[n] = d
		if int(n) < len(lengths) {
			count[d]++
			lengths[n] = uint8(d)
		}
	}
	if over == 0 {
		return
	}
	for ; over > 0; over -= 2 {
		d := longest - 1
		for count[d] == 0 {
			d--
		}
		count[d]--
		count[d+1] += 2
		count[longest]--
	}
	at := 0
	for d := longest; d > 0; d-- {
		for n := count[d]; n > 0; {
			if sym := order[at]; int(sym) < len(lengths) {
				lengths[sym] = uint8(d)
				n--
			}
			at++
		}
	}
}

// zlibRuns appends the runs of some lengths.
func zlibRuns(runs []run, lengths []uint8) []run {
	previous, n := -1, 0
	most, least := limits(-1, int(lengths[0]))
	for i, length := range lengths {
		next := -1
		if i+1 < len(lengths) {
			next = int(lengths[i+1])
		}
		if n++; n < most && int(length) == next {
			continue
		}
		switch {
		case n < least:
			for ; n > 0; n-- {
				runs = append(runs, run{sym: length})
			}
		case length != 0:
			if int(length) != previous {
				runs = append(runs, run{sym: length})
				n--
			}
			runs = append(runs, run{16, uint8(n - 3)})
		case n <= 10:
			runs = append(runs, run{17, uint8(n - 3)})
		default:
			runs = append(runs, run{18, uint8(n - 11)})
		}
		n, previous = 0, int(length)
		most, least = limits(int(length), next)
	}
	return runs
}

// limits returns the size that ends a run, and the one from which on it is
// written as a run.
func limits(length, next int) (most, least int) {
	switch {
	case next == 0:
		return 138, 3
	case length == next:
		return 6, 3
	default:
		return 7, 4
	}
}
