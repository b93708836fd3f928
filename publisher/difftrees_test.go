package publisher

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

// TestDiffTrees looks at the pack; that it makes the tree is tested beside
// client.PatchTree.
func TestDiffTrees(t *testing.T) {
	dir := t.TempDir()
	trees := threeReleases()
	oldDir, newDir := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	trees[0].Write(t, oldDir)
	trees[1].Write(t, newDir)
	var one, two bytes.Buffer
	report, err := DiffTrees(t.Context(), &one, oldDir, newDir, delta.Options{Workers: 1})
	must(t, err)
	_, err = DiffTrees(t.Context(), &two, oldDir, newDir, delta.Options{Workers: 3})
	must(t, err)
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the bytes depend on the number of workers")
	}
	if report.Written != int64(one.Len()) || report.Files != 9 || len(report.Packs) != 1 || report.Packs[0].Size != report.Written {
		t.Errorf("got %+v of %d bytes", report, one.Len())
	}
	head, err := delta.ReadHead(&one, delta.Limits{})
	must(t, err)
	m := manifest.Manifest{Release: manifest.TreeFacts()}
	m.Entries, err = manifest.Scan(t.Context(), newDir, manifest.ScanOptions{})
	must(t, err)
	b, err := m.Canonical()
	must(t, err)
	if got := head.Frames[0].New; len(got) != 1 || got[0].Digest != manifest.Sum(b) {
		t.Errorf("the first frame makes %v, want the manifest %v", got, manifest.Sum(b))
	}
	if n := len(head.Frames[0].Old); n > 1 {
		t.Errorf("the manifest is made from %d old blobs", n)
	}
}

func TestDiffTreesRefuses(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	treetest.Tree{"a": treetest.File("a")}.Write(t, good)
	treetest.Tree{"con": treetest.File(""), "nul": treetest.File("")}.Write(t, bad)
	var b bytes.Buffer
	var invalid *manifest.InvalidError
	for _, pair := range [][2]string{{good, bad}, {bad, good}} {
		if _, err := DiffTrees(t.Context(), &b, pair[0], pair[1], delta.Options{}); !errors.As(err, &invalid) || len(invalid.Faults) != 2 {
			t.Errorf("%v: got %v", pair, err)
		}
	}
	for _, pair := range [][2]string{{good, filepath.Join(dir, "none")}, {filepath.Join(dir, "none"), good}} {
		if _, err := DiffTrees(t.Context(), &b, pair[0], pair[1], delta.Options{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: got %v", pair, err)
		}
	}
	if b.Len() != 0 {
		t.Error("something was written")
	}
}
