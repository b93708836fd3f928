package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/manifest"
)

// BenchmarkCommit changes files in a tree of 2,000 and makes it durable: stage,
// check the old files, seal, commit. Contents are small, what is measured is
// the protocol. The two counts are on both sides of the limit up to which
// every file is synced by itself.
func BenchmarkCommit(b *testing.B) {
	for _, changed := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d-files", changed), func(b *testing.B) {
			dir := b.TempDir()
			paths, _ := plant(b, dir, 2000)
			old := make([][]byte, changed)
			for i, p := range paths[:changed] {
				old[i] = read(b, filepath.Join(dir, p))
			}
			tree, err := atomicfs.Open(dir, atomicfs.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer tree.Close()
			for round := 0; b.Loop(); round++ {
				new := make([][]byte, changed)
				for i := range new {
					new[i] = noise(uint64(round)<<32|uint64(i), 4096)
				}
				if err := commit(b.Context(), tree, paths[:changed], old, new); err != nil {
					b.Fatal(err)
				}
				old = new
			}
		})
	}
}

// BenchmarkRollback takes such a change back.
func BenchmarkRollback(b *testing.B) {
	const changed = 100
	dir := b.TempDir()
	paths, _ := plant(b, dir, 2000)
	old, new := make([][]byte, changed), make([][]byte, changed)
	for i, p := range paths[:changed] {
		old[i], new[i] = read(b, filepath.Join(dir, p)), noise(uint64(i)+1e6, 4096)
	}
	tree, err := atomicfs.Open(dir, atomicfs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer tree.Close()
	for b.Loop() {
		b.StopTimer()
		if err := commit(b.Context(), tree, paths[:changed], old, new); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := tree.Rollback(b.Context(), atomicfs.CommitOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// commit replaces the old contents of some paths by new ones, and keeps one
// snapshot.
func commit(ctx context.Context, tree *atomicfs.Tree, paths []string, old, new [][]byte) error {
	stage, err := tree.Stage("benchmark")
	if err != nil {
		return err
	}
	defer stage.Discard()
	var changes []atomicfs.Change
	for i, path := range paths {
		was, will := node(old[i]), node(new[i])
		if err := stageFile(stage, path, will, new[i]); err != nil {
			return err
		}
		changes = append(changes, atomicfs.Change{Path: path, Old: &was, New: &will})
	}
	if _, err := stage.Commit(ctx, changes, atomicfs.CommitOptions{}); err != nil {
		return err
	}
	return tree.DropSnapshots(1)
}

func stageFile(stage *atomicfs.Stage, path string, n atomicfs.Node, content []byte) error {
	f, err := stage.Create(path, n)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Commit()
}

func node(content []byte) atomicfs.Node {
	return atomicfs.Node{Kind: atomicfs.File, Mode: 0o644, Size: int64(len(content)), Digest: manifest.Sum(content)}
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What the benchmarks measure changes the tree, and takes it back.
func TestCommit(t *testing.T) {
	dir := t.TempDir()
	paths, _ := plant(t, dir, 3)
	tree, err := atomicfs.Open(dir, atomicfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	file := filepath.Join(dir, paths[0])
	old, new := read(t, file), noise(9, 4096)
	if err := commit(t.Context(), tree, paths[:1], [][]byte{old}, [][]byte{new}); err != nil {
		t.Fatal(err)
	}
	if string(read(t, file)) != string(new) {
		t.Error("after the commit: want the new content")
	}
	if _, err := tree.Rollback(t.Context(), atomicfs.CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	if string(read(t, file)) != string(old) {
		t.Error("after the rollback: want the old content")
	}
}
