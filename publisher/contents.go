package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// contents opens content of the new tree and of old releases by its digest.
// It looks first in the new tree, then in the folders that may hold old
// releases, and last in the store, from where it brings content into a
// temporary folder. What it opens has been verified since the publish began.
type contents struct {
	store store.Fetcher
	tree  *os.Root                   // nil for a promotion
	new   map[manifest.Digest]string // a path in the new tree

	temp    *os.Root
	maybe   map[manifest.Digest][]place // where folders should hold old content
	objects manifest.Objects            // of old releases
	roots   []*os.Root

	mu    sync.Mutex
	found map[manifest.Digest]*finding
}

// place is a file below a folder.
type place struct {
	root *os.Root
	path string
}

func (p place) open() (delta.File, error) { return p.root.Open(filepath.FromSlash(p.path)) }

// finding is where old content is. It is sought once, by whoever needs it
// first.
type finding struct {
	once sync.Once
	at   place
	err  error
}

func emptyContents() *contents {
	return &contents{new: map[manifest.Digest]string{}, maybe: map[manifest.Digest][]place{}, found: map[manifest.Digest]*finding{}}
}

// newContents returns the contents of the tree in a folder.
func newContents(tree string, entries []manifest.Entry) (*contents, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	c := emptyContents()
	c.tree, c.roots = root, []*os.Root{root}
	for i := range entries {
		e := &entries[i]
		if _, seen := c.new[e.Digest]; e.Kind == manifest.File && !seen {
			c.new[e.Digest] = e.Path
		}
	}
	return c, nil
}

// addFolder says that a folder may hold a tree.
func (c *contents) addFolder(folder string, entries []manifest.Entry) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	c.roots = append(c.roots, root)
	for i := range entries {
		e := &entries[i]
		if _, isNew := c.new[e.Digest]; e.Kind == manifest.File && !isNew {
			c.maybe[e.Digest] = append(c.maybe[e.Digest], place{root, e.Path})
		}
	}
	return nil
}

// openContents returns the contents of the new tree and of the bases.
func (j *job) openContents() (*contents, error) {
	c := emptyContents()
	if j.release.Tree != "" {
		var err error
		if c, err = newContents(j.release.Tree, j.manifest.Entries); err != nil {
			return nil, err
		}
	}
	var err error
	c.store, c.objects = j.o.Store, j.known
	if c.temp, err = os.OpenRoot(j.temp); err != nil {
		c.close()
		return nil, err
	}
	c.roots = append(c.roots, c.temp)
	trees := []*manifest.Manifest{j.manifest} // that of a promotion may be in a folder, too
	for _, base := range j.bases {
		trees = append(trees, base.manifest)
	}
	for _, m := range trees {
		for _, folder := range j.release.Old {
			if err := c.addFolder(folder, m.Entries); err != nil {
				c.close()
				return nil, fmt.Errorf("open old release: %w", err)
			}
		}
	}
	return c, nil
}

func (c *contents) close() {
	for _, root := range c.roots {
		root.Close()
	}
}

// open opens content that is in the new tree or in an old release.
func (c *contents) open(ctx context.Context, want delta.Ref) (delta.File, error) {
	if path, ok := c.new[want.Digest]; ok {
		return place{c.tree, path}.open()
	}
	c.mu.Lock()
	f := c.found[want.Digest]
	if f == nil {
		f = &finding{}
		c.found[want.Digest] = f
	}
	c.mu.Unlock()
	f.once.Do(func() { f.at, f.err = c.find(ctx, want) })
	if f.err != nil {
		return nil, f.err
	}
	return f.at.open()
}

// seed returns a function that opens content of an old release.
func (c *contents) seed(ctx context.Context, r *release) func(manifest.Digest) (delta.File, error) {
	sizes := map[manifest.Digest]int64{}
	for i := range r.manifest.Entries {
		if e := &r.manifest.Entries[i]; e.Kind == manifest.File {
			sizes[e.Digest] = e.Size
		}
	}
	return func(d manifest.Digest) (delta.File, error) {
		size, ok := sizes[d]
		if !ok {
			return nil, fmt.Errorf("open content %v of %s: %w", d, r.Version, fs.ErrNotExist)
		}
		return c.open(ctx, delta.Ref{Digest: d, Size: size})
	}
}

// find returns a place that holds the wanted content for certain.
func (c *contents) find(ctx context.Context, want delta.Ref) (place, error) {
	for _, p := range c.maybe[want.Digest] {
		if p.holds(want) {
			return p, nil
		}
		if err := ctx.Err(); err != nil {
			return place{}, err
		}
	}
	object, ok := c.objects[want.Digest]
	if !ok {
		return place{}, fmt.Errorf("find content %v: %w", want.Digest, fs.ErrNotExist)
	}
	return c.bring(ctx, want, object)
}

// holds reports whether the file is there and has the wanted content.
func (p place) holds(want delta.Ref) bool {
	f, err := p.root.Open(filepath.FromSlash(p.path))
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != want.Size {
		return false
	}
	d, n, err := manifest.SumReader(f)
	return err == nil && d == want.Digest && n == want.Size
}

// bring fetches an object of the store, and decodes it when its digest is
// known to be right.
func (c *contents) bring(ctx context.Context, want delta.Ref, object manifest.Object) (p place, err error) {
	name := manifest.ObjectName(want.Digest)
	packed := filepath.Join(c.temp.Name(), want.Digest.String()+".object")
	if err := store.Download(ctx, c.store, name, packed, store.Content(object), nil); err != nil {
		return place{}, err
	}
	in, err := os.Open(packed)
	if err != nil {
		return place{}, err
	}
	defer func() { err = errors.Join(err, in.Close(), os.Remove(packed)) }()
	out, err := c.temp.Create(want.Digest.String())
	if err != nil {
		return place{}, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := delta.ReadObject(ctx, out, in, want); err != nil {
		return place{}, fmt.Errorf("read %s: %w", name, err)
	}
	return place{c.temp, want.Digest.String()}, nil
}
