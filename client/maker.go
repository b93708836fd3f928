package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// maker makes the new contents that a plan calls for: it copies, patches and
// gets, in this order. What cannot be copied or patched is got, and why is
// remembered.
type maker struct {
	plan    *Plan
	remote  *remote
	pack    *packFile // nil when the plan needs none
	workers int
	seed    func(manifest.Digest) (delta.File, error)
	create  func(delta.Ref) (delta.Output, error)
	open    func(manifest.Digest) (delta.File, error) // what was created
	emit    func(Event)

	mu   sync.Mutex
	made map[manifest.Digest]bool
	why  map[manifest.Digest]string // why a content did not come as planned
	done int64                      // bytes made
	all  int64                      // bytes to be made
}

// Parallel requests, and the size up to which an object is held in memory
// rather than in a file. Many small requests hide latency; few large ones bound
// memory.
const (
	smallObject  = 256 << 10
	smallWorkers = 16
)

// run makes everything, or fails. Only what cannot be got either is an error.
func (m *maker) run(ctx context.Context) error {
	m.made, m.why = map[manifest.Digest]bool{}, map[manifest.Digest]string{}
	m.all = m.plan.newBytes()
	if err := m.each(ctx, m.workers, m.plan.contents(Copy), m.copy); err != nil {
		return err
	}
	if err := m.patch(ctx); err != nil {
		return err
	}
	var small, large []delta.Ref
	for _, a := range []Action{Copy, Patch, Get} {
		for _, r := range m.plan.contents(a) {
			switch {
			case m.made[r.Digest]:
			case r.Size <= smallObject:
				small = append(small, r)
			default:
				large = append(large, r)
			}
		}
	}
	if len(small)+len(large) == 0 {
		return nil
	}
	if err := m.remote.needObjects(ctx, m.plan); err != nil {
		return m.explain(err)
	}
	if err := m.each(ctx, smallWorkers, small, m.get); err != nil {
		return m.explain(err)
	}
	return m.explain(m.each(ctx, m.workers, large, m.get))
}

// explain adds to the error of a fallback why there had to be one.
func (m *maker) explain(err error) error {
	if err == nil || len(m.why) == 0 {
		return err
	}
	for _, s := range m.plan.Steps {
		if why := m.why[s.Digest]; why != "" {
			return fmt.Errorf("%w (needed because %s could not be made as planned: %s)", err, s.Path, why)
		}
	}
	return err
}

func (m *maker) each(ctx context.Context, workers int, refs []delta.Ref, do func(context.Context, delta.Ref) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, r := range refs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, r)
		})
	}
	return g.Wait()
}

// copy makes a content from a local file that holds it.
func (m *maker) copy(ctx context.Context, r delta.Ref) error {
	err := func() error {
		f, err := m.seed(r.Digest)
		if err != nil {
			return err
		}
		defer f.Close()
		return m.raw(r, io.NewSectionReader(f, 0, r.Size))
	}()
	if err != nil {
		m.fault([]delta.Ref{r}, err)
	}
	return ctx.Err()
}

// raw makes a content from the content itself.
func (m *maker) raw(r delta.Ref, from io.Reader) error {
	out, err := m.output(r)
	if err != nil {
		return err
	}
	h := manifest.NewHash()
	n, err := io.Copy(io.MultiWriter(h, out), io.LimitReader(from, r.Size))
	if got := manifest.SumOf(h); err == nil && (n != r.Size || got != r.Digest) {
		err = fmt.Errorf("want %d bytes %v, got %d bytes %v", r.Size, r.Digest, n, got)
	}
	return errors.Join(err, out.Finish(err))
}

// patch makes contents from the frames of the pack.
func (m *maker) patch(ctx context.Context) error {
	frames := m.plan.frames()
	if len(frames) == 0 {
		return nil
	}
	wanted := map[delta.Ref]bool{}
	for _, r := range m.plan.contents(Patch) {
		wanted[r] = true
	}
	if err := m.pack.fill(ctx, m.pack.pack.Size, nil); err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrOffline) {
			return err
		}
		m.fault(slices.Collect(maps.Keys(wanted)), err)
		return nil
	}
	h := m.plan.head
	broken := false
	err := inOrder(ctx, m.workers, h, frames, func(ctx context.Context, i int) error {
		err := h.Patch(ctx, i, m.pack.frame(h.Frames[i]), openOld(h, m.seed, m.open), func(r delta.Ref) (delta.Output, error) {
			if !wanted[r] {
				return nil, nil
			}
			return m.output(r)
		})
		if err != nil {
			m.fault(h.Frames[i].New, err)
			m.mu.Lock()
			broken = true
			m.mu.Unlock()
		}
		return ctx.Err()
	})
	if broken {
		err = errors.Join(err, m.pack.discard())
		if m.remote.mirrors != nil {
			m.remote.mirrors.blame()
		}
	}
	return err
}

// get makes a content from its object in the repository.
func (m *maker) get(ctx context.Context, r delta.Ref) error {
	o, ok := m.plan.objects[r.Digest]
	if !ok {
		return fmt.Errorf("get %v: not in the release's listing", r.Digest)
	}
	body, err := m.remote.object(ctx, r.Digest, o)
	if err != nil {
		return err
	}
	defer body.Close()
	if o == (manifest.Object{Size: r.Size, Digest: r.Digest}) {
		return m.raw(r, body)
	}
	out, err := m.output(r)
	if err != nil {
		return err
	}
	err = delta.ReadObject(ctx, out, body, r)
	return errors.Join(err, out.Finish(err))
}

// output opens the place for a content, and notes when it is complete.
func (m *maker) output(r delta.Ref) (delta.Output, error) {
	out, err := m.create(r)
	if err != nil {
		return nil, err
	}
	return &noted{out, m, r}, nil
}

type noted struct {
	delta.Output
	m *maker
	r delta.Ref
}

func (n *noted) Finish(err error) error {
	if fail := n.Output.Finish(err); err != nil || fail != nil {
		return fail
	}
	n.m.mu.Lock()
	n.m.made[n.r.Digest] = true
	n.m.done += n.r.Size
	done := n.m.done
	n.m.mu.Unlock()
	n.m.emit(Event{Phase: Staging, Done: done, Total: n.m.all})
	return nil
}

// fault notes why contents did not come as planned.
func (m *maker) fault(refs []delta.Ref, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range refs {
		if !m.made[r.Digest] {
			m.why[r.Digest] = err.Error()
		}
	}
}

// fallbacks lists the paths whose content did not come as planned.
func (m *maker) fallbacks() []Fallback {
	var all []Fallback
	for _, s := range m.plan.Steps {
		if why := m.why[s.Digest]; why != "" && (s.Action == Copy || s.Action == Patch) {
			all = append(all, Fallback{s.Path, why})
		}
	}
	return all
}

// needObjects fetches the listing of objects for a plan, once.
func (r *remote) needObjects(ctx context.Context, p *Plan) (err error) {
	if p.objects == nil {
		p.objects, err = r.objects(ctx, p.to, p.listing)
	}
	return err
}

// object returns the verified stored bytes of a content.
func (r *remote) object(ctx context.Context, content manifest.Digest, o manifest.Object) (io.ReadCloser, error) {
	want := store.Content{Size: o.Size, Digest: o.Digest}
	kept, name := r.kept(o.Digest.String()), manifest.ObjectName(content)
	if o.Size <= smallObject {
		b, err := smallfile.Read(kept, o.Size)
		if err == nil && manifest.Sum(b) == o.Digest {
			return memory{bytes.NewReader(b)}, nil
		}
		if b, err = r.content(ctx, name, want); err != nil {
			return nil, err
		}
		return memory{bytes.NewReader(b)}, nil
	}
	if err := r.file(ctx, name, kept, want, nil); err != nil {
		return nil, err
	}
	return os.Open(kept)
}
