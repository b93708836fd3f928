// Package bench holds Go benchmarks of what costs time in an update: hashing,
// diffing, patching, and changing a tree.
//
//	go test -bench . ./bench/
//
// They run over data made here, the same on every machine. Where the corpus is
// fetched (see bench/corpus), diff and patch also run over real programs.
// Comparisons with other tools are the business of bench/run.
package bench
