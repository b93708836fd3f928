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
	"os"
	"slices"
	"sync/atomic"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

const (
	timestampName = "metadata/timestamp.json"
	maxTimestamp  = 16 << 10 // what trust accepts
)

// published is a release as the signed metadata lists it.
type published struct {
	manifest.Listing
	manifestFile, indexFile trust.Target
}

// facts returns as much of the release's facts as names are made of.
func (p *published) facts() *manifest.Release {
	return &manifest.Release{Product: p.Product, Version: p.Version, Sequence: p.Sequence, Platform: p.Platform}
}

// releases returns what targets of a product list, in order of platforms and
// sequences.
func releases(product string, targets []trust.Target) ([]published, error) {
	byName := make(map[string]trust.Target, len(targets))
	for _, t := range targets {
		byName[t.Name] = t
	}
	var all []published
	for _, t := range targets {
		if len(t.Custom) == 0 {
			continue
		}
		p := published{manifestFile: t}
		if err := json.Unmarshal(t.Custom, &p.Listing); err != nil {
			return nil, fmt.Errorf("read listing of %s: %w", t.Name, err)
		}
		if want := p.facts().StoredName(); p.Product != product || t.Name != want {
			return nil, fmt.Errorf("read listing of %s: it is of %s", t.Name, want)
		}
		var ok bool
		if p.indexFile, ok = byName[p.facts().IndexName()]; !ok {
			return nil, fmt.Errorf("read listing of %s: no %s beside it", t.Name, p.facts().IndexName())
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b published) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Sequence, b.Sequence), manifest.CompareVersions(a.Version, b.Version))
	})
	return all, nil
}

// release is a published release with all that is needed to start from it.
type release struct {
	published
	canonical []byte
	manifest  *manifest.Manifest
	index     *manifest.Index
	objects   manifest.Objects
}

// load reads a release's documents, each verified before it is parsed.
func load(ctx context.Context, f store.Fetcher, p published) (*release, error) {
	r := &release{published: p}
	var err error
	if r.manifest, r.canonical, err = loadManifest(ctx, f, p); err != nil {
		return nil, err
	}
	if r.index, err = loadIndex(ctx, f, p); err != nil {
		return nil, err
	}
	r.objects, err = loadObjects(ctx, f, r.manifest, r.index)
	return r, err
}

// files returns the names and sizes of all files that a release is made of, but
// for its extras.
func (r *release) files() map[string]int64 {
	files := map[string]int64{
		r.manifestFile.File():                        r.manifestFile.Length,
		r.indexFile.File():                           r.indexFile.Length,
		manifest.ObjectsName(r.index.Objects.Digest): r.index.Objects.Size,
	}
	for content, o := range r.objects {
		files[manifest.ObjectName(content)] = o.Size
	}
	for _, pack := range r.index.Packs {
		files[pack.Name] = pack.Size
	}
	return files
}

func loadManifest(ctx context.Context, f store.Fetcher, p published) (*manifest.Manifest, []byte, error) {
	stored, err := fetchTarget(ctx, f, p.manifestFile, manifest.MaxCanonical)
	if err != nil {
		return nil, nil, err
	}
	canonical, err := manifest.Decompress(stored, p.Size, p.Digest)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", p.manifestFile.Name, err)
	}
	m, err := manifest.Parse(bytes.NewReader(canonical))
	if err == nil {
		err = p.Check(&m.Release)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", p.manifestFile.Name, err)
	}
	return m, canonical, nil
}

func loadIndex(ctx context.Context, f store.Fetcher, p published) (*manifest.Index, error) {
	b, err := fetchTarget(ctx, f, p.indexFile, manifest.MaxIndex)
	if err != nil {
		return nil, err
	}
	x, err := manifest.ParseIndex(b)
	if err == nil && (x.Product != p.Product || x.Version != p.Version || x.Platform != p.Platform) {
		err = fmt.Errorf("it is of %s %s for %s", x.Product, x.Version, x.Platform)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.indexFile.Name, err)
	}
	return x, nil
}

func loadObjects(ctx context.Context, f store.Fetcher, m *manifest.Manifest, x *manifest.Index) (manifest.Objects, error) {
	name := manifest.ObjectsName(x.Objects.Digest)
	b, err := store.ReadAll(ctx, f, name, x.Objects.Size)
	if err != nil {
		return nil, err
	}
	if err := checkContent(name, b, store.Content(x.Objects)); err != nil {
		return nil, err
	}
	objects, err := manifest.ParseObjects(m, b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return objects, nil
}

func checkContent(name string, b []byte, want store.Content) error {
	if got := (store.Content{Size: int64(len(b)), Digest: manifest.Sum(b)}); got != want {
		return &store.MismatchError{Name: name, Want: want, Got: got}
	}
	return nil
}

// copyAll copies a file that is read from r to w, to its end, and fails unless
// it is the wanted one.
func copyAll(w io.Writer, r io.Reader, name string, want store.Content) error {
	h := manifest.NewHash()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, want.Size+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	got := store.Content{Size: n}
	if n <= want.Size {
		got.Digest = manifest.SumOf(h)
	}
	if got != want {
		return &store.MismatchError{Name: name, Want: want, Got: got}
	}
	return nil
}

func fetchTarget(ctx context.Context, f store.Fetcher, t trust.Target, max int64) ([]byte, error) {
	if t.Length > max {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d", t.Name, t.Length, max)
	}
	b, err := store.ReadAll(ctx, f, t.File(), t.Length)
	if err != nil {
		return nil, err
	}
	return b, t.Check(b)
}

// open reads and verifies the metadata in f from a root on.
func (p *Publisher) open(ctx context.Context, f store.Fetcher, root []byte) (*trust.Editor, error) {
	fetch := func(ctx context.Context, name string, max int64) ([]byte, error) {
		return store.ReadAll(ctx, f, name, max)
	}
	return trust.Open(ctx, trust.Options{Root: root, Fetch: fetch, Now: p.o.Now},
		trust.EditorOptions{Signers: p.o.Signers, Now: p.o.Now, Lifetime: p.o.Lifetime})
}

// session is the time during which this is the store's only publisher.
type session struct {
	*Publisher
	editor    *trust.Editor
	timestamp []byte // as it was at the beginning
	temp      string // a folder
	written   atomic.Int64
	unlock    func() error
}

// begin takes the lock and reads the metadata. The caller calls end.
func (p *Publisher) begin(ctx context.Context) (*session, error) {
	return p.beginFrom(ctx, p.o.Store)
}

// beginFrom is begin with the metadata that is in f.
func (p *Publisher) beginFrom(ctx context.Context, f store.Fetcher) (_ *session, err error) {
	s := &session{Publisher: p}
	if s.unlock, err = p.o.Store.Lock(ctx, p.o.Holder); err != nil {
		return nil, err
	}
	if err = s.load(ctx, f); err != nil {
		s.end(&err)
		return nil, err
	}
	return s, nil
}

func (s *session) load(ctx context.Context, f store.Fetcher) (err error) {
	if s.timestamp, err = store.ReadAll(ctx, f, timestampName, maxTimestamp); err != nil {
		return err
	}
	if s.editor, err = s.open(ctx, f, s.o.Root); err != nil {
		return err
	}
	s.temp, err = os.MkdirTemp(s.o.Temp, "treegraft-")
	return err
}

// end cleans up and gives the lock back. Its own errors join what err holds.
func (s *session) end(err *error) {
	if s.temp != "" {
		*err = errors.Join(*err, os.RemoveAll(s.temp))
	}
	*err = errors.Join(*err, s.unlock())
}

// put stores a file that is written once. What is there already stays if it is
// the same. Else it is replaced, because it is the rest of a publish that did
// not come to its end: no timestamp leads to it, unless somebody else has
// published meanwhile.
func (s *session) put(ctx context.Context, name string, b []byte) error {
	err := s.push(ctx, name, b, s.o.Store.PushNew)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	there, err := store.ReadAll(ctx, s.o.Store, name, int64(len(b)))
	if err == nil && bytes.Equal(there, b) {
		return nil
	}
	if err := s.unchanged(ctx); err != nil {
		return err
	}
	return s.push(ctx, name, b, s.o.Store.Push)
}

// live signs the editor's changes and makes them what clients see, or proposes
// them. Look is called with the repository as it will be; it may be nil.
func (s *session) live(ctx context.Context, look func(store.Fetcher) error) error {
	s.event(Event{Phase: "sign"})
	if s.o.Propose != nil {
		b, err := s.editor.Propose(ctx)
		if err != nil {
			return err
		}
		return s.o.Propose(b)
	}
	files, err := s.editor.Commit(ctx)
	if err != nil {
		return err
	}
	last := len(files) - 1
	if last < 0 || files[last].Name != timestampName {
		return fmt.Errorf("sign: want %s as the last file", timestampName)
	}
	if look != nil {
		if err := look(newPreview(s.o.Store, files)); err != nil {
			return err
		}
	}
	s.event(Event{Phase: "upload"})
	for _, f := range files[:last] {
		if err := s.put(ctx, f.Name, f.Data); err != nil {
			return err
		}
	}
	return s.switchTo(ctx, files[last].Data)
}

// unchanged fails if the timestamp is not the one that this session began with:
// then the lock was lost, and somebody else has published.
func (s *session) unchanged(ctx context.Context) error {
	now, err := store.ReadAll(ctx, s.o.Store, timestampName, maxTimestamp)
	if err == nil && !bytes.Equal(now, s.timestamp) {
		err = fmt.Errorf("write %s: another publisher has replaced it in the meantime", timestampName)
	}
	return err
}

// switchTo replaces the timestamp and reads it back.
func (s *session) switchTo(ctx context.Context, timestamp []byte) error {
	if err := s.unchanged(ctx); err != nil {
		return err
	}
	if err := s.push(ctx, timestampName, timestamp, s.o.Store.Push); err != nil {
		return err
	}
	back, err := store.ReadAll(ctx, s.o.Store, timestampName, maxTimestamp)
	if err == nil && !bytes.Equal(back, timestamp) {
		err = errors.New("other bytes came back")
	}
	if err != nil {
		return fmt.Errorf("read back %s: %w", timestampName, err)
	}
	return nil
}

// push writes bytes with one of the store's functions, and counts them.
func (s *session) push(ctx context.Context, name string, b []byte, to pushFunc) error {
	if err := to(ctx, name, bytes.NewReader(b), int64(len(b))); err != nil {
		return err
	}
	s.written.Add(int64(len(b)))
	return nil
}
