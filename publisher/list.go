package publisher

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

// Item is one published release.
type Item struct {
	manifest.Listing
	Index *manifest.Index
}

// List returns the published releases of a product, or of all with "", in
// order of product, platform and sequence.
func (p *Publisher) List(ctx context.Context, product string) ([]Item, error) {
	editor, err := p.open(ctx, p.o.Store, p.o.Root)
	if err != nil {
		return nil, err
	}
	products := editor.Products()
	if product != "" {
		products = []string{product}
	}
	var items []Item
	for _, name := range products {
		all, err := releases(name, editor.Targets(name))
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			index, err := loadIndex(ctx, p.o.Store, r)
			if err != nil {
				return nil, err
			}
			items = append(items, Item{r.Listing, index})
		}
	}
	return items, nil
}

// Roles returns who signs the repository: root first, products last.
func (p *Publisher) Roles(ctx context.Context) ([]trust.Role, error) {
	editor, err := p.open(ctx, p.o.Store, p.o.Root)
	if err != nil {
		return nil, err
	}
	return editor.Roles(), nil
}

// Details is all there is to say about a published release.
type Details struct {
	Item
	Manifest *manifest.Manifest
	Extras   []trust.Target
	Stored   int64 // bytes of its objects: what an install downloads beside the manifest
}

// Inspect returns the releases of a version, one for each platform. The error
// is [fs.ErrNotExist] if there is none.
func (p *Publisher) Inspect(ctx context.Context, product, version string) ([]Details, error) {
	editor, err := p.open(ctx, p.o.Store, p.o.Root)
	if err != nil {
		return nil, err
	}
	all, err := releases(product, editor.Targets(product))
	if err != nil {
		return nil, err
	}
	var found []Details
	for _, listed := range all {
		if listed.Version != version {
			continue
		}
		r, err := load(ctx, p.o.Store, listed)
		if err != nil {
			return nil, err
		}
		d := Details{Item: Item{r.Listing, r.index}, Manifest: r.manifest, Extras: extrasOf(&listed, editor.Targets(product))}
		for _, o := range r.objects {
			d.Stored += o.Size
		}
		found = append(found, d)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("inspect %s %s: no such release: %w", product, version, fs.ErrNotExist)
	}
	return found, nil
}
