package delta

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/treegraft-dev/treegraft/manifest"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

const (
	defaultMemory = 2 << 30
	minMemory     = 64 << 20
	oldShare      = 4        // so many parts of the memory: one for old content, two for its index
	spoolMemory   = 16 << 20 // of one frame, before it goes to a file
	maxArena      = 1<<32 - 2
)

// WritePack writes to w a pack that makes every blob of new out of the blobs
// of old. New blobs of equal content are stored once. Every blob is verified
// while it is read, so a pack is never made of files that change meanwhile.
func WritePack(ctx context.Context, w io.Writer, old, new []Blob, o Options) (*Report, error) {
	p := newPacker(old, new, o)
	if err := p.load(ctx); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	frames := &spool{limit: spoolMemory}
	defer frames.close()
	if err := p.frames(ctx, frames); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	b := p.head.encode()
	// What we write, we must be able to read.
	if _, err := parseHead(b, Limits{}.orDefault()); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	if _, err := frames.WriteTo(w); err != nil {
		return nil, fmt.Errorf("write pack: %w", err)
	}
	return p.report(new), nil
}

// A packer makes the frames of one pack.
type packer struct {
	o       Options
	old     []Blob
	space   space
	pairs   *pairing
	arena   *arena  // of all old blobs, or
	sketch  *sketch // when they are too large for that
	jobs    []job
	head    Head
	why     []string // of each frame
	section int64    // most new bytes of a section
	shared  []int    // jobs whose new blobs later ones may read, as further old ones
}

func newPacker(old, new []Blob, o Options) *packer {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	o.Memory = max(o.Memory, minMemory)
	p := &packer{o: o, section: min(o.Memory/8, 256<<20)}
	seen := map[Ref]bool{}
	for _, b := range old {
		if !seen[b.Ref] {
			seen[b.Ref] = true
			p.old = append(p.old, b)
			p.head.Old = append(p.head.Old, b.Ref)
		}
	}
	p.space = newSpace(p.head.Old)
	p.pairs = newPairing(p.old)
	p.jobs = planJobs(new, o.Codec)
	return p
}

// load reads the old blobs into memory, if they fit in a quarter of what the
// options allow. Otherwise it makes a sketch of them.
func (p *packer) load(ctx context.Context) (err error) {
	if p.o.Codec == BSDIFF40 {
		return nil
	}
	if p.space.size() > min(p.o.Memory/oldShare, maxArena) {
		p.sketch, err = newSketch(ctx, p.old, p.space, p.o.Memory/8)
		return err
	}
	if p.arena, err = loadAll(ctx, p.old, p.space, p.o.Workers); err != nil {
		return err
	}
	return p.share(ctx)
}

// frames makes all frames on several goroutines and writes them, in order.
func (p *packer) frames(ctx context.Context, w io.Writer) error {
	g, ctx := errgroup.WithContext(ctx)
	memory := semaphore.NewWeighted(p.o.Memory / 2)
	ahead := semaphore.NewWeighted(int64(p.o.Workers) + 1)
	done := make([]chan *frameResult, len(p.jobs))
	for i := range done {
		done[i] = make(chan *frameResult, 1)
	}
	g.Go(func() error {
		for i := range p.jobs {
			cost := p.cost(&p.jobs[i])
			if err := ahead.Acquire(ctx, 1); err != nil {
				return err
			}
			if err := memory.Acquire(ctx, cost); err != nil {
				return err
			}
			g.Go(func() error {
				defer memory.Release(cost)
				r, err := p.frameOf(ctx, &p.jobs[i])
				if err == nil {
					done[i] <- r
				}
				return err
			})
		}
		return nil
	})
	g.Go(func() error { return p.collect(ctx, w, done, ahead) })
	err := g.Wait()
	for _, c := range done { // of frames that nobody took after an error
		select {
		case r := <-c:
			r.data.close()
		default:
		}
	}
	return err
}

// cost returns about how much memory a job takes, of the half that is left
// beside the old blobs.
func (p *packer) cost(j *job) int64 {
	cost := 4 * min(j.size, p.section)
	switch {
	case p.sketch != nil:
		return p.o.Memory / 2 // an arena for each section: one at a time
	case j.container:
		// Both forms are about four times as large, and that of old is held as a
		// whole, with an index.
		cost = 16 * min(j.size, p.o.Memory)
	}
	return min(cost, p.o.Memory/2)
}

// frameOf makes a frame. That of a blob that stands alone is made by a packer
// which knows no other old blobs than those that stand alone.
func (p *packer) frameOf(ctx context.Context, j *job) (*frameResult, error) {
	var alone []Blob
	var ids []int
	for i, b := range p.old {
		if b.Alone {
			alone, ids = append(alone, b), append(ids, i)
		}
	}
	if !j.blobs[0].Alone || len(alone) == 0 || len(alone) == len(p.old) {
		return p.frame(ctx, j)
	}
	q := newPacker(alone, nil, p.o)
	if err := q.load(ctx); err != nil {
		return nil, err
	}
	r, err := q.frame(ctx, j)
	if err != nil {
		return nil, err
	}
	for k, i := range r.old {
		r.old[k] = ids[i]
	}
	return r, nil
}

func (p *packer) collect(ctx context.Context, w io.Writer, done []chan *frameResult, ahead *semaphore.Weighted) error {
	e := Event{}
	for _, j := range p.jobs {
		e.Total += j.size
	}
	for i := range done {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-done[i]:
			err := p.take(w, r, &p.jobs[i])
			ahead.Release(1)
			if err != nil {
				return err
			}
			if e.Done += p.jobs[i].size; p.o.Events != nil {
				p.o.Events(e)
			}
		}
	}
	return nil
}

// take appends a frame to the pack.
func (p *packer) take(w io.Writer, r *frameResult, j *job) error {
	defer r.data.close()
	sum := &summer{hash: manifest.NewHash(), w: w}
	if _, err := r.data.WriteTo(sum); err != nil {
		return err
	}
	f := Frame{Ref: sum.ref(), Kind: r.kind, Old: p.numbers(r.old)}
	for _, b := range j.blobs {
		f.New = append(f.New, b.Ref)
	}
	p.head.Frames = append(p.head.Frames, f)
	p.why = append(p.why, r.why)
	return r.data.close()
}

func (p *packer) report(new []Blob) *Report {
	r := &Report{Head: p.head.Ref, Size: p.head.PackSize()}
	frame := map[Ref]int{}
	for i, f := range p.head.Frames {
		for _, b := range f.New {
			frame[b] = i
		}
	}
	for _, b := range new {
		i := frame[b.Ref]
		f := &p.head.Frames[i]
		stored := f.Size
		if total := f.newSize(); total > 0 {
			stored = int64(float64(f.Size) * (float64(b.Size) / float64(total)))
		}
		r.Blobs = append(r.Blobs, BlobReport{Name: b.Name, Frame: i, Kind: f.Kind, Stored: stored, Why: p.why[i]})
	}
	return r
}
