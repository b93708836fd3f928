package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// PatchTree makes the folder newDir, which must be missing or empty, out of
// the tree oldDir and a delta file that publisher.DiffTrees wrote. The tree
// takes its place when it is complete and each file has the digest that the
// delta names; nothing is left behind when that fails.
//
// The delta is not signed: who must not trust it uses a repository. It does
// not sync, so the new tree may be lost in a power cut shortly after.
func PatchTree(ctx context.Context, oldDir, deltaPath, newDir string) error {
	if err := patchTree(ctx, oldDir, deltaPath, filepath.Clean(newDir)); err != nil {
		return fmt.Errorf("patch %s with %s: %w", oldDir, deltaPath, err)
	}
	return nil
}

func patchTree(ctx context.Context, oldDir, deltaPath, newDir string) (err error) {
	if err := checkVacant(newDir); err != nil {
		return err
	}
	file, err := os.Open(deltaPath)
	if err != nil {
		return err
	}
	defer file.Close()
	p := &treePatch{pack: file}
	if err := p.readHead(); err != nil {
		return err
	}
	if err := p.readOld(ctx, oldDir); err != nil {
		return err
	}
	defer p.oldRoot.Close()
	if err := p.readManifest(ctx); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(newDir), ".treegraft-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(temp))
		}
	}()
	if err := p.make(ctx, temp); err != nil {
		return err
	}
	if err := os.Remove(newDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, newDir)
}

// checkVacant reports whether a new tree may take the place of dir.
func checkVacant(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is there already", dir)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// removeTree removes a tree, also out of folders that may not be written.
func removeTree(dir string) error {
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil // what could not be done shows below
	})
	return os.RemoveAll(dir)
}

// treePatch is one PatchTree under way.
type treePatch struct {
	pack *os.File
	head *delta.Head

	oldRoot  *os.Root
	oldBytes []byte // canonical manifest
	old      map[manifest.Digest]string

	new  *manifest.Manifest
	root *os.Root                        // of the new tree while it is made
	to   map[delta.Ref][]*manifest.Entry // files of each new content

	first map[manifest.Digest]string // path of the first of these
}

func (p *treePatch) readHead() (err error) {
	info, err := p.pack.Stat()
	if err != nil {
		return err
	}
	if p.head, err = delta.ReadHead(io.NewSectionReader(p.pack, 0, info.Size()), delta.Limits{}); err != nil {
		return err
	}
	if want := p.head.PackSize(); info.Size() != want {
		return fmt.Errorf("want a delta of %d bytes, got %d", want, info.Size())
	}
	if len(p.head.Frames) == 0 || len(p.head.Frames[0].New) != 1 {
		return errors.New("not a delta of two trees")
	}
	return nil
}

// readOld finds all content of the old tree. The caller closes p.oldRoot if
// there is no error.
func (p *treePatch) readOld(ctx context.Context, dir string) error {
	entries, err := manifest.Scan(ctx, dir, manifest.ScanOptions{})
	if err != nil {
		return err
	}
	m := &manifest.Manifest{Release: manifest.TreeFacts(), Entries: entries}
	if p.oldBytes, err = m.Canonical(); err != nil {
		return err
	}
	p.old = make(map[manifest.Digest]string, len(entries))
	for i := range entries {
		if e := &entries[i]; e.Kind == manifest.File {
			p.old[e.Digest] = e.Path
		}
	}
	p.oldRoot, err = os.OpenRoot(dir)
	return err
}

// seed opens a content of the old tree, or its manifest.
func (p *treePatch) seed(d manifest.Digest) (delta.File, error) {
	if d == manifest.Sum(p.oldBytes) {
		return memory{bytes.NewReader(p.oldBytes)}, nil
	}
	name, ok := p.old[d]
	if !ok {
		return nil, fmt.Errorf("not the tree that the delta starts from: no content %v", d)
	}
	return p.oldRoot.Open(filepath.FromSlash(name))
}

// readManifest makes the new manifest, the only blob of the first frame. It is
// parsed as it comes, so that bytes that are no manifest are refused before
// there are many of them.
func (p *treePatch) readManifest(ctx context.Context) (err error) {
	r, w := io.Pipe()
	var g errgroup.Group
	g.Go(func() error {
		err := p.frame(ctx, 0, func(delta.Ref) (delta.Output, error) { return piped{w}, nil })
		w.CloseWithError(err)
		return err
	})
	p.new, err = manifest.Parse(r)
	r.CloseWithError(err)
	if first := g.Wait(); first != nil {
		return fmt.Errorf("new manifest: %w", first)
	}
	return err
}

type piped struct{ *io.PipeWriter }

func (piped) Finish(error) error { return nil }

// made opens a content of the new tree that is complete.
func (p *treePatch) made(d manifest.Digest) (delta.File, error) {
	name, ok := p.first[d]
	if !ok {
		return notMade(d)
	}
	return p.root.Open(filepath.FromSlash(name))
}

func (p *treePatch) frame(ctx context.Context, i int, create func(delta.Ref) (delta.Output, error)) error {
	f := p.head.Frames[i]
	return p.head.Patch(ctx, i, io.NewSectionReader(p.pack, f.Offset, f.Size), openOld(p.head, p.seed, p.made), create)
}

// make makes the new tree in dir.
func (p *treePatch) make(ctx context.Context, dir string) (err error) {
	if p.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer p.root.Close()
	p.to, p.first = map[delta.Ref][]*manifest.Entry{}, map[manifest.Digest]string{}
	made := "."
	for i := range p.new.Entries {
		e := &p.new.Entries[i]
		folder := path.Dir(e.Path)
		if e.Kind == manifest.Dir {
			folder = e.Path
		}
		if folder != made {
			if err := p.root.MkdirAll(filepath.FromSlash(folder), 0o700); err != nil {
				return err
			}
			made = folder
		}
		if e.Kind == manifest.File {
			ref := delta.Ref{Digest: e.Digest, Size: e.Size}
			p.to[ref] = append(p.to[ref], e)
			p.first[e.Digest] = p.to[ref][0].Path
		}
	}
	if err := p.contents(ctx); err != nil {
		return err
	}
	if err := p.duplicates(ctx); err != nil {
		return err
	}
	return p.finish()
}

// contents writes each new content to its first path.
func (p *treePatch) contents(ctx context.Context) error {
	g, copying := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	made := map[delta.Ref]bool{}
	for ref, files := range p.to {
		if from, ok := p.old[ref.Digest]; ok {
			made[ref] = true
			g.Go(func() error { return p.copy(copying, p.oldRoot, from, files[0]) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	todo := map[delta.Ref]bool{}
	var frames []int
	for i, f := range p.head.Frames {
		before := len(todo)
		for _, ref := range f.New { // none is listed twice
			if p.to[ref] != nil && !made[ref] {
				todo[ref], made[ref] = true, true
			}
		}
		if len(todo) > before {
			frames = append(frames, i)
		}
	}
	err := inOrder(ctx, runtime.GOMAXPROCS(0), p.head, frames, func(ctx context.Context, i int) error {
		return p.frame(ctx, i, func(ref delta.Ref) (delta.Output, error) {
			if !todo[ref] {
				return nil, nil
			}
			return p.create(p.to[ref][0])
		})
	})
	if err != nil {
		return err
	}
	for ref, files := range p.to {
		if !made[ref] {
			return fmt.Errorf("make %s: neither the delta nor the old tree has its content", files[0].Path)
		}
	}
	return nil
}

// duplicates copies each content from its first path to the others.
func (p *treePatch) duplicates(ctx context.Context) error {
	for _, files := range p.to {
		for _, to := range files[1:] {
			if err := p.copy(ctx, p.root, files[0].Path, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes the file of an entry with its mode, except that the owner can
// read what is needed once more.
func (p *treePatch) create(e *manifest.Entry) (*plainFile, error) {
	f, err := p.root.OpenFile(filepath.FromSlash(e.Path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(e.Mode | readable); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &plainFile{f}, nil
}

const readable fs.FileMode = 0o400

// plainFile is a delta.Output whose file is removed with its whole tree if it
// is not what it should be.
type plainFile struct{ *os.File }

// Finish closes the file.
func (f *plainFile) Finish(error) error { return f.Close() }

// copy copies the content of an entry and verifies it.
func (p *treePatch) copy(ctx context.Context, root *os.Root, from string, to *manifest.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	in, err := root.Open(filepath.FromSlash(from))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := p.create(to)
	if err != nil {
		return err
	}
	d, n, err := manifest.SumReader(io.TeeReader(io.LimitReader(in, to.Size+1), out))
	if err == nil && (d != to.Digest || n != to.Size) {
		err = fmt.Errorf("copy %s: it changed meanwhile: want %d bytes blake3:%v, got %d bytes blake3:%v", from, to.Size, to.Digest, n, d)
	}
	return errors.Join(err, out.Close())
}

// finish makes the symlinks and gives each folder its mode. Nothing is written
// after that: symlinks lead astray, and modes forbid it.
func (p *treePatch) finish() error {
	modes := map[string]fs.FileMode{".": manifest.DirMode}
	for i := range p.new.Entries {
		e := &p.new.Entries[i]
		for d := path.Dir(e.Path); d != "."; d = path.Dir(d) {
			if _, known := modes[d]; known {
				break
			}
			modes[d] = manifest.DirMode
		}
		switch e.Kind {
		case manifest.Symlink:
			if err := p.root.Symlink(filepath.FromSlash(e.Link), filepath.FromSlash(e.Path)); err != nil {
				return err
			}
		case manifest.Dir:
			modes[e.Path] = e.Mode
		case manifest.File:
			if e.Mode&readable != 0 {
				continue // it has its mode
			}
			if err := p.root.Chmod(filepath.FromSlash(e.Path), e.Mode); err != nil {
				return err
			}
		}
	}
	// The deepest first: a folder's mode may forbid to reach what is in it.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(modes))) {
		if err := p.root.Chmod(filepath.FromSlash(name), modes[name]); err != nil {
			return err
		}
	}
	return nil
}
