package publisher

import (
	"context"
	"fmt"
	"io"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// DiffTrees writes to w one pack that makes the tree newDir out of the tree
// oldDir, for client.PatchTree. It needs no repository, and signs nothing: the
// pack is as trustworthy as the way it takes.
//
// Both trees get a manifest with the facts of [manifest.TreeFacts]. The new one
// is the only blob of the pack's first frame.
func DiffTrees(ctx context.Context, w io.Writer, oldDir, newDir string, o delta.Options) (*Report, error) {
	old, oldBytes, err := treeManifest(ctx, oldDir)
	if err != nil {
		return nil, err
	}
	new, newBytes, err := treeManifest(ctx, newDir)
	if err != nil {
		return nil, err
	}
	c, err := newContents(newDir, new.Entries)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.addFolder(oldDir, old.Entries); err != nil {
		return nil, err
	}
	from, to := material(old.Entries, new.Entries)
	oldBlobs, newBlobs := packBlobs(ctx, c, oldBytes, newBytes, from, to)
	made, err := delta.WritePack(ctx, w, oldBlobs, newBlobs, o)
	if err != nil {
		return nil, fmt.Errorf("diff %s and %s: %w", oldDir, newDir, err)
	}
	return &Report{Release: &new.Release, Files: fileCount(new), Content: new.Content(), Written: made.Size,
		Packs: []PackReport{{From: old.Release.Version, Size: made.Size, Files: made.Blobs}}}, nil
}

func treeManifest(ctx context.Context, dir string) (*manifest.Manifest, []byte, error) {
	entries, err := manifest.Scan(ctx, dir, manifest.ScanOptions{})
	if err != nil {
		return nil, nil, err
	}
	m := &manifest.Manifest{Release: manifest.TreeFacts(), Entries: entries}
	b, err := m.Canonical()
	return m, b, err
}
