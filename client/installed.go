package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
)

// What is installed of a product: the canonical encoding of its manifest, and
// beside it that one's digest and version. Both change and roll back together
// with the tree. The digest tells a manifest that has rotten, and what to fetch
// in its place.
const (
	metaSuffix   = ".manifest"
	digestSuffix = ".digest"
)

func metaManifest(product string) string { return atomicfs.MetaDir + "/" + product + metaSuffix }
func metaDigest(product string) string   { return atomicfs.MetaDir + "/" + product + digestSuffix }

// digestLine is the content of the file with the digest.
func digestLine(d manifest.Digest, version string) []byte {
	return fmt.Appendf(nil, "%v %s\n", d, version)
}

func parseDigestLine(b []byte) (d manifest.Digest, version string, err error) {
	word, version, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	if d, err = manifest.ParseDigest(word); err == nil {
		err = manifest.CheckVersion(version)
	}
	return d, version, err
}

func readInstalled(dir, product string) ([]byte, error) {
	return smallfile.Read(filepath.Join(dir, filepath.FromSlash(metaManifest(product))), manifest.MaxCanonical)
}

// A DamagedError says that the installed manifest of a product is not what the
// install has written: no crash does that. [Client.Repair] fetches it again.
type DamagedError struct {
	Product string
	Version string // "" if that has rotten too
	Err     error

	digests []manifest.Digest // that it may have had
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the installed manifest of %s is damaged: %v", strings.TrimSpace(e.Product+" "+e.Version), e.Err)
}

// installed reads the installed manifest of the product: fs.ErrNotExist if there
// is none, and a *[DamagedError] if it has rotten. Without the lock, another
// process may be about to change it.
func (c *Client) installed() (m *manifest.Manifest, canonical []byte, err error) {
	product := c.settings.Product
	canonical, err = readInstalled(c.o.Dir, product)
	line, err2 := smallfile.Read(filepath.Join(c.o.Dir, filepath.FromSlash(metaDigest(product))), maxState)
	if errors.Is(err, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist) {
		return nil, nil, err
	}
	damaged := &DamagedError{Product: product}
	switch {
	case errors.Is(err2, fs.ErrNotExist): // the manifest must do without
		err2 = nil
	case err2 == nil:
		var want manifest.Digest
		if want, damaged.Version, err2 = parseDigestLine(line); err2 == nil {
			damaged.digests = append(damaged.digests, want)
		}
	}
	if err == nil {
		got := manifest.Sum(canonical)
		if len(damaged.digests) > 0 && damaged.digests[0] != got {
			err = fmt.Errorf("want digest %v, got %v", damaged.digests[0], got)
		}
		damaged.digests = append(damaged.digests, got)
	}
	if err == nil && err2 == nil {
		if m, err = manifest.Parse(bytes.NewReader(canonical)); err == nil {
			return m, canonical, nil
		}
	}
	damaged.Err = errors.Join(err, err2)
	return nil, nil, damaged
}

// beginRepair is begin for a tree whose installed manifest may be damaged. What
// is wrong with it is returned beside the session.
func (c *Client) beginRepair() (*session, *DamagedError, error) {
	s, err := c.begin()
	var damaged *DamagedError
	if !errors.As(err, &damaged) {
		return s, nil, err
	}
	s, err = c.enter(false)
	return s, damaged, err
}

// mend brings the installed manifest back. Which one it is, the tree has
// recorded; that it is genuine, the repository has signed.
func (s *session) mend(ctx context.Context, r *remote, d *DamagedError) error {
	all, err := r.releases(ctx, d.Product)
	if err != nil {
		return err
	}
	x := listed(all, d.digests)
	if x == nil {
		return fmt.Errorf("the repository does not list it (any more): remove %s and install a release over the tree: %w",
			filepath.Join(s.c.o.Dir, atomicfs.StateDir), ErrNoRelease)
	}
	encoded, err := r.wholeManifest(ctx, x)
	if err != nil {
		return err
	}
	m, err := manifest.Parse(bytes.NewReader(encoded))
	if err == nil {
		err = x.Check(&m.Release)
	}
	if err != nil {
		return err
	}
	for path, b := range map[string][]byte{metaManifest(d.Product): encoded, metaDigest(d.Product): digestLine(x.Digest, x.Version)} {
		if err := atomicfs.WriteFile(filepath.Join(s.c.o.Dir, filepath.FromSlash(path)), b, 0o644); err != nil {
			return err
		}
	}
	s.c.emit(Event{Phase: Committing, Note: fmt.Sprintf("the installed manifest of %s %s was damaged, and is fetched again", x.Product, x.Version)})
	return s.load()
}

// listed returns the release with the first of the digests that a release has.
func listed(all []release, digests []manifest.Digest) *release {
	for _, d := range digests {
		for i := range all {
			if all[i].Digest == d {
				return &all[i]
			}
		}
	}
	return nil
}
