package publisher

import (
	"context"
	"fmt"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
)

// bigTree has many small files and one big one, as releases have.
func bigTree(version string) treetest.Tree {
	t := treetest.Tree{"bin/app": treetest.Exec(words(1, 2<<20) + version + words(2, 2<<20))}
	for i := range 2000 {
		t[fmt.Sprintf("lib/%02d/file%04d.txt", i%50, i)] = treetest.File(words(uint64(i), 1000+i))
	}
	t["VERSION"] = treetest.File(version)
	return t
}

func benchmark(b *testing.B, published int, packs int) {
	trees := [2]string{}
	total := int64(0)
	w := newWorld(b)
	for i := range trees {
		tree := bigTree(fmt.Sprint(i))
		total = 0
		for _, e := range tree {
			total += int64(len(e.Content))
		}
		trees[i] = w.tree(tree)
	}
	b.SetBytes(total)
	for b.Loop() {
		b.StopTimer()
		w := w.twin()
		publish := func(i int) {
			_, err := w.publisher(func(o *Options) { o.Rehearse = nil }).Publish(context.Background(), Release{
				Facts: manifest.Release{Product: "app", Version: fmt.Sprintf("1.%d.0", i)}, Tree: trees[i], Old: trees[:i], Packs: packs})
			must(b, err)
		}
		for i := range published {
			publish(i)
		}
		b.StartTimer()
		publish(published)
	}
}

// BenchmarkPublishFirst compresses everything.
func BenchmarkPublishFirst(b *testing.B) { benchmark(b, 0, -1) }

// BenchmarkPublishNext compresses what changed, and makes a pack.
func BenchmarkPublishNext(b *testing.B) { benchmark(b, 1, 1) }

// BenchmarkMaterial chooses among 100,000 files of which a tenth is new.
func BenchmarkMaterial(b *testing.B) {
	var old, new []manifest.Entry
	for i := range 100_000 {
		e := manifest.Entry{Path: fmt.Sprintf("d%03d/file%06d.js", i%300, i), Mode: 0o644, Size: 1000, Digest: manifest.Sum(fmt.Append(nil, i))}
		if i%10 != 0 {
			old = append(old, e)
		}
		if i%10 != 1 {
			new = append(new, e)
		}
	}
	sortEntries(old)
	sortEntries(new)
	for b.Loop() {
		if from, to := material(old, new); len(to) != 10_000 || len(from) < 10_000 {
			b.Fatalf("got %d and %d", len(from), len(to))
		}
	}
}
