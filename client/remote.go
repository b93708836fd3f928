package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

const timestampName = "metadata/timestamp.json"

// remote is the repository as one operation sees it: fetched from, verified,
// and with a folder of what was fetched before.
type remote struct {
	fetch   *counter
	trust   *trust.Client
	dir     string // downloads, by digest; "" keeps nothing
	offline bool   // only what is in dir and in the cache of metadata

	mirrors *mirrors // behind fetch; nil: there is one place only
	lead    *answer  // of the mirror whose metadata is read
}

// connect prepares a remote for the tree. It makes no request.
func (c *Client) connect(offline bool) (*remote, error) { return c.connectTo(offline, true) }

// connectTo is connect for a tree in which nothing can be kept, unless keep is
// set.
func (c *Client) connectTo(offline, keep bool) (*remote, error) {
	root, err := c.root()
	if err != nil {
		return nil, err
	}
	if c.o.AcceptExpired && !offline && !c.isFolder() {
		return nil, ErrOnline
	}
	f := c.o.Store
	var m *mirrors
	switch {
	case offline:
		f = nothing{}
	case f == nil && c.settings.Repository == "":
		return nil, errors.New("no repository is known for this tree")
	case f == nil && len(c.settings.Mirrors) > 0:
		if m, err = openMirrors(append([]string{c.settings.Repository}, c.settings.Mirrors...)); err != nil {
			return nil, err
		}
		f = m
	case f == nil:
		if f, err = store.Open(c.settings.Repository, store.HTTPOptions{}); err != nil {
			return nil, err
		}
	}
	r := &remote{fetch: &counter{Fetcher: f}, offline: offline, mirrors: m}
	o := trust.Options{Root: root, Fetch: r.metadata, Now: c.o.Now, BuildTime: c.o.Built, LiftExpiry: c.o.AcceptExpired}
	switch {
	case c.settings.Product == "": // there is no place to keep anything
	case !keep:
		o.Cache = &lookedAt{folder: folderCache(c.state(trustName)), written: map[string][]byte{}}
	default:
		cache := folderCache(c.state(trustName))
		r.dir = c.state(downloadsName)
		for _, d := range []string{string(cache), r.dir} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				return nil, err
			}
		}
		o.Cache = cache
		if offline {
			o.Fetch = cache.metadata
		}
	}
	r.trust, err = trust.New(o)
	return r, err
}

// release is one published release, as the signed metadata has it.
type release struct {
	manifest.Listing
	manifest trust.Target
	index    trust.Target
}

// releases returns all releases of a product.
func (r *remote) releases(ctx context.Context, product string) ([]release, error) {
	targets, err := r.targets(ctx, product)
	if err != nil {
		return nil, err
	}
	return listings(product, targets)
}

// listings reads what a product's signed targets say of its releases.
func listings(product string, targets []trust.Target) ([]release, error) {
	byName := make(map[string]trust.Target, len(targets))
	for _, t := range targets {
		byName[t.Name] = t
	}
	var all []release
	for _, t := range targets {
		if !strings.HasPrefix(t.Name, "manifests/") {
			continue
		}
		listing, err := manifest.ParseListing(t.Custom)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		x := release{Listing: *listing, manifest: t}
		facts := manifest.Release{Product: x.Product, Version: x.Version, Platform: x.Platform}
		var ok bool
		if x.index, ok = byName[facts.IndexName()]; !ok || facts.StoredName() != t.Name || x.Product != product {
			return nil, fmt.Errorf("read listing of %s: it describes another release, or one without an index", t.Name)
		}
		all = append(all, x)
	}
	return all, nil
}

// document returns a small signed document, from the downloads if it is there.
func (r *remote) document(ctx context.Context, t trust.Target) ([]byte, error) {
	kept := r.kept(fmt.Sprintf("%x", t.SHA256))
	if b, err := smallfile.Read(kept, t.Length); err == nil && t.Check(b) == nil {
		return b, nil
	}
	b, err := r.verified(ctx, t.File(), t.Length, t.Check)
	if err != nil {
		return nil, err
	}
	if r.dir == "" {
		return b, nil
	}
	return b, os.WriteFile(kept, b, 0o600) // checked when read back, so it need not be durable
}

// isFolder reports whether the repository is a folder, and nothing else.
func (c *Client) isFolder() bool {
	return c.o.Store == nil && len(c.settings.Mirrors) == 0 &&
		(!strings.Contains(c.settings.Repository, "://") || strings.HasPrefix(c.settings.Repository, "file://"))
}

// verified reads a file that must pass a check.
func (r *remote) verified(ctx context.Context, name string, max int64, check func([]byte) error) (b []byte, err error) {
	err = r.each(ctx, func() error {
		if b, err = store.ReadAll(ctx, r.fetch, name, max); err != nil {
			return err
		}
		return check(b)
	})
	return b, err
}

// content reads a file that has a digest.
func (r *remote) content(ctx context.Context, name string, want store.Content) ([]byte, error) {
	return r.verified(ctx, name, want.Size, func(b []byte) error {
		if got := (store.Content{Size: int64(len(b)), Digest: manifest.Sum(b)}); got != want {
			return &store.MismatchError{Name: name, Want: want, Got: got}
		}
		return nil
	})
}

// file brings a file that has a digest to a path.
func (r *remote) file(ctx context.Context, name, path string, want store.Content, progress func(int64)) error {
	return r.each(ctx, func() error { return store.Download(ctx, r.fetch, name, path, want, progress) })
}

func (r *remote) kept(name string) string {
	if r.dir == "" {
		return ""
	}
	return filepath.Join(r.dir, name)
}

// index fetches the index of a release.
func (r *remote) index(ctx context.Context, x *release) (*manifest.Index, error) {
	b, err := r.document(ctx, x.index)
	if err != nil {
		return nil, err
	}
	index, err := manifest.ParseIndex(b)
	if err != nil {
		return nil, err
	}
	if index.Product != x.Product || index.Version != x.Version || index.Platform != x.Platform {
		return nil, fmt.Errorf("index %s: it is that of %s %s for %s", x.index.Name, index.Product, index.Version, index.Platform)
	}
	return index, nil
}

// wholeManifest fetches the canonical encoding of a release's manifest.
func (r *remote) wholeManifest(ctx context.Context, x *release) ([]byte, error) {
	b, err := r.document(ctx, x.manifest)
	if err != nil {
		return nil, err
	}
	return manifest.Decompress(b, x.Size, x.Digest)
}

// objects fetches the listing of how the contents of m are stored.
func (r *remote) objects(ctx context.Context, m *manifest.Manifest, f manifest.ObjectsFile) (manifest.Objects, error) {
	kept := r.kept(f.Digest.String())
	b, err := smallfile.Read(kept, f.Size)
	if err != nil || manifest.Sum(b) != f.Digest {
		name := manifest.ObjectsName(f.Digest)
		if b, err = r.content(ctx, name, store.Content{Size: f.Size, Digest: f.Digest}); err != nil {
			return nil, err
		}
		if r.dir != "" {
			if err := os.WriteFile(kept, b, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return manifest.ParseObjects(m, b)
}

// counter counts what is fetched through it.
type counter struct {
	store.Fetcher
	requests, bytes atomic.Int64
}

func (c *counter) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	c.requests.Add(1)
	body, err := c.Fetcher.Fetch(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	return &countedBody{body, c}, nil
}

type countedBody struct {
	io.ReadCloser
	c *counter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.bytes.Add(int64(n))
	return n, err
}

// nothing is the store of an operation that may make no request.
type nothing struct{}

func (nothing) Fetch(_ context.Context, name string, _, _ int64) (io.ReadCloser, error) {
	return nil, fmt.Errorf("fetch %s: %w", name, ErrOffline)
}

// folderCache keeps signed metadata in a folder.
type folderCache string

func (d folderCache) Read(name string, max int64) ([]byte, error) {
	return smallfile.Read(filepath.Join(string(d), name), max)
}

func (d folderCache) Write(name string, b []byte) error {
	return atomicfs.WriteFile(filepath.Join(string(d), name), b, 0o600)
}

// metadata answers an offline refresh: the last timestamp is the newest, and
// everything it names is in the cache.
func (d folderCache) metadata(_ context.Context, name string, max int64) ([]byte, error) {
	if name != timestampName {
		return nil, fmt.Errorf("fetch %s: %w", name, errors.Join(ErrOffline, fs.ErrNotExist))
	}
	return d.Read(path.Base(name), max)
}
