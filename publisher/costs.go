package publisher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// Costs says what an update from one release to another downloads, and for
// which files.
type Costs struct {
	From, To  *manifest.Release
	Size      int64  // of the pack
	Head      int64  // bytes of its head
	Unchanged int64  // bytes of the new tree that stay
	Content   int64  // bytes of the new tree
	Parts     []Part // of the pack, the largest first
}

// Part is a part of a pack: what is stored for some files, which can only be
// told apart where it is one.
type Part struct {
	Stored int64
	Makes  int64
	Kind   delta.Kind
	Paths  []string // in the new release; none for its manifest
}

// Costs reads the packs of a published release back and tells what is in them,
// in order of platforms and old sequences.
func (p *Publisher) Costs(ctx context.Context, product, version string) ([]Costs, error) {
	details, err := p.Inspect(ctx, product, version)
	if err != nil {
		return nil, err
	}
	var all []Costs
	for _, d := range details {
		for _, pack := range d.Index.Packs {
			c, err := p.costs(ctx, d.Manifest, pack)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", pack.Name, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func (p *Publisher) costs(ctx context.Context, m *manifest.Manifest, pack manifest.Pack) (Costs, error) {
	c := Costs{From: &manifest.Release{Product: m.Release.Product, Version: pack.From, Platform: m.Release.Platform},
		To: &m.Release, Size: pack.Size, Head: pack.HeadSize, Content: m.Content()}
	body, err := p.o.Store.Fetch(ctx, pack.Name, 0, pack.HeadSize)
	if err != nil {
		return c, err
	}
	raw, err := io.ReadAll(io.LimitReader(body, pack.HeadSize))
	if err := errors.Join(err, body.Close()); err != nil {
		return c, err
	}
	if err := checkContent(pack.Name, raw, store.Content{Size: pack.HeadSize, Digest: pack.HeadDigest}); err != nil {
		return c, err
	}
	head, err := delta.ReadHead(bytes.NewReader(raw), delta.Limits{})
	if err != nil {
		return c, err
	}
	paths := map[manifest.Digest][]string{}
	for _, e := range m.Entries {
		if e.Kind == manifest.File {
			paths[e.Digest] = append(paths[e.Digest], e.Path)
		}
	}
	c.Unchanged = c.Content
	for _, f := range head.Frames {
		part := Part{Stored: f.Size, Kind: f.Kind}
		for _, n := range f.New {
			part.Makes += n.Size
			part.Paths = append(part.Paths, paths[n.Digest]...)
			c.Unchanged -= n.Size * int64(len(paths[n.Digest]))
		}
		slices.Sort(part.Paths)
		c.Parts = append(c.Parts, part)
	}
	slices.SortStableFunc(c.Parts, func(a, b Part) int { return -cmp.Compare(a.Stored, b.Stored) })
	return c, nil
}
