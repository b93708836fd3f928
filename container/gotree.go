package container

import (
	"cmp"
	"slices"
)

// goHeader makes the header that Go's compress/flate makes: lengths by package
// merge, and runs over literals and distances together.
func goHeader(n *counts, c *codeLengths, to *bitWriter) {
	dist := n.dist
	if used(dist[:]) == 0 {
		dist[0] = 1
	}
	lits, dists := used(n.lit[:]), used(dist[:])
	packageMerge(n.lit[:], 15, c.lit[:])
	packageMerge(dist[:], 15, c.dist[:])
	runs := goRuns(append(slices.Clone(c.lit[:lits]), c.dist[:dists]...))
	var often [19]uint32
	for _, r := range runs {
		often[r.sym]++
	}
	var lengths [19]uint8
	packageMerge(often[:], 7, lengths[:])
	putRuns(to, lits, dists, &lengths, runs)
}

// packageMerge sets the lengths of the best code that has none longer than
// longest (Larmore and Hirschberg, 1990). Of equal weights a package is taken
// before a symbol, and symbols by their value.
func packageMerge(often []uint32, longest int, lengths []uint8) {
	var leaves []int
	for sym, n := range often {
		if n > 0 {
			leaves = append(leaves, sym)
		}
	}
	if len(leaves) <= 2 {
		for _, sym := range leaves {
			lengths[sym] = 1
		}
		return
	}
	slices.SortFunc(leaves, func(a, b int) int { return cmp.Or(cmp.Compare(often[a], often[b]), a-b) })
	longest = min(longest, len(leaves)-1)
	isLeaf := make([][]bool, longest) // of the items of each row, lightest first
	var row, below []uint64
	for i := range isLeaf {
		row = row[:0]
		leaf, pair := 0, 0
		for leaf < len(leaves) || pair+1 < len(below) {
			takeLeaf := leaf < len(leaves)
			if takeLeaf && pair+1 < len(below) {
				takeLeaf = uint64(often[leaves[leaf]]) < below[pair]+below[pair+1]
			}
			if takeLeaf {
				row = append(row, uint64(often[leaves[leaf]]))
				leaf++
			} else {
				row = append(row, below[pair]+below[pair+1])
				pair += 2
			}
			isLeaf[i] = append(isLeaf[i], takeLeaf)
		}
		row, below = below, row
	}
	// Each row that takes a symbol makes its code longer by one.
	items := 2*len(leaves) - 2
	for i := longest - 1; i >= 0; i-- {
		leaf := 0
		for _, is := range isLeaf[i][:items] {
			if is {
				lengths[leaves[leaf]]++
				leaf++
			}
		}
		items = 2 * (items - leaf)
	}
}

// goRuns returns the runs of some lengths.
func goRuns(lengths []uint8) (runs []run) {
	for i := 0; i < len(lengths); {
		length, n := lengths[i], 1
		for i+n < len(lengths) && lengths[i+n] == length {
			n++
		}
		i += n
		if length != 0 {
			runs = append(runs, run{sym: length})
			n--
			for ; n >= 3; n -= min(n, 6) {
				runs = append(runs, run{16, uint8(min(n, 6) - 3)})
			}
		} else {
			for ; n >= 11; n -= min(n, 138) {
				runs = append(runs, run{18, uint8(min(n, 138) - 11)})
			}
			if n >= 3 {
				runs = append(runs, run{17, uint8(n - 3)})
				n = 0
			}
		}
		for ; n > 0; n-- {
			runs = append(runs, run{sym: length})
		}
	}
	return runs
}
