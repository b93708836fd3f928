package publisher

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

const (
	firstRoot = "metadata/1.root.json"
	// rootCopy is a root beside the metadata, for whoever gets the repository
	// by a way they trust. Not every repository has one.
	rootCopy = "root.json"
)

// check is one verification under way.
type check struct {
	*Publisher
	decode bool
	mu     sync.Mutex
	faults []manifest.Fault

	objects map[storedAs]bool // checked or about to be
}

// storedAs is what a listing says of an object. Two listings that say
// different things of the same content cannot both be right.
type storedAs struct {
	content delta.Ref
	manifest.Object
}

// Verify reads everything that the repository's metadata names, and the copy of
// a root beside it, and returns all faults: what is missing, and what is not
// what was signed. If decode is set, it also checks that each object makes the
// content it stands for. Metadata that does not verify hides what it names, and
// so is the only fault then.
func (p *Publisher) Verify(ctx context.Context, decode bool) ([]manifest.Fault, error) {
	c := &check{Publisher: p, decode: decode, objects: map[storedAs]bool{}}
	if editor := c.metadata(ctx); editor != nil {
		for _, product := range editor.Products() {
			if err := c.product(ctx, product, editor.Targets(product)); err != nil {
				return nil, err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(c.faults, func(a, b manifest.Fault) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(c.faults), nil
}

func (c *check) fault(name string, err error) {
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.faults = append(c.faults, manifest.Fault{Path: name, Reason: err.Error()})
	}
}

// metadata verifies the signed documents twice: as a client with our root
// does, and from the first root of the repository on, which must lead to the
// same. Metadata that has expired is a fault, but does not end the check.
func (c *check) metadata(ctx context.Context) *trust.Editor {
	editor, err := c.open(ctx, c.o.Store, c.o.Root)
	if err != nil {
		c.fault(faulty(err), err)
		return nil
	}
	first, err := store.ReadAll(ctx, c.o.Store, firstRoot, maxRoot)
	c.fault(firstRoot, err)
	if err == nil {
		again, err := c.open(ctx, c.o.Store, first)
		if err == nil && !bytes.Equal(again.Root(), editor.Root()) {
			err = errors.New("leads to another root than the trusted one")
		}
		c.fault(firstRoot, err)
	}
	c.fault(rootCopy, c.rootCopy(ctx, editor.Root()))
	client, err := trust.New(trust.Options{Root: editor.Root(), Now: c.o.Now, Fetch: c.fetch})
	if err == nil {
		err = client.Refresh(ctx)
	}
	c.fault(faulty(err), err)
	return editor
}

func (c *check) fetch(ctx context.Context, name string, max int64) ([]byte, error) {
	return store.ReadAll(ctx, c.o.Store, name, max)
}

// rootCopy checks that the copy of a root, if there is one, is a version of the
// chain that leads to the newest one, byte for byte. People hand this file on
// as what clients start from, so a foreign root here would be a trap.
func (c *check) rootCopy(ctx context.Context, newest []byte) error {
	b, err := c.fetch(ctx, rootCopy, maxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := trust.New(trust.Options{Root: b, Fetch: c.fetch}); err != nil {
		return err
	}
	version := rootVersion(b)
	if last := rootVersion(newest); version > last {
		return fmt.Errorf("want one of the roots 1 to %d, got version %d", last, version)
	}
	name := fmt.Sprintf("metadata/%d.root.json", version)
	root, err := c.fetch(ctx, name, maxRoot)
	if err == nil && !bytes.Equal(b, root) {
		err = fmt.Errorf("want the bytes of %s, got others", name)
	}
	return err
}

// rootVersion returns the version of a root that package trust has read.
func rootVersion(root []byte) int64 {
	var m struct{ Signed struct{ Version int64 } }
	if json.Unmarshal(root, &m) != nil {
		return 0
	}
	return m.Signed.Version
}

// maxRoot is how long a root may be, as trust has it.
const maxRoot = 512 << 10

// faulty returns the file that an error of trust speaks of.
func faulty(err error) string {
	var signature *trust.SignatureError
	var expired *trust.ExpiredError
	var rollback *trust.RollbackError
	var format *trust.FormatError
	var content *trust.ContentError
	switch {
	case errors.As(err, &signature):
		return signature.File
	case errors.As(err, &expired):
		return expired.File
	case errors.As(err, &rollback):
		return rollback.File
	case errors.As(err, &format):
		return format.File
	case errors.As(err, &content):
		return content.File
	}
	return "metadata"
}

// product checks the releases of a product, and those signed files that belong
// to none of them.
func (c *check) product(ctx context.Context, product string, targets []trust.Target) error {
	all, err := releases(product, targets)
	if err != nil {
		c.fault("metadata/"+product, err)
		return nil
	}
	for _, r := range all {
		c.event(Event{Phase: "verify", Note: fmt.Sprintf("%s %s for %s", r.Product, r.Version, r.Platform)})
		m, _, err := loadManifest(ctx, c.o.Store, r)
		c.fault(r.manifestFile.File(), err)
		index, indexErr := loadIndex(ctx, c.o.Store, r)
		c.fault(r.indexFile.File(), indexErr)
		if indexErr != nil {
			continue
		}
		for _, t := range extrasOf(&r, targets) {
			_, err := c.Extra(ctx, t)
			c.fault(t.File(), err)
		}
		for _, p := range index.Packs {
			c.fault(p.Name, c.pack(ctx, &p))
		}
		if err != nil {
			continue
		}
		objects, err := loadObjects(ctx, c.o.Store, m, index)
		c.fault(manifest.ObjectsName(index.Objects.Digest), err)
		if err == nil {
			c.content(ctx, m, objects)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// content checks the objects of a release that have not been checked yet.
func (c *check) content(ctx context.Context, m *manifest.Manifest, objects manifest.Objects) {
	progress := &counter{p: c.Publisher, phase: "verify"}
	var todo []storedAs
	for _, e := range contentsOf(m.Entries) {
		s := storedAs{refOf(e), objects[e.Digest]}
		if !c.objects[s] {
			c.objects[s] = true
			todo = append(todo, s)
			progress.total += s.Size
		}
	}
	var g errgroup.Group
	g.SetLimit(max(c.o.Workers, pushers/2))
	for _, s := range todo {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			c.fault(manifest.ObjectName(s.content.Digest), c.object(ctx, s))
			progress.add(s.Size)
			return nil
		})
	}
	g.Wait()
}

// object checks one object: its stored bytes first, and only then what they
// make.
func (c *check) object(ctx context.Context, s storedAs) error {
	name := manifest.ObjectName(s.content.Digest)
	err := c.read(ctx, name, func(r io.Reader) error { return copyAll(io.Discard, r, name, store.Content(s.Object)) })
	if err != nil || !c.decode {
		return err
	}
	return c.read(ctx, name, func(r io.Reader) error { return delta.ReadObject(ctx, io.Discard, r, s.content) })
}

func (c *check) read(ctx context.Context, name string, use func(io.Reader) error) error {
	body, err := c.o.Store.Fetch(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	return use(body)
}

// pack checks the head of a pack, and each frame that the head lists.
func (c *check) pack(ctx context.Context, p *manifest.Pack) error {
	return c.read(ctx, p.Name, func(r io.Reader) error {
		raw, err := io.ReadAll(io.LimitReader(r, p.HeadSize))
		if err != nil {
			return err
		}
		if err := checkContent(p.Name, raw, store.Content{Size: p.HeadSize, Digest: p.HeadDigest}); err != nil {
			return err
		}
		head, err := delta.ReadHead(bytes.NewReader(raw), delta.Limits{})
		if err != nil {
			return err
		}
		return frames(r, head, p)
	})
}

// frames reads what comes after the head of a pack.
func frames(r io.Reader, head *delta.Head, p *manifest.Pack) error {
	if got := head.PackSize(); got != p.Size {
		return fmt.Errorf("verify %s: want a pack of %d bytes, got %d", p.Name, p.Size, got)
	}
	for i, f := range head.Frames {
		want := store.Content{Size: f.Size, Digest: f.Digest}
		if err := copyAll(io.Discard, io.LimitReader(r, f.Size), fmt.Sprintf("%s, frame %d", p.Name, i), want); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, 1))
	if err == nil && n > 0 {
		err = fmt.Errorf("verify %s: want %d bytes, got more", p.Name, p.Size)
	}
	return err
}
