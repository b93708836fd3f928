// Package report turns measurements into the tables of bench/README.md.
//
// A table is a pure function of its results: no dates, no host names, so that
// two runs can be compared line by line. Sizes are bytes; MB is 1,000,000
// bytes; CPU is user + system time of the measured processes alone.
package report

import "github.com/treegraft-dev/treegraft/bench/internal/measure"

// Tools that the tables treat in their own way.
const (
	Ours     = "ours"   // compared with the others
	Baseline = "bsdiff" // ratios are to this one
)

// Origin says where a figure comes from.
type Origin string

// The origins. A measured figure carries no mark in a table.
const (
	Measured Origin = ""         // in this run
	Cached   Origin = "cached"   // in an earlier run on the same machine
	Reported Origin = "reported" // elsewhere; not run here
)

// Pair is an old and a new file, or an old and a new tree.
type Pair struct {
	ID       string
	Tree     bool
	What     string // for the reader: "Go toolchain 1.26.7 → 1.26.8"
	OldBytes int64
	NewBytes int64
	Goal     int64 // bytes that ours shall not exceed; 0: none stated
}

// Result is what one tool did with one pair.
type Result struct {
	Pair   string
	Tool   string
	Bytes  int64        // of the delta, or of all that a client downloads
	Diff   measure.Cost // making it
	Patch  measure.Cost // applying it
	Failed string       // why there are no figures
	Note   string       // what the figures include
	Origin Origin       `json:"-"`
}

// Update is a whole update of an install tree over HTTP, bytes and requests
// as the server logged them. Offline is the rollback, with the server gone.
type Update struct {
	Pair     string
	Failed   string
	Install  Transfer
	Update   Transfer
	Check    Transfer // asking again when nothing is new
	Publish  measure.Cost
	Rollback measure.Cost
}

// Transfer is what one command fetched and took.
type Transfer struct {
	Bytes    int64 // bodies and headers sent by the server
	Requests int
	Cost     measure.Cost
}

// Fact is one line about the machine or a tool.
type Fact struct{ Name, Value string }

// Run is everything that one run measured.
type Run struct {
	Facts   []Fact
	Pairs   []Pair
	Tools   []string // order of the columns
	Results []Result
	Updates []Update
}
