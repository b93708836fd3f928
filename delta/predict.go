package delta

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// When code moves, what differs inside a cover is mostly references. Each
// points at some old byte; the cover that holds that byte says where it is in
// new, and so what the reference should be there. Both sides know all covers
// before the first byte, so both can compute it. A wrong guess costs bytes,
// never correctness: where a reference turns out to point elsewhere, this is
// remembered, and other references to the same old place follow it, as long as
// that has been right more often.
type predictor struct {
	laws  []law
	at    int // of the last one used
	seen  []corrected
	trust trust

	addends *addends
}

// A law turns old addresses of a module into new ones.
type law struct {
	start, end int // of the old blob, in old positions
	spans      []span
	last       int // span of the last look-up
	areas      []lawArea
	old, new   []exe.Map
	key        uint64                    // tells its addresses from those of others
	unit       struct{ old, new uint64 } // that of the last reference that counts from one
}

// A span says by how much addresses move.
type span struct{ addr, end, shift uint64 }

type lawArea struct {
	start, end int // old positions
	addr       uint64
	reader     exe.Reader
	to         []uint64
	gain       int // counted by who makes a delta
}

// corrected says what a reference to an old address became, and how often in
// a row it was that again, up to sure.
type corrected struct {
	key, new uint64
	times    uint8
}

// trust counts, by class of a reference and by the times of a correction, how
// much more often corrections were right than the law, where the two differed.
// An exception is often just one; then to follow it costs as much again.
type trust [32][sure + 1]int8

const (
	sure      = 3
	mostTrust = 15
)

const (
	correctedBits = 14
	maxRecords    = 1 << 19 // of all readers: 4 bytes each
)

// newPredictor prepares the modules of a section with a list of covers. It
// reads old bytes where a reader must go over its area first.
func newPredictor(modules []module, covers []cover, sp space, read func(p []byte, pos int64) error) (*predictor, error) {
	p := &predictor{seen: make([]corrected, 1<<correctedBits), addends: newAddends(modules)}
	records := maxRecords
	for i := range modules {
		m := &modules[i]
		start := int(sp.starts[m.blob])
		l := law{start: start, end: int(sp.starts[m.blob+1]), old: m.old, new: m.new, key: uint64(i+1) << 58}
		l.spans = m.spans(start, newRegions(m.covers(covers, start, l.end)))
		for k := range m.areas {
			a := &m.areas[k]
			addr, _ := exe.Addr(m.old, a.Pos)
			pos := int64(start) + int64(a.Pos)
			r, err := exe.NewReader(&a.Area, k, addr, &records, inBlob(read, l.start, l.end, a.Pos))
			if err != nil {
				return nil, badFormat("layout", "%v", err)
			}
			l.areas = append(l.areas, lawArea{start: int(pos), end: int(pos) + int(a.Size), addr: addr, reader: r, to: a.to})
		}
		p.laws = append(p.laws, l)
	}
	slices.SortStableFunc(p.laws, func(a, b law) int { return cmp.Compare(a.start, b.start) })
	return p, nil
}

// inBlob reads an old blob, as if zeros stood before and behind it. Places count
// from one in it.
func inBlob(read func(p []byte, pos int64) error, start, end int, from uint64) exe.ReadAt {
	return func(p []byte, at uint64) error {
		at += from
		n := 0
		if size := uint64(end - start); at < size {
			n = int(min(uint64(len(p)), size-at))
		}
		clear(p[n:])
		if n == 0 {
			return nil
		}
		return read(p[:n], int64(start)+int64(at))
	}
}

// covers returns those covers that read the module's old blob and make a part
// of its new one.
func (m *module) covers(all []cover, start, end int) []cover {
	var from, to uint64
	if k := len(m.new) - 1; k >= 0 {
		from, to = m.new[0].Pos, m.new[k].Pos+m.new[k].Size
	}
	takes := func(c cover) bool {
		return c.old >= start && c.old+c.n <= end && uint64(c.new) < to && uint64(c.new+c.n) > from
	}
	if !slices.ContainsFunc(all, func(c cover) bool { return !takes(c) }) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(c cover) bool { return !takes(c) })
}

// spans turns regions of old positions into spans of addresses.
func (m *module) spans(start int, regions []region) []span {
	list := make([]span, 0, len(regions)+len(m.old)+len(m.blanks))
	for _, o := range m.old {
		first := len(list)
		from, to := start+int(o.Pos), start+int(o.Pos+o.Size)
		i := sort.Search(len(regions), func(i int) bool { return regions[i].end > from })
		for ; i < len(regions) && regions[i].start < to; i++ {
			r := regions[i]
			for at := max(r.start, from); at < min(r.end, to); {
				n := min(r.end, to) - at
				addr := o.Addr + uint64(at-from)
				k := slices.IndexFunc(m.new, func(x exe.Map) bool { return uint64(at+r.shift)-x.Pos < x.Size })
				if k >= 0 {
					x := m.new[k]
					in := uint64(at+r.shift) - x.Pos
					n = min(n, int(x.Size-in))
					list = append(list, span{addr: addr, shift: x.Addr + in - addr})
				}
				at += n
			}
		}
		for k := first; k < len(list); k++ { // each reaches to the next
			list[k].end = o.Addr + o.Size
			if k+1 < len(list) {
				list[k].end = list[k+1].addr
			}
		}
		if first < len(list) {
			list[first].addr = o.Addr
		}
	}
	for _, b := range m.blanks {
		list = append(list, span{b.addr, b.addr + b.size, b.to - b.addr})
	}
	slices.SortStableFunc(list, func(a, b span) int { return cmp.Compare(a.addr, b.addr) })
	return list
}

// find returns the new address of an old one.
func (l *law) find(old uint64) (uint64, bool) {
	if s := &l.spans[l.last]; old-s.addr < s.end-s.addr {
		return old + s.shift, true
	}
	i := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].addr > old }) - 1
	if i < 0 || old >= l.spans[i].end {
		return 0, false
	}
	l.last = i
	return old + l.spans[i].shift, true
}

// slot returns where a correction of an old address is kept, and its key.
func (w *prediction) slot(old uint64) (*corrected, uint64) {
	key := old ^ w.law.key
	return &w.seen[key*mul1>>(64-correctedBits)], key
}

// A guess is a reference that was predicted.
type guess struct {
	exe.Site
	area           *lawArea
	here, to, base uint64 // in new: its address, where it points, what it counts from
	law, fixed     uint64 // what the law says and what the correction, if these differ:
	trust          *int8  // then who is believed
}

// prediction is that of one window.
type prediction struct {
	law     *law
	seen    []corrected
	trust   *trust
	pos     int     // old position of the window
	here    uint64  // address of the new window
	mapped  bool    // whether there is one
	within  span    // addresses of the cover that the window is a part of
	guesses []guess // not yet compared with what came
	sites   []exe.Site
}

// start prepares a window: n bytes of a cover.
func (p *predictor) start(w *prediction, c cover, from, n int) {
	pos := c.old + from
	w.law, w.pos, w.guesses = nil, pos, w.guesses[:0]
	if len(p.laws) == 0 {
		return
	}
	if l := &p.laws[p.at]; pos < l.start || pos >= l.end {
		k := sort.Search(len(p.laws), func(i int) bool { return p.laws[i].end > pos })
		if k == len(p.laws) || pos < p.laws[k].start {
			return
		}
		p.at = k
	}
	l := &p.laws[p.at]
	if pos+n > l.end || len(l.spans) == 0 {
		return
	}
	w.law, w.seen, w.trust = l, p.seen, &p.trust
	w.here, w.mapped = exe.Addr(l.new, uint64(c.new+from))
	w.within = span{}
	if old, ok := exe.Addr(l.old, uint64(pos-l.start)); ok && w.mapped {
		w.within = span{old - uint64(from), old + uint64(c.n-from), w.here - old}
	}
}

// predict changes pred, a copy of old bytes, where references begin in
// [from, to), and marks their bytes in class.
func (w *prediction) predict(pred, class []byte, win *window, from, to int) {
	l := w.law
	if l == nil {
		return
	}
	a, b := w.pos+from, w.pos+to
	i := sort.Search(len(l.areas), func(i int) bool { return l.areas[i].end > a })
	for ; i < len(l.areas) && l.areas[i].start < b; i++ {
		x := &l.areas[i]
		lo, hi := max(a, x.start), min(b, x.end)
		// Places in old, which begins before the window.
		first := w.pos - win.base
		end := min(len(win.old), x.end-first, win.base+len(pred))
		w.sites = x.reader.Find(w.sites[:0], win.old[:end], lo-first, hi-first, uint64(first-x.start), x.addr+uint64(first-x.start))
		for _, s := range w.sites {
			w.guess(pred, class, s, win.base, x)
		}
	}
}

func (w *prediction) guess(pred, class []byte, s exe.Site, base int, x *lawArea) {
	s.At -= base
	l := w.law
	relative := s.Base == exe.FromHere || s.Form.Relative()
	if relative && !w.mapped {
		return
	}
	g := guess{Site: s, area: x, here: w.here + uint64(s.At)}
	if relative && s.Target-w.within.addr < w.within.end-w.within.addr {
		g.to = s.Target + w.within.shift // what belongs together moved together
	} else if !w.point(&g) {
		return
	}
	switch {
	case s.Base >= 0 && s.Base < len(x.to):
		g.base = x.to[s.Base]
	case s.Base == exe.FromHere:
		g.base = g.here
	case s.Base == exe.FromUnit:
		if s.Origin != l.unit.old {
			to, ok := l.find(s.Origin)
			if !ok {
				return
			}
			l.unit.old, l.unit.new = s.Origin, to
		}
		g.base = l.unit.new
	}
	n := s.Form.Width()
	s.Form.Put(pred[s.At:s.At+n], g.here, g.to, g.base)
	for k := range n {
		class[s.At+k] = s.Class<<3 | byte(k)
	}
	w.guesses = append(w.guesses, g)
}

// point finds where a reference points in new, by law or correction.
func (w *prediction) point(g *guess) bool {
	law, ok := w.law.find(g.Target)
	c, key := w.slot(g.Target)
	if c.key != key || key == 0 {
		g.to = law
		return ok
	}
	if g.to = c.new; !ok || law == c.new {
		return true
	}
	g.law, g.fixed, g.trust = law, c.new, &w.trust[g.Class&31][c.times]
	if *g.trust < 0 {
		g.to = law
	}
	return true
}

// learn compares guesses that end before to with the new bytes, and drops them.
func (w *prediction) learn(pred, new []byte, to int) {
	known := 0
	for ; known < len(w.guesses); known++ {
		g := &w.guesses[known]
		n := g.Form.Width()
		if g.At+n > to {
			break
		}
		if !g.Form.Whole() {
			continue
		}
		to := g.to
		if !bytes.Equal(pred[g.At:g.At+n], new[g.At:g.At+n]) {
			to = g.Form.Get(new[g.At:], g.here, g.to, g.base)
		}
		w.correct(g, to)
	}
	w.guesses = append(w.guesses[:0], w.guesses[known:]...)
}

// correct learns where a reference points in new.
func (w *prediction) correct(g *guess, to uint64) {
	if g.trust != nil {
		switch to {
		case g.fixed:
			*g.trust = min(*g.trust+1, mostTrust)
		case g.law:
			*g.trust = max(*g.trust-1, -mostTrust)
		}
	}
	c, key := w.slot(g.Target)
	switch known := c.key == key && key != 0; {
	case known && to == c.new:
		c.times = min(c.times+1, sure)
	case known || to != g.to:
		*c = corrected{key: key, new: to}
	}
}

// region says that old bytes are shifted in new.
type region struct {
	start, end int
	shift      int // new position minus old position
}

// newRegions returns where old positions are in new. Where several covers read
// the same old bytes, the longest counts: short ones are often there by chance.
func newRegions(covers []cover) []region {
	byOld := slices.Clone(covers)
	slices.SortFunc(byOld, func(a, b cover) int {
		return cmp.Or(cmp.Compare(a.old, b.old), cmp.Compare(b.n, a.n), cmp.Compare(a.new, b.new))
	})
	// A cover starts at most one region, and ends at most one.
	list := make([]region, 0, 2*len(covers))
	open := longestFirst(byOld[:0]) // it never holds more than was taken from there
	for at, next := 0, 0; next < len(byOld) || len(open) > 0; {
		if len(open) == 0 {
			at = byOld[next].old
		}
		for next < len(byOld) && byOld[next].old <= at {
			open.push(byOld[next])
			next++
		}
		top := open[0]
		end := top.old + top.n
		if end <= at {
			open.pop()
			continue
		}
		// A longer cover may start before this one ends.
		if next < len(byOld) {
			end = min(end, byOld[next].old)
		}
		list = addRegion(list, region{at, end, top.new - top.old})
		at = end
	}
	return list
}

func addRegion(list []region, r region) []region {
	if k := len(list) - 1; k >= 0 && list[k].shift == r.shift && list[k].end == r.start {
		list[k].end = r.end
		return list
	}
	if r.start < r.end {
		list = append(list, r)
	}
	return list
}

// longestFirst is a heap of covers: container/heap would allocate each of them.
type longestFirst []cover

func (h longestFirst) before(i, j int) bool {
	return h[i].n > h[j].n || h[i].n == h[j].n && h[i].new < h[j].new
}

func (h *longestFirst) push(c cover) {
	*h = append(*h, c)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.before(i, up) {
			return
		}
		(*h)[i], (*h)[up] = (*h)[up], (*h)[i]
		i = up
	}
}

func (h *longestFirst) pop() {
	last := len(*h) - 1
	(*h)[0] = (*h)[last]
	*h = (*h)[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && h.before(down+1, down) {
			down++
		}
		if down >= last || !h.before(down, i) {
			return
		}
		(*h)[i], (*h)[down] = (*h)[down], (*h)[i]
		i = down
	}
}
