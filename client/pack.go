package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// packFile is the local beginning of a pack. It grows by requests for what
// comes next, also from one run to another. Its bytes are not verified here:
// the head is when it is read, and each frame when it is patched with.
type packFile struct {
	r    *remote
	pack manifest.Pack
	f    *os.File
	have int64
}

// openPack opens what there is of a pack locally.
func (r *remote) openPack(p manifest.Pack) (*packFile, error) {
	f, err := os.OpenFile(r.kept(p.HeadDigest.String()+".pack"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > p.Size {
		err = f.Truncate(0)
		info, _ = f.Stat()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &packFile{r: r, pack: p, f: f, have: info.Size()}, nil
}

func (p *packFile) Close() error { return p.f.Close() }

// discard drops what is here, after it has proved wrong.
func (p *packFile) discard() error {
	p.have = 0
	return p.f.Truncate(0)
}

// fill fetches until the first n bytes of the pack are here.
func (p *packFile) fill(ctx context.Context, n int64, progress func(int64)) error {
	if n = min(n, p.pack.Size); p.have >= n {
		return nil
	}
	body, err := p.r.fetch.Fetch(ctx, p.pack.Name, p.have, n-p.have)
	if err != nil {
		return err
	}
	defer body.Close()
	buf := make([]byte, 128<<10)
	for p.have < n {
		k, err := body.Read(buf[:min(int64(len(buf)), n-p.have)])
		if _, err := p.f.WriteAt(buf[:k], p.have); err != nil {
			return err
		}
		p.have += int64(k)
		if progress != nil {
			progress(int64(k))
		}
		if err != nil && p.have < n {
			return fmt.Errorf("fetch %s: %w", p.pack.Name, err)
		}
	}
	return nil
}

// firstRequest is how much of a pack is asked for when only its head and the
// manifest are needed. It holds both for all but very large releases, so that
// planning costs one request.
const firstRequest = 64 << 10

// head returns the verified head. With whole set the entire pack is fetched at
// once, which saves requests where it will be needed anyway.
func (p *packFile) head(ctx context.Context, whole bool) (*delta.Head, error) {
	first := p.pack.HeadSize + firstRequest
	if whole {
		first = p.pack.Size
	}
	if p.have < p.pack.HeadSize || whole {
		if err := p.fill(ctx, first, nil); err != nil {
			return nil, err
		}
	}
	b := make([]byte, p.pack.HeadSize)
	if _, err := p.f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	if got := manifest.Sum(b); got != p.pack.HeadDigest {
		return nil, errors.Join(
			fmt.Errorf("head of pack %s: want digest %v, got %v", p.pack.Name, p.pack.HeadDigest, got),
			p.discard())
	}
	h, err := delta.ReadHead(bytes.NewReader(b), delta.Limits{})
	if err != nil {
		return nil, fmt.Errorf("head of pack %s: %w", p.pack.Name, err)
	}
	for i, f := range h.Frames {
		if f.Offset < p.pack.HeadSize || f.Size < 0 || f.Offset+f.Size > p.pack.Size {
			return nil, fmt.Errorf("head of pack %s: frame %d is outside the pack", p.pack.Name, i)
		}
	}
	return h, nil
}

// frame returns the stored bytes of a frame, which must be here.
func (p *packFile) frame(f delta.Frame) io.ReaderAt {
	return io.NewSectionReader(p.f, f.Offset, f.Size)
}

// manifest makes a manifest's canonical encoding out of the installed one.
func (p *packFile) manifest(ctx context.Context, h *delta.Head, want delta.Ref, seed func(manifest.Digest) (delta.File, error)) ([]byte, error) {
	if want.Size > manifest.MaxCanonical {
		return nil, fmt.Errorf("manifest of %d bytes: at most %d", want.Size, int64(manifest.MaxCanonical))
	}
	for i, f := range h.Frames {
		for _, n := range f.New {
			if n != want {
				continue
			}
			if err := p.fill(ctx, f.Offset+f.Size, nil); err != nil {
				return nil, err
			}
			var out buffer
			err := h.Patch(ctx, i, p.frame(f), openOld(h, seed, notMade), func(r delta.Ref) (delta.Output, error) {
				if r != want {
					return nil, nil
				}
				return &out, nil
			})
			if err != nil {
				return nil, err
			}
			return out.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("pack %s: holds no manifest %v", p.pack.Name, want.Digest)
}

// openOld opens what a pack reads by its number: old content, or new content
// that an earlier frame has made.
func openOld(h *delta.Head, old, made func(manifest.Digest) (delta.File, error)) func(int) (delta.File, error) {
	return func(i int) (delta.File, error) {
		d := h.Blob(i).Digest
		if i >= len(h.Old) {
			if f, err := made(d); err == nil {
				return f, nil
			}
		}
		return old(d)
	}
}

// notMade opens nothing.
func notMade(d manifest.Digest) (delta.File, error) {
	return nil, fmt.Errorf("content %v is not made yet: %w", d, fs.ErrNotExist)
}

// inOrder calls do for frames, which rise, on several goroutines: for each
// when those are done whose new content it reads.
func inOrder(ctx context.Context, workers int, h *delta.Head, frames []int, do func(ctx context.Context, frame int) error) error {
	done := make(map[int]chan struct{}, len(frames))
	for _, i := range frames {
		done[i] = make(chan struct{})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, i := range frames {
		g.Go(func() error {
			defer close(done[i])
			for _, k := range h.Needs(i) {
				if c := done[k]; c != nil { // begun before this one, so it ends
					<-c
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return g.Wait()
}

// buffer is a delta.Output in memory.
type buffer struct{ bytes.Buffer }

func (b *buffer) Finish(error) error { return nil }
