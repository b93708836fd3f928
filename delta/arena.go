package delta

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// An arena holds old content in memory, with an index for the matcher.
type arena struct {
	*index
	extents []extent // in order; together they are the arena
}

// extent is a part of the space of old blobs, and where it is in the arena.
type extent struct {
	pos   int64
	at, n int
}

// loadAll returns an arena of all old blobs, in parallel and verified.
func loadAll(ctx context.Context, old []Blob, s space, workers int) (*arena, error) {
	data := make([]byte, s.size())
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range old {
		g.Go(func() error { return loadBlob(ctx, &old[i], data[s.starts[i]:s.starts[i+1]]) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &arena{index: newIndex(data), extents: []extent{{n: len(data)}}}, nil
}

// toOld turns covers over the arena into covers over the old blobs. A cover
// over two extents becomes two.
func (a *arena) toOld(covers []cover) []cover {
	out := make([]cover, 0, len(covers))
	for _, c := range covers {
		k := 0
		for a.extents[k].at+a.extents[k].n <= c.old {
			k++
		}
		for c.n > 0 {
			e := a.extents[k]
			n := min(c.n, e.at+e.n-c.old)
			out = join(out, cover{old: int(e.pos) + c.old - e.at, new: c.new, n: n})
			c = cover{old: c.old + n, new: c.new + n, n: c.n - n}
			k++
		}
	}
	return out
}

// find returns the place in the arena of a position of old, if it is there.
func (a *arena) find(pos int64) (int, bool) {
	for _, e := range a.extents {
		if pos >= e.pos && pos < e.pos+int64(e.n) {
			return e.at + int(pos-e.pos), true
		}
	}
	return 0, false
}

// stretch is the part of new that one goroutine scans.
const stretch = 4 << 20

// covers scans new on several goroutines. The result does not depend on how
// many. Old content from position reach on is left alone, unless that is 0.
func (a *arena) covers(ctx context.Context, new []byte, hints []hint, workers, reach int) ([]cover, error) {
	x := *a.index
	if reach > 0 && reach < len(x.old) {
		x.old = x.old[:reach]
	}
	parts := make([][]cover, (len(new)+stretch-1)/stretch)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range parts {
		g.Go(func() error {
			from := i * stretch
			to := min(from+stretch, len(new))
			parts[i] = x.fill(new, from, to, x.scan(new, from, to, hints))
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all []cover
	for _, p := range parts {
		all = join(all, p...)
	}
	return a.prune(new, all), nil
}
