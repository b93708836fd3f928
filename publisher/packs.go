package publisher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// loadBases reads the releases that packs start from. It reads at least one
// release if there is one, because that knows how most objects are stored.
func (j *job) loadBases(ctx context.Context) error {
	facts := &j.manifest.Release
	j.known = manifest.Objects{}
	n := cmp.Or(j.release.Packs, defaultPacks)
	for _, p := range basesOf(j.all, facts, j.channel, n) {
		base, err := load(ctx, j.o.Store, p)
		if err != nil {
			return err
		}
		j.bases = append(j.bases, base)
		maps.Copy(j.known, base.objects)
	}
	if j.same != nil {
		maps.Copy(j.known, j.same.objects)
		return nil
	}
	if len(j.bases) > 0 || len(j.all) == 0 {
		return nil
	}
	last, err := load(ctx, j.o.Store, slices.MaxFunc(j.all, func(a, b published) int { return cmp.Compare(a.Sequence, b.Sequence) }))
	if err == nil {
		maps.Copy(j.known, last.objects)
	}
	return err
}

// putPacks makes and stores the packs that the index does not have, and enters
// them there. It returns the releases that they start from.
func (j *job) putPacks(ctx context.Context, index *manifest.Index) (packed []*release, err error) {
	for _, base := range j.bases {
		if slices.ContainsFunc(index.Packs, func(p manifest.Pack) bool { return p.FromDigest == base.Digest }) {
			continue
		}
		report, pack, err := j.putPack(ctx, base)
		if err != nil {
			return nil, fmt.Errorf("pack from %s: %w", base.Version, err)
		}
		j.report.Packs = append(j.report.Packs, *report)
		if pack != nil {
			index.Packs = append(index.Packs, *pack)
			packed = append(packed, base)
		}
	}
	return packed, nil
}

// putPack makes one pack and stores it, unless it would not save anything.
func (j *job) putPack(ctx context.Context, base *release) (*PackReport, *manifest.Pack, error) {
	f, err := os.CreateTemp(j.temp, "pack-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { f.Close(); os.Remove(f.Name()) }()
	old, new := j.blobs(ctx, base)
	h := manifest.NewHash()
	made, err := delta.WritePack(ctx, io.MultiWriter(f, h), old, new, j.packOptions(base.Version))
	if err != nil {
		return nil, nil, err
	}
	report := &PackReport{From: base.Version, Size: made.Size, Files: made.Blobs}
	if full := j.fullSize(new); made.Size >= full {
		report.Skipped = fmt.Sprintf("not smaller than the %d bytes of full content that it stands for", full)
		return report, nil, nil
	}
	pack := &manifest.Pack{From: base.Version, FromDigest: base.Digest, Size: made.Size,
		Name:     manifest.PackName(base.facts(), &j.manifest.Release, made.Head.Digest),
		HeadSize: made.Head.Size, HeadDigest: made.Head.Digest}
	return report, pack, j.putFile(ctx, pack.Name, f, store.Content{Size: made.Size, Digest: manifest.SumOf(h)})
}

// packOptions fills in what the caller left to the publisher.
func (j *job) packOptions(from string) delta.Options {
	o := j.release.Delta
	o.Workers = cmp.Or(o.Workers, j.o.Workers)
	o.Events = func(e delta.Event) { j.event(Event{Phase: "pack from " + from, Done: e.Done, Total: e.Total}) }
	return o
}

// putFile is put for what is in a file.
func (s *session) putFile(ctx context.Context, name string, f io.ReaderAt, want store.Content) error {
	whole := func() io.Reader { return io.NewSectionReader(f, 0, want.Size) }
	push := func(to pushFunc) error {
		err := to(ctx, name, whole(), want.Size)
		if err == nil {
			s.written.Add(want.Size)
		}
		return err
	}
	if err := push(s.o.Store.PushNew); !errors.Is(err, fs.ErrExist) {
		return err
	}
	body, err := s.o.Store.Fetch(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	err = copyAll(io.Discard, body, name, want)
	if body.Close(); err == nil || ctx.Err() != nil {
		return err
	}
	return push(s.o.Store.Push)
}

// fullSize returns the stored bytes that a client fetches if it has no pack
// with these new blobs.
func (j *job) fullSize(new []delta.Blob) int64 {
	full := int64(len(j.stored))
	for _, b := range new[1:] {
		full += j.objects[b.Digest].Size
	}
	return full
}

// blobs returns what the pack from a base is made from and for. The new
// manifest is the first of the new blobs.
func (j *job) blobs(ctx context.Context, base *release) (old, new []delta.Blob) {
	from, to := material(base.manifest.Entries, j.manifest.Entries)
	return packBlobs(ctx, j.content, base.canonical, j.canonical, from, to)
}

// packBlobs puts manifests and chosen contents into the form that WritePack
// takes. A client makes the new manifest before it looks at any file, so that
// must come from the old manifest alone.
func packBlobs(ctx context.Context, c *contents, oldManifest, newManifest []byte, from, to []*manifest.Entry) (old, new []delta.Blob) {
	old = append(old, bytesBlob(manifestBlob, oldManifest))
	old[0].Alone = true
	for _, e := range from {
		old = append(old, c.blob(ctx, e))
	}
	new = append(new, bytesBlob(manifestBlob, newManifest))
	new[0].Alone = true
	for _, e := range to {
		new = append(new, c.blob(ctx, e))
	}
	return old, new
}

// manifestBlob is the name of a manifest among the blobs of a pack. No path of
// a tree begins with a slash.
const manifestBlob = "/manifest"

func (c *contents) blob(ctx context.Context, e *manifest.Entry) delta.Blob {
	ref := refOf(e)
	return delta.Blob{Name: e.Path, Ref: ref, Open: func() (delta.File, error) { return c.open(ctx, ref) }}
}

func bytesBlob(name string, b []byte) delta.Blob {
	return delta.Blob{Name: name, Ref: delta.Ref{Digest: manifest.Sum(b), Size: int64(len(b))},
		Open: func() (delta.File, error) { return bytesFile{bytes.NewReader(b)}, nil }}
}

// bytesFile is a file in memory.
type bytesFile struct{ *bytes.Reader }

// Close does nothing.
func (bytesFile) Close() error { return nil }
