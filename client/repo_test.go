package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// repo is a small real repository: real keys, metadata, objects and packs, in
// a folder. It is written here with the packages below this one, since a
// client must not need a publisher, not even to be tested.
type repo struct {
	t        testing.TB
	product  string
	dir      string
	root     []byte
	release  *trust.Key
	targets  []trust.Target
	releases []published
	sequence uint64 // of releases that have no files
	objects  manifest.Objects

	facts   func(*manifest.Release) // edits those of the next release; may be nil
	listing func(*manifest.Listing) // and its listing
}

type published struct {
	*manifest.Manifest
	encoded []byte
	files   map[string]string
}

func newRepo(t testing.TB) *repo { return newRepoOf(t, "app") }

func newRepoOf(t testing.TB, product string) *repo {
	t.Helper()
	recovery, err := trust.GenerateKey(trust.Ed25519)
	check(t, err)
	r := &repo{t: t, product: product, dir: t.TempDir(), objects: manifest.Objects{}}
	r.release, err = trust.GenerateKey(trust.Ed25519)
	check(t, err)
	e, err := trust.Create(t.Context(), recovery, r.release, trust.EditorOptions{})
	check(t, err)
	r.commit(e)
	r.root = e.Root()
	return r
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *repo) write(name string, data []byte) {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	check(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(r.t, os.WriteFile(path, data, 0o644))
}

func (r *repo) commit(e *trust.Editor) {
	r.t.Helper()
	files, err := e.Commit(r.t.Context())
	check(r.t, err)
	for _, f := range files {
		r.write(f.Name, f.Data)
	}
}

// publish adds a release whose tree holds files, by path. A content that begins
// with "->" is a symlink, a path that ends in "/" a folder. There is a pack from
// every earlier release.
func (r *repo) publish(version string, files map[string]string) {
	r.t.Helper()
	m := &manifest.Manifest{Release: manifest.Release{
		Product: r.product, Version: version, Sequence: r.sequence + uint64(len(r.releases)+1), Platform: manifest.AnyPlatform,
	}}
	if r.facts != nil {
		r.facts(&m.Release)
	}
	for path, content := range files {
		switch to, isLink := strings.CutPrefix(content, "->"); {
		case strings.HasSuffix(path, "/"):
			m.Entries = append(m.Entries, dir(strings.TrimSuffix(path, "/")))
		case isLink:
			m.Entries = append(m.Entries, link(path, to))
		default:
			m.Entries = append(m.Entries, file(path, content))
			r.object(content)
		}
	}
	slices.SortFunc(m.Entries, func(a, b manifest.Entry) int { return strings.Compare(a.Path, b.Path) })
	encoded, err := m.Canonical()
	check(r.t, err)
	now := published{m, encoded, files}
	index := manifest.Index{Product: r.product, Version: version, Platform: manifest.AnyPlatform}
	for _, old := range r.releases {
		index.Packs = append(index.Packs, r.pack(old, now))
	}
	listing, err := manifest.EncodeObjects(m, r.objects)
	check(r.t, err)
	index.Objects = manifest.ObjectsFile{Size: int64(len(listing)), Digest: manifest.Sum(listing)}
	r.write(manifest.ObjectsName(index.Objects.Digest), listing)
	r.releases = append(r.releases, now)
	r.sign(now, index)
}

func (r *repo) object(content string) {
	r.t.Helper()
	var b bytes.Buffer
	c, stored, err := delta.WriteObject(r.t.Context(), &b, strings.NewReader(content), delta.Fast)
	check(r.t, err)
	r.objects[c.Digest] = manifest.Object{Size: stored.Size, Digest: stored.Digest}
	r.write(manifest.ObjectName(c.Digest), b.Bytes())
}

func (r *repo) pack(old, now published) manifest.Pack {
	r.t.Helper()
	blob := func(name string, content []byte, alone bool) delta.Blob {
		return delta.Blob{Name: name, Alone: alone, Ref: delta.Ref{Digest: manifest.Sum(content), Size: int64(len(content))},
			Open: func() (delta.File, error) { return memory{bytes.NewReader(content)}, nil }}
	}
	from := []delta.Blob{blob("manifest", old.encoded, false)}
	to := []delta.Blob{blob("manifest", now.encoded, true)}
	for _, c := range manifest.Compare(old.Entries, now.Entries) {
		if c.From != nil && c.From.Kind == manifest.File {
			from = append(from, blob(c.Path, []byte(old.files[c.Path]), false))
		}
		if c.To != nil && c.To.Kind == manifest.File {
			to = append(to, blob(c.Path, []byte(now.files[c.Path]), false))
		}
	}
	var b bytes.Buffer
	report, err := delta.WritePack(r.t.Context(), &b, from, to, delta.Options{Level: delta.Fast})
	check(r.t, err)
	name := manifest.PackName(&old.Release, &now.Release, report.Head.Digest)
	r.write(name, b.Bytes())
	return manifest.Pack{From: old.Release.Version, FromDigest: manifest.Sum(old.encoded), Name: name,
		Size: report.Size, HeadSize: report.Head.Size, HeadDigest: report.Head.Digest}
}

func (r *repo) sign(now published, index manifest.Index) {
	r.t.Helper()
	stored, err := manifest.Compress(now.encoded)
	check(r.t, err)
	listing := now.Release.List()
	listing.Channels, listing.Size, listing.Digest = []string{defaultChannel}, int64(len(now.encoded)), manifest.Sum(now.encoded)
	if r.listing != nil {
		r.listing(&listing)
	}
	custom, err := json.Marshal(listing)
	check(r.t, err)
	encoded, err := index.Encode()
	check(r.t, err)
	for _, f := range []struct {
		target trust.Target
		data   []byte
	}{
		{trust.NewTarget(now.Release.StoredName(), stored, custom), stored},
		{trust.NewTarget(now.Release.IndexName(), encoded, nil), encoded},
	} {
		r.targets = append(r.targets, f.target)
		r.write(f.target.File(), f.data)
	}
	d, err := store.OpenDir(r.dir)
	check(r.t, err)
	fetch := func(ctx context.Context, name string, max int64) ([]byte, error) {
		return store.ReadAll(ctx, d, name, max)
	}
	e, err := trust.Open(r.t.Context(), trust.Options{Root: r.root, Fetch: fetch}, trust.EditorOptions{Signers: []trust.Signer{r.release}})
	check(r.t, err)
	check(r.t, e.SetTargets(r.product, r.targets))
	r.commit(e)
}

// glob returns the names of the repository's files below a folder.
func (r *repo) glob(pattern string) []string {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, filepath.FromSlash(pattern)))
	check(r.t, err)
	if len(names) == 0 {
		r.t.Fatalf("no file %s in the repository", pattern)
	}
	return names
}

// flip changes one bit of each file that matches: at an offset, from the end if
// it is negative, or in the middle if it is 0.
func (r *repo) flip(pattern string, at int) {
	r.t.Helper()
	for _, name := range r.glob(pattern) {
		b, err := os.ReadFile(name)
		check(r.t, err)
		switch i := at; {
		case i == 0:
			b[len(b)/2] ^= 0x10
		case i < 0:
			b[len(b)+i] ^= 0x10
		default:
			b[i] ^= 0x10
		}
		check(r.t, os.WriteFile(name, b, 0o644))
	}
}

// lines makes text that neither repeats nor compresses away.
func lines(seed, n int) string {
	var b strings.Builder
	x := uint64(seed)*2862933555777941757 + 3037000493
	for i := range n {
		x = x*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, "line %d of %d says %x\n", i, seed, x>>20)
	}
	return b.String()
}

// differences counts what changes from one tree to another, and what goes.
func differences(from, to map[string]string) (changed, removed int) {
	for path, content := range to {
		if old, ok := from[path]; !ok || old != content {
			changed++
		}
	}
	for path := range from {
		if _, ok := to[path]; !ok {
			removed++
		}
	}
	return changed, removed
}
