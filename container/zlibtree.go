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
	nodes []int // from 1 on
	freq  []uint32
	depth []uint8
}

func (h *heap) less(a, b int) bool {
	return h.freq[a] < h.freq[b] || h.freq[a] == h.freq[b] && h.depth[a] <= h.depth[b]
}

// down moves the node at k to its place.
func (h *heap) down(k int) {
	v := h.nodes[k]
	for j := 2 * k; j < len(h.nodes); j *= 2 {
		if j+1 < len(h.nodes) && h.less(h.nodes[j+1], h.nodes[j]) {
			j++
		}
		if h.less(v, h.nodes[j]) {
			break
		}
		h.nodes[k] = h.nodes[j]
		k = j
	}
	h.nodes[k] = v
}

// zlibTree sets the lengths of all symbols, and returns how many there are.
// There are always two at least that have a code.
func zlibTree(often []uint32, longest int, lengths []uint8) int {
	h := &heap{nodes: []int{0}, freq: make([]uint32, 2*len(often)+1), depth: make([]uint8, 2*len(often)+1)}
	copy(h.freq, often)
	last := -1
	for sym, n := range often {
		if n > 0 {
			h.nodes = append(h.nodes, sym)
			last = sym
		}
	}
	for len(h.nodes) < 3 {
		node := 0
		if last < 2 {
			last++
			node = last
		}
		h.nodes = append(h.nodes, node)
		h.freq[node] = 1
	}
	for k := (len(h.nodes) - 1) / 2; k >= 1; k-- {
		h.down(k)
	}
	parent := make([]int, len(h.freq))
	var order []int // nodes as they left the heap, lightest first
	node := len(often)
	for {
		a := h.nodes[1]
		h.nodes[1] = h.nodes[len(h.nodes)-1]
		h.nodes = h.nodes[:len(h.nodes)-1]
		h.down(1)
		b := h.nodes[1]
		order = append(order, a, b)
		h.freq[node] = h.freq[a] + h.freq[b]
		h.depth[node] = max(h.depth[a], h.depth[b]) + 1
		parent[a], parent[b] = node, node
		h.nodes[1] = node
		node++
		h.down(1)
		if len(h.nodes) <= 2 {
			break
		}
	}
	zlibLengths(order, parent, node-1, longest, lengths[:len(often)])
	return last + 1
}

// zlibLengths goes from the root down. Leaves that are too deep are pulled up,
// and the leaf that makes room for them goes one down.
func zlibLengths(order, parent []int, root, longest int, lengths []uint8) {
	depth := make([]int, len(parent))
	var count [17]int
	over := 0
	for i := len(order) - 1; i >= 0; i-- {
		n := order[i]
		d := 1
		if parent[n] != root {
			d = depth[parent[n]] + 1
		}
		if d > longest {
			d = longest
			over++
		}
		depth[n] = d
		if n < len(lengths) {
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
			if sym := order[at]; sym < len(lengths) {
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
