package delta

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
)

// executable is an old blob and the new one that it becomes.
type executable struct {
	module
	at     int64       // where the new blob starts
	tables []stretchOf // of new: parts that are best matched when old is predicted
}

type stretchOf struct {
	name     string
	from, to int
}

// executables returns what the new blobs of a section, which starts at a
// position of the job, have in common with their old ones.
func (p *packer) executables(j *job, at int64, new []byte) (list []executable) {
	if p.arena == nil {
		return nil // old is not in memory as a whole
	}
	pos := -at
	for i := range j.blobs {
		b := &j.blobs[i]
		start, end := pos, pos+b.Size
		pos = end
		if start < 0 || end > int64(len(new)) || b.Size < minExecutable {
			continue
		}
		for _, k := range p.relatives(j, b) {
			old := p.arena.old[p.space.starts[k]:p.space.starts[k+1]]
			if e, ok := newExecutable(k, old, new[start:end], uint64(start)); ok {
				e.at = start
				e.leaveOut(p.o.without)
				list = append(list, e)
			}
		}
	}
	return list
}

// relatives returns the blobs that one of a job has code in common with: its
// old one, and large new ones of earlier jobs.
func (p *packer) relatives(j *job, b *Blob) (list []int) {
	if k, ok := p.pairs.find(b); ok {
		list = append(list, k)
	}
	for k := len(p.old); k+1 < len(p.space.starts) && len(j.blobs) == 1 && p.space.starts[k+1] <= int64(j.reach); k++ {
		list = append(list, k)
	}
	return list
}

const (
	minExecutable = 4 << 10
	minGain8      = 8 // bytes that an area must make right to be worth telling
)

// newExecutable joins the layouts of an old file and a new one, which starts
// at a position of the section. Files of unknown format may hold code too.
func newExecutable(blob int, old, new []byte, at uint64) (executable, bool) {
	e := executable{module: module{blob: blob}}
	o, ok := exe.Parse(old)
	n, also := exe.Parse(new)
	if !ok || !also {
		if isText(new) {
			return e, false
		}
		e.old = []exe.Map{{Size: uint64(len(old))}}
		e.new = []exe.Map{{Pos: at, Size: uint64(len(new))}}
		e.areas = []area{{Area: exe.Area{Size: uint64(len(old)), Kind: exe.X86}}}
		return e, true
	}
	e.old, e.new = o.Maps, n.Maps
	for _, a := range n.Addends {
		if len(o.Addends) > 0 && len(e.addends) < maxAddendTables && worthCopying(a, n.Maps, new) {
			a.Pos += at
			e.addends = append(e.addends, a)
		}
	}
	for i := range e.new {
		e.new[i].Pos += at
	}
	for _, b := range o.Blanks {
		if k := slices.IndexFunc(n.Blanks, func(x exe.Blank) bool { return x.Name == b.Name }); k >= 0 {
			e.blanks = append(e.blanks, moved{b.Addr, b.Size, n.Blanks[k].Addr})
		}
	}
	for _, a := range o.Areas {
		k := slices.IndexFunc(n.Areas, func(x exe.Area) bool { return x.Name == a.Name && x.Kind == a.Kind })
		if k < 0 || len(a.Bases) != len(n.Areas[k].Bases) {
			continue
		}
		x := n.Areas[k]
		e.areas = append(e.areas, area{a, x.Bases})
		if from, to := int(x.Pos), int(x.Pos+x.Size); a.Absolute() && rich(&a) {
			e.tables = append(e.tables, stretchOf{a.Name, int(at) + from, int(at) + to})
		}
	}
	return e, len(e.areas) > 0
}

// leaveOut takes away what a test wants to do without.
func (e *executable) leaveOut(w ability) {
	if w&tableRefs != 0 {
		e.addends = nil
	}
	for _, a := range e.areas {
		if w&refs(a.Kind) != 0 {
			e.tables = slices.DeleteFunc(e.tables, func(t stretchOf) bool { return t.name == a.Name })
		}
	}
	e.areas = slices.DeleteFunc(e.areas, func(a area) bool { return w&refs(a.Kind) != 0 })
}

// refs returns the abilities that an area of a kind belongs to.
func refs(k exe.Kind) ability {
	if k == exe.X86 || k == exe.ARM64 {
		return codeRefs | oneKind<<k
	}
	return tableRefs | oneKind<<k
}

// rich reports whether most of an area is references.
func rich(a *exe.Area) bool { return a.Dense || len(a.Bases) > 0 || len(a.Fields) > 1 }

// rematches is how often tables are matched: what is found for one tells where
// others point. A third time would gain next to nothing.
const rematches = 2

// rematch looks for new tables in those of old, as far as covers predict them:
// where all values change, nothing else can be found.
func (p *packer) rematch(list []executable, covers []cover, new []byte) ([]cover, error) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].at == list[0].at {
			n++
		}
		same := list[:n]
		list = list[n:]
		if p.o.without&rematching != 0 {
			continue
		}
		for range rematches {
			tables := slices.DeleteFunc(slices.Clone(same[0].tables), func(t stretchOf) bool { return p.kept(same, covers, t) })
			if len(tables) == 0 {
				break
			}
			law, err := newPredictor(modulesOf(same), covers, p.space, p.readArena)
			if err != nil {
				return nil, err
			}
			better, ok := p.betterTables(p.predictTables(same, law), tables, covers, new)
			if !ok {
				break
			}
			covers = better
		}
	}
	return covers, nil
}

// betterTables matches new tables with an arena of old ones, and takes those
// covers that miss less: first those that gain most, as long as the section may
// still be mixed. It reports whether there were any.
func (p *packer) betterTables(a *arena, tables []stretchOf, covers []cover, new []byte) (_ []cover, ok bool) {
	type match struct {
		stretchOf
		covers []cover
		gain   int
	}
	var list []match
	for _, t := range tables {
		found := a.toOld(a.fill(new, t.from, t.to, a.scanTable(new, t.from, t.to)))
		list = append(list, match{t, found, p.misses(a, covers, new, t) - p.misses(a, found, new, t)})
	}
	slices.SortStableFunc(list, func(a, b match) int { return cmp.Compare(b.gain, a.gain) })
	for _, m := range list {
		if m.gain <= 0 {
			break
		}
		if better := replaceCovers(covers, m.from, m.to, m.covers); len(better) <= maxMixedCovers {
			covers, ok = better, true
		}
	}
	return covers, ok
}

// kept reports whether one cover makes a table of an old one of the same size:
// nothing was added to it or taken away.
func (p *packer) kept(list []executable, covers []cover, t stretchOf) bool {
	i := sort.Search(len(covers), func(i int) bool { return covers[i].new+covers[i].n > t.from })
	if i == len(covers) || covers[i].new > t.from || covers[i].new+covers[i].n < t.to {
		return false
	}
	from := int64(covers[i].old + t.from - covers[i].new)
	return slices.ContainsFunc(list, func(e executable) bool {
		return slices.ContainsFunc(e.areas, func(a area) bool {
			return a.Name == t.name && p.space.starts[e.blob]+int64(a.Pos) == from && int(a.Size) == t.to-t.from
		})
	})
}

// coverMisses is what a cover costs, in bytes that are not as predicted.
const coverMisses = 4

// misses returns how many bytes of a table covers do not predict, where an arena
// has the old tables as they are predicted.
func (p *packer) misses(tables *arena, covers []cover, new []byte, t stretchOf) int {
	n := t.to - t.from
	for _, c := range covers {
		from, to := max(c.new, t.from), min(c.new+c.n, t.to)
		if from >= to {
			continue
		}
		for n += coverMisses; from < to; {
			b := p.predicted(tables, int64(c.old+from-c.new), to-from)
			n -= equalBytes(b, new[from:from+len(b)])
			from += len(b)
		}
	}
	return n
}

// predicted returns at most n old bytes from a position on, at least one: of
// tables, as they are predicted.
func (p *packer) predicted(tables *arena, pos int64, n int) []byte {
	for _, e := range tables.extents {
		if pos >= e.pos && pos < e.pos+int64(e.n) {
			at := e.at + int(pos-e.pos)
			return tables.old[at:min(at+n, e.at+e.n)]
		}
		if pos < e.pos {
			n = int(min(int64(n), e.pos-pos))
		}
	}
	return p.arena.old[pos:][:n]
}

func modulesOf(list []executable) (modules []module) {
	for i := range list {
		modules = append(modules, list[i].module)
	}
	return modules
}

// predictTables returns an arena of the tables of old blobs, predicted.
func (p *packer) predictTables(list []executable, law *predictor) *arena {
	a, all := &arena{}, 0
	for i := range list {
		e := &list[i]
		for k := range e.areas {
			if x := &e.areas[k]; x.Absolute() && rich(&x.Area) {
				a.extents = append(a.extents, extent{pos: p.space.starts[e.blob] + int64(x.Pos), at: all, n: int(x.Size)})
				all += int(x.Size)
			}
		}
	}
	tables := make([]byte, all)
	for _, e := range a.extents {
		p.predictTable(tables[e.at:][:e.n], law, int(e.pos))
	}
	a.index = newIndex(tables)
	return a
}

// predictTable writes to b the old bytes from a position on, predicted.
func (p *packer) predictTable(b []byte, law *predictor, pos int) {
	var w prediction
	var class [windowSize]byte
	old := p.arena.old[pos:][:copy(b, p.arena.old[pos:])]
	for from, n := 0, 0; from < len(b); from += n {
		n = min(windowSize, len(b)-from)
		lo, hi := max(0, from-windowMargin), min(len(b), from+n+windowMargin)
		win := window{old: old[lo:hi], base: from - lo}
		law.start(&w, cover{pos, -1 << 40, len(b)}, from, n)
		w.predict(b[from:from+n], class[:n], &win, 0, n)
	}
}

// replaceCovers puts covers in the place of those that make new[from:to].
func replaceCovers(covers []cover, from, to int, by []cover) []cover {
	var out []cover
	done := false
	for _, c := range covers {
		if c.new+c.n <= from {
			out = append(out, c)
			continue
		}
		if c.new < from {
			out = append(out, cover{c.old, c.new, from - c.new})
		}
		if !done && c.new+c.n > from {
			out = join(out, by...)
			done = true
		}
		if skip := max(0, to-c.new); skip < c.n {
			out = join(out, cover{c.old + skip, c.new + skip, c.n - skip})
		}
	}
	if !done {
		out = join(out, by...)
	}
	return out
}

func (p *packer) readArena(b []byte, pos int64) error {
	copy(b, p.arena.old[pos:])
	return nil
}

// worthwhile returns the modules with those areas whose prediction makes more
// bytes right than wrong.
func (p *packer) worthwhile(list []executable, covers []cover, new []byte) ([]module, error) {
	used := make([]bool, len(p.space.starts)-1)
	p.space.used(covers, used)
	var modules []module
	for i := range list {
		if used[list[i].blob] {
			modules = append(modules, list[i].module)
		}
	}
	if len(modules) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(modules, func(a, b module) int { return a.blob - b.blob })
	inOrder(modules)
	law, err := newPredictor(modules, covers, p.space, p.readArena)
	if err != nil {
		return nil, err
	}
	law.addends.made(new)
	var w prediction
	pred, class := make([]byte, windowSize), make([]byte, windowSize)
	for _, c := range covers {
		for from, n := 0, 0; from < c.n; from += n {
			n = min(windowSize, c.n-from)
			old, now := p.arena.old[c.old+from:][:n], new[c.new+from:][:n]
			if bytes.Equal(old, now) {
				continue
			}
			lo, hi := max(0, from-windowMargin), min(c.n, from+n+windowMargin)
			copy(pred, old)
			law.start(&w, c, from, n)
			w.predict(pred[:n], class[:n], &window{old: p.arena.old[c.old+lo : c.old+hi], base: from - lo}, 0, n)
			law.addends.predict(pred[:n], class[:n], c.new+from)
			for _, g := range w.guesses {
				a, b := g.At, g.At+g.Form.Width()
				if class[a]>>3 == addendClass {
					continue // known without
				}
				g.area.gain += equalBytes(pred[a:b], now[a:b]) - equalBytes(old[a:b], now[a:b])
			}
		}
	}
	kept := modules[:0]
	for i := range modules {
		m := modules[i]
		k := -1
		m.areas = slices.DeleteFunc(slices.Clone(m.areas), func(area) bool {
			k++
			return law.laws[i].areas[k].gain < minGain8
		})
		if len(m.areas)+len(m.addends) > 0 {
			kept = append(kept, m)
		}
	}
	return readable(kept, p.space, int64(len(new))), nil
}

// readable leaves out modules that a reader would refuse: what we write, we
// must be able to read, whatever a file says about itself.
func readable(list []module, old space, size int64) []module {
	last, areas, left := -1, 0, maxLayout-binary.MaxVarintLen64
	return slices.DeleteFunc(list, func(m module) bool {
		b := appendModules(nil, []module{m})
		_, err := readModules(b, old, size)
		if err != nil || m.blob == last || areas+len(m.areas) > maxAllAreas || len(b) > left {
			return true
		}
		last, areas, left = m.blob, areas+len(m.areas), left-len(b)
		return false
	})
}
