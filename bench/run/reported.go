package main

import (
	"time"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// Tools that Debian does not package. Their figures were taken once, on
// another machine of two cores, and are shown for orientation.
const (
	hdiffpatch = "hdiffpatch"
	butler     = "butler"
)

// reported returns figures that are not measured here. A time or a size of 0
// was not written down.
func reported() []report.Result {
	cost := func(seconds float64, mb int64) measure.Cost {
		return measure.Cost{CPU: time.Duration(seconds * float64(time.Second)), RSS: mb * 1_000_000}
	}
	row := func(pair, tool string, bytes int64, diff, patch measure.Cost, note string) report.Result {
		return report.Result{Pair: pair, Tool: tool, Bytes: bytes, Diff: diff, Patch: patch, Note: note, Origin: report.Reported}
	}
	const (
		best    = "4.12, -m, lzma2"
		inPlace = "4.12, folders, patched in place"
		rediff  = "rediff, brotli 9, with the signature file"
	)
	return []report.Result{
		row("esbuild", hdiffpatch, 424_078, cost(1.5, 55), cost(.04, 0), best),
		row("compile", hdiffpatch, 101_583, cost(.7, 37), cost(.02, 0), best),
		row("gocmd", hdiffpatch, 37_380, cost(.2, 15), cost(0, 0), best),
		row("compile-far", hdiffpatch, 5_035_746, cost(10.7, 204), cost(.32, 0), best),
		row("node-bin", hdiffpatch, 3_227_472, cost(16, 385), cost(.32, 0), best),
		row("typescript-js", hdiffpatch, 769, cost(0, 0), cost(0, 0), best),
		row("playwright-js", hdiffpatch, 19_978, cost(0, 0), cost(0, 0), best),

		row("go-patch", hdiffpatch, 211_008, cost(2.2, 0), cost(.65, 12), inPlace),
		row("playwright", hdiffpatch, 107_558, cost(.3, 0), cost(0, 0), inPlace),
		row("node", hdiffpatch, 3_184_645, cost(15.5, 0), cost(.46, 22), inPlace),
		row("go-far", hdiffpatch, 15_628_083, cost(74, 0), cost(1.17, 29), inPlace),

		row("go-patch", butler, 444_492+459_516, cost(15.9, 0), cost(.39, 0), rediff+"; applied in 98–106 MB, old blocks unchecked"),
		row("playwright", butler, 429_948+9_579, cost(1.4, 0), cost(.09, 0), rediff),
		row("node", butler, 4_346_009+91_648, cost(72, 0), cost(.83, 0), rediff),
		row("go-far", butler, 26_877_649+459_516, cost(85, 0), cost(3.0, 0), rediff),
	}
}
