package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// pushers is how many objects are on their way at once. Waiting for a store,
// or for a disk to sync, takes no processor.
const pushers = 16

// contentsOf returns the distinct contents of a tree's files, each with the
// first path that has it, in order of these paths.
func contentsOf(entries []manifest.Entry) []*manifest.Entry {
	seen := make(map[manifest.Digest]bool, len(entries))
	all := make([]*manifest.Entry, 0, len(entries))
	for i := range entries {
		if e := &entries[i]; e.Kind == manifest.File && !seen[e.Digest] {
			seen[e.Digest] = true
			all = append(all, e)
		}
	}
	return all
}

func refOf(e *manifest.Entry) delta.Ref { return delta.Ref{Digest: e.Digest, Size: e.Size} }

// putObjects stores each content of the new tree that is not stored yet, and
// notes how all of them are stored.
func (j *job) putObjects(ctx context.Context) error {
	j.objects = manifest.Objects{}
	var missing []*manifest.Entry
	progress := &counter{p: j.Publisher, phase: "objects"}
	for _, e := range contentsOf(j.manifest.Entries) {
		if o, ok := j.known[e.Digest]; ok {
			j.objects[e.Digest] = o
			continue
		}
		missing = append(missing, e)
		progress.total += e.Size
	}
	// The biggest first, so that no processor is left alone with one at the end.
	slices.SortStableFunc(missing, func(a, b *manifest.Entry) int { return cmp.Compare(b.Size, a.Size) })
	return j.putMissing(ctx, missing, progress)
}

func (j *job) putMissing(ctx context.Context, missing []*manifest.Entry, progress *counter) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(j.o.Workers, pushers))
	processors := make(chan struct{}, j.o.Workers)
	for _, e := range missing {
		g.Go(func() error {
			o, written, err := j.putObject(ctx, e, processors)
			if err != nil {
				return err
			}
			progress.add(e.Size)
			mu.Lock()
			defer mu.Unlock()
			j.objects[e.Digest] = o
			if written {
				j.report.Objects++
				j.report.ObjectBytes += o.Size
			}
			return nil
		})
	}
	return g.Wait()
}

// putObject stores one content, unless it is there already. It does its
// computing while it has a place in processors.
func (j *job) putObject(ctx context.Context, e *manifest.Entry, processors chan struct{}) (o manifest.Object, written bool, err error) {
	if err := ctx.Err(); err != nil {
		return o, false, err
	}
	name := manifest.ObjectName(e.Digest)
	push := j.o.Store.PushNew
	o, err = j.thereAlready(ctx, name, refOf(e))
	var broken *brokenError
	switch {
	case err == nil:
		return o, false, nil
	case errors.As(err, &broken):
		j.event(Event{Phase: "objects", Note: fmt.Sprintf("%s is replaced: %v", name, err)})
		push = j.o.Store.Push
	case !errors.Is(err, fs.ErrNotExist):
		return o, false, err
	}
	packed := &spool{dir: j.temp}
	defer packed.close()
	processors <- struct{}{}
	stored, err := j.compress(ctx, packed, e)
	<-processors
	if err != nil {
		return o, false, err
	}
	if err := push(ctx, name, packed.reader(), stored.Size); err != nil {
		return o, false, err
	}
	j.written.Add(stored.Size)
	return manifest.Object{Size: stored.Size, Digest: stored.Digest}, true, nil
}

// compress writes an entry's content to w in its stored form.
func (j *job) compress(ctx context.Context, w io.Writer, e *manifest.Entry) (stored delta.Ref, err error) {
	f, err := j.content.open(ctx, refOf(e))
	if err != nil {
		return stored, err
	}
	defer f.Close()
	content, stored, err := delta.WriteObject(ctx, w, io.NewSectionReader(f, 0, manifest.MaxFileSize), j.release.Delta.Level)
	if err == nil && content != refOf(e) {
		err = errors.New("it changed while it was published")
	}
	if err != nil {
		return stored, fmt.Errorf("compress %s: %w", e.Path, err)
	}
	return stored, nil
}

// brokenError says that a store holds an object that is not what it should be.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// thereAlready looks for an object that an interrupted publish, or one of
// another product, has left. It counts only if it makes the wanted content.
func (j *job) thereAlready(ctx context.Context, name string, want delta.Ref) (o manifest.Object, err error) {
	body, err := j.o.Store.Fetch(ctx, name, 0, -1)
	if err != nil {
		return o, err
	}
	defer body.Close()
	in := &summer{r: body, h: manifest.NewHash()}
	if err = delta.ReadObject(ctx, io.Discard, in, want); err == nil {
		_, err = io.Copy(io.Discard, in) // what the decoder did not need, which a digest covers too
	}
	switch {
	case in.err != nil:
		return o, fmt.Errorf("read %s: %w", name, in.err)
	case ctx.Err() != nil:
		return o, ctx.Err()
	case err != nil:
		return o, &brokenError{err}
	}
	return manifest.Object{Size: in.n, Digest: manifest.SumOf(in.h)}, nil
}

// summer hashes what is read from r. It remembers an error of r, because a
// decoder reports that in the same way as bad bytes.
type summer struct {
	r   io.Reader
	h   hash.Hash
	n   int64
	err error
}

func (s *summer) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
