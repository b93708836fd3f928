package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

func growthSample() Growth {
	g := Growth{Memory: 512_000_000, Levels: []string{"small", "fast"}}
	for i, size := range []int64{1e6, 1e8, 4e9} {
		for j, level := range g.Levels {
			cost := func(n int64) measure.Cost {
				return measure.Cost{CPU: time.Duration(size*n) * 10, RSS: n * 100e6}
			}
			g.Points = append(g.Points, GrowthPoint{
				Size: size, Level: level, Bytes: size / 50, Diff: cost(int64(4 - j)), Patch: cost(int64(i + 1)),
			})
		}
	}
	g.Points[0].Diff.CPU = 0 // too short for the clock
	return g
}

func TestGrowthMarkdown(t *testing.T) {
	got := GrowthMarkdown(growthSample())
	for _, want := range []string{
		"memory: 512,000,000 bytes.\n",
		"| small | 1 MB | 20,000 | 2.00 % | – | 0.000 | 400 | 0.01 | 0.010 | 100 |\n",
		"| small | 4 GB | 80,000,000 | 2.00 % | 160.0 | 0.040 | 400 | 120.0 | 0.030 | 300 |\n| fast | 1 MB |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want in the table:\n%s\ngot:\n%s", want, got)
		}
	}
}

// elements counts the picture's elements by name, and so reads it as XML.
func elements(t *testing.T, svg string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

func TestGrowthPlot(t *testing.T) {
	svg := GrowthPlot(growthSample())
	got := elements(t, svg)
	if got["polyline"] != 8 || got["circle"] != 8*3-1 || got["g"] != 2 {
		t.Errorf("want 8 curves and every point but the one of no time, got %v", got)
	}
	for _, want := range []string{">CPU seconds<", ">peak memory<", ">diff, small<", ">10 GB<", ">0.01 s<", ">100 MB<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("want %s in the picture", want)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error("a coordinate is no number")
	}
	if again := GrowthPlot(growthSample()); again != svg {
		t.Error("the same figures: want the same picture")
	}
	if none := elements(t, GrowthPlot(Growth{})); none["polyline"] != 0 {
		t.Errorf("no figures: got %v", none)
	}
	one := GrowthPlot(Growth{Levels: []string{"small"}, Points: growthSample().Points[2:3]})
	if strings.Contains(one, "NaN") || elements(t, one)["circle"] != 4 {
		t.Errorf("one figure:\n%s", one)
	}
}

// Whole decades, the same distance for each.
func TestAxis(t *testing.T) {
	a := axis{from: 0, to: 300}
	for _, v := range []float64{20, 1000, 5000} {
		a.cover(v)
	}
	for v, want := range map[float64]float64{10: 0, 100: 100, 1000: 200, 10000: 300} {
		if got := a.at(v); got < want-.01 || got > want+.01 {
			t.Errorf("at %g: want %g, got %g", v, want, got)
		}
	}
	if n := len(a.ticks()); n != 4 {
		t.Errorf("want 4 ticks, got %v", a.ticks())
	}
}

// Names of curves that end at one place are still readable.
func TestNamesStandApart(t *testing.T) {
	p := panel{unit: func(float64) string { return "" }}
	for _, name := range []string{"one", "two", "three"} {
		p.curves = append(p.curves, curve{name, []point{{1e6, 1}, {1e7, 2}}})
	}
	var b strings.Builder
	x, y := axis{from: 0, to: 100}, axis{from: 100, to: 0}
	for _, q := range p.curves[0].points {
		x.cover(q.x)
		y.cover(q.y)
	}
	p.names(&b, x, y)
	heights := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		_, rest, _ := strings.Cut(l, ` y="`)
		h, _, _ := strings.Cut(rest, `"`)
		heights[h] = true
	}
	if len(heights) != 3 {
		t.Errorf("want three heights:\n%s", b.String())
	}
}
