package report

import (
	"fmt"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

// Growth is how the cost of a delta grows with the size of the file.
type Growth struct {
	Memory int64 // what the diff was allowed by its option, in bytes
	Levels []string
	Points []GrowthPoint
}

// GrowthPoint is one size at one level.
type GrowthPoint struct {
	Size  int64 // of the old file; the new one is about as large
	Level string
	Bytes int64 // of the delta
	Diff  measure.Cost
	Patch measure.Cost
}

// level returns the points of one level in their order.
func (g Growth) level(name string) (points []GrowthPoint) {
	for _, p := range g.Points {
		if p.Level == name {
			points = append(points, p)
		}
	}
	return points
}

// GrowthMarkdown renders the table: per level, one row per size.
func GrowthMarkdown(g Growth) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Option for the diff's memory: %s bytes.\n\n", group(g.Memory))
	b.WriteString("| level | old file | delta | of the file | diff CPU s | s per MB | diff MB | patch CPU s | s per MB | patch MB |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, level := range g.Levels {
		for _, p := range g.level(level) {
			perMB := func(c measure.Cost) string { return fmt.Sprintf("%.3f", c.CPU.Seconds()*1e6/float64(p.Size)) }
			fmt.Fprintf(&b, "| %s | %s | %s | %.2f %% | %s | %s | %s | %s | %s | %s |\n", level, size(p.Size), group(p.Bytes),
				100*float64(p.Bytes)/float64(p.Size), seconds(p.Diff.CPU), perMB(p.Diff), memory(p.Diff),
				seconds(p.Patch.CPU), perMB(p.Patch), memory(p.Patch))
		}
	}
	return b.String()
}

// size writes a round number of bytes shortly, and any other one in full.
func size(n int64) string {
	switch {
	case n >= 1e9 && n%1e9 == 0:
		return fmt.Sprintf("%d GB", n/1e9)
	case n >= 1e6 && n%1e6 == 0:
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return group(n)
}

// GrowthPlot draws the growth as an SVG picture: processor time on the left,
// peak memory on the right, both axes logarithmic.
func GrowthPlot(g Growth) string {
	seconds := panel{title: "CPU seconds", unit: func(v float64) string { return fmt.Sprintf("%g s", v) }}
	memory := panel{title: "peak memory", unit: func(v float64) string { return size(int64(v)) }}
	for _, level := range g.Levels {
		diff, patch := "diff, "+level, "patch, "+level
		points := g.level(level)
		seconds.add(diff, points, func(p GrowthPoint) float64 { return p.Diff.CPU.Seconds() })
		seconds.add(patch, points, func(p GrowthPoint) float64 { return p.Patch.CPU.Seconds() })
		memory.add(diff, points, func(p GrowthPoint) float64 { return float64(p.Diff.RSS) })
		memory.add(patch, points, func(p GrowthPoint) float64 { return float64(p.Patch.RSS) })
	}
	return drawPanels(seconds, memory)
}

func (p *panel) add(name string, points []GrowthPoint, y func(GrowthPoint) float64) {
	c := curve{name: name}
	for _, q := range points {
		if v := y(q); v > 0 { // a logarithm has no zero
			c.points = append(c.points, point{float64(q.Size), v})
		}
	}
	if len(c.points) > 0 {
		p.curves = append(p.curves, c)
	}
}
