package report

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// A panel is one picture with logarithmic axes: bytes to the right, anything
// else upwards.
type panel struct {
	title  string
	unit   func(float64) string // labels of the vertical axis
	curves []curve
}

type curve struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// Measures of a panel in pixels.
const (
	panelWidth, panelHeight = 470, 380
	marginLeft, marginRight = 62, 100
	marginTop, marginBottom = 40, 44
	labelGap                = 14 // between the names of two curves
)

// colours of the curves, in their order; they differ in lightness too.
var colours = [...]string{"#1b4965", "#d1495b", "#5fa8d3", "#edae49", "#3a7d44", "#8d6a9f"}

// drawPanels draws the panels side by side.
func drawPanels(panels ...panel) string {
	var b strings.Builder
	w := panelWidth * len(panels)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" fill="#333">`+"\n",
		w, panelHeight, w, panelHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", w, panelHeight)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d,0)">`+"\n", i*panelWidth)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p panel) draw(b *strings.Builder) {
	x := axis{from: marginLeft, to: panelWidth - marginRight}
	y := axis{from: panelHeight - marginBottom, to: marginTop}
	for _, c := range p.curves {
		for _, q := range c.points {
			x.cover(q.x)
			y.cover(q.y)
		}
	}
	fmt.Fprintf(b, `<text x="%d" y="22" font-size="14" font-weight="bold">%s</text>`+"\n", marginLeft, html.EscapeString(p.title))
	for _, v := range x.ticks() {
		line(b, x.at(v), y.from, x.at(v), y.to)
		text(b, x.at(v), panelHeight-marginBottom+18, "middle", "", size(int64(v)))
	}
	for _, v := range y.ticks() {
		line(b, x.from, y.at(v), x.to, y.at(v))
		text(b, marginLeft-6, y.at(v)+4, "end", "", p.unit(v))
	}
	text(b, (x.from+x.to)/2, panelHeight-8, "middle", "", "size of the file")
	for i, c := range p.curves {
		c.draw(b, x, y, colours[i%len(colours)])
	}
	p.names(b, x, y)
}

func (c curve) draw(b *strings.Builder, x, y axis, colour string) {
	var path []string
	for _, q := range c.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(q.x), y.at(q.y)))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(q.x), y.at(q.y), colour)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
}

// names writes each curve's name beside its end, moved down where two would
// stand on each other.
func (p panel) names(b *strings.Builder, x, y axis) {
	type label struct {
		y            float64
		name, colour string
	}
	var labels []label
	for i, c := range p.curves {
		end := c.points[len(c.points)-1]
		labels = append(labels, label{y.at(end.y) + 4, c.name, colours[i%len(colours)]})
	}
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	for i, l := range labels {
		if i > 0 {
			l.y = max(l.y, labels[i-1].y+labelGap)
			labels[i] = l
		}
		text(b, x.to+8, l.y, "start", l.colour, l.name)
	}
}

// An axis maps values to pixels. It spans whole decades.
type axis struct {
	from, to float64 // pixels of the two ends
	lo, hi   float64 // logarithms of the values there
	used     bool
}

// cover makes the axis long enough for a value above 0.
func (a *axis) cover(v float64) {
	lo, hi := math.Floor(math.Log10(v)+1e-9), math.Ceil(math.Log10(v)-1e-9)
	if !a.used {
		a.lo, a.hi, a.used = lo, hi, true
	}
	a.lo, a.hi = min(a.lo, lo), max(a.hi, hi)
	if a.lo == a.hi {
		a.hi++
	}
}

func (a axis) at(v float64) float64 {
	return a.from + (a.to-a.from)*(math.Log10(v)-a.lo)/(a.hi-a.lo)
}

// ticks returns the powers of ten on the axis.
func (a axis) ticks() (values []float64) {
	if !a.used {
		return nil
	}
	for e := a.lo; e <= a.hi; e++ {
		values = append(values, math.Pow(10, e))
	}
	return values
}

func line(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}

func text(b *strings.Builder, x, y float64, anchor, colour, s string) {
	fill := ""
	if colour != "" {
		fill = fmt.Sprintf(` fill="%s"`, colour)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, fill, html.EscapeString(s))
}
