package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Rehearsal is an update or install that is tried without a tree, by a
// publisher before a release goes live.
type Rehearsal struct {
	Store    store.Fetcher // the repository as it will be
	Root     []byte
	Product  string
	Version  string
	Channel  string
	Platform string
	From     *manifest.Manifest                        // nil: an install
	Seed     func(manifest.Digest) (delta.File, error) // opens content of From
}

// Rehearse goes the whole way of a client up to the commit: it checks the
// signed metadata, finds the release, fetches its manifest and all content that
// the update from r.From needs, and verifies it. It keeps nothing. Unlike a
// real update it takes no fallback: what does not come as planned is an error.
//
// It goes by the machine's clock, as clients do, whatever clock the publisher
// signs by: what has expired by now is refused.
func Rehearse(ctx context.Context, r Rehearsal) error {
	if err := rehearse(ctx, r); err != nil {
		return fmt.Errorf("rehearse %s %s: %w", r.Product, r.Version, err)
	}
	return nil
}

func rehearse(ctx context.Context, r Rehearsal) error {
	dir, err := os.MkdirTemp("", "treegraft-rehearsal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rem := &remote{fetch: &counter{Fetcher: r.Store}, dir: dir}
	if rem.trust, err = trust.New(trust.Options{Root: r.Root, Fetch: rem.metadata}); err != nil {
		return err
	}
	s := &session{c: &Client{}, installed: r.From}
	if r.From != nil {
		if s.canonical, err = r.From.Canonical(); err != nil {
			return err
		}
		s.digest = manifest.Sum(s.canonical)
	}
	p, err := s.rehearsalPlan(ctx, rem, r)
	if err != nil {
		return err
	}
	m := &maker{plan: p, remote: rem, workers: s.c.workers(), emit: s.c.emit}
	m.create, m.open = keepRead(p.head, dir)
	m.seed = func(d manifest.Digest) (delta.File, error) {
		if r.From != nil && d == s.digest {
			return s.seed(p.local)(d)
		}
		return r.Seed(d)
	}
	if len(p.contents(Patch)) > 0 {
		if m.pack, err = rem.openPack(*p.pack); err != nil {
			return err
		}
		defer m.pack.Close()
	}
	if err := m.run(ctx); err != nil {
		return err
	}
	for _, f := range m.fallbacks() {
		return fmt.Errorf("%s: %s", f.Path, f.Reason)
	}
	return nil
}

// rehearsalPlan is plan for a tree that is exactly what From says.
func (s *session) rehearsalPlan(ctx context.Context, rem *remote, r Rehearsal) (*Plan, error) {
	all, err := rem.releases(ctx, r.Product)
	if err != nil {
		return nil, err
	}
	c, err := pick(all, lifecycle.Wish{Channel: r.Channel, Version: r.Version, Platform: r.Platform})
	if err != nil {
		return nil, err
	}
	x := c.hops[0]
	index, err := rem.index(ctx, x)
	if err != nil {
		return nil, err
	}
	j := &job{from: s.digest, listing: index.Objects, local: &local{content: map[manifest.Digest]string{}}}
	if err := s.fromPack(ctx, rem, x, index, j, true); err != nil {
		return nil, err
	}
	if j.encoded, err = rem.wholeManifest(ctx, x); err != nil {
		return nil, err
	}
	if err := j.parse(r.From, x); err != nil {
		return nil, err
	}
	for _, e := range entries(r.From) {
		j.local.content[e.Digest] = e.Path
	}
	p := &Plan{From: s.facts(), To: &j.to.Release, job: *j}
	p.Steps = decide(p.changes, p.local, p.head, s.digest)
	return p, rem.needObjects(ctx, p)
}

// keepRead returns functions that throw made content away, as it is only
// verified, but for what other frames of a pack read: this they keep in dir.
func keepRead(h *delta.Head, dir string) (create func(delta.Ref) (delta.Output, error), open func(manifest.Digest) (delta.File, error)) {
	read := map[manifest.Digest]bool{}
	if h != nil {
		for _, f := range h.Frames {
			for _, i := range f.Old {
				read[h.Blob(i).Digest] = i >= len(h.Old)
			}
		}
	}
	name := func(d manifest.Digest) string { return filepath.Join(dir, "made-"+d.String()) }
	create = func(r delta.Ref) (delta.Output, error) {
		if !read[r.Digest] {
			return nowhere{}, nil
		}
		f, err := os.Create(name(r.Digest))
		return &plainFile{f}, err
	}
	return create, func(d manifest.Digest) (delta.File, error) { return os.Open(name(d)) }
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Finish(err error) error      { return nil }
