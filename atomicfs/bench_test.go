package atomicfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// BenchmarkCommit measures a commit with all its syncs, on the file system of
// the temporary folder, staging not included: that is the caller's time. Two
// more figures count: the window in which readers by path may see files of
// both releases, and the rollback.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		n        int
		strategy Strategy
	}{{23, InPlace}, {3000, InPlace}, {3000, Exchange}, {3000, Versioned}} {
		n := c.n
		b.Run(fmt.Sprintf("files=%d/%v", n, c.strategy), func(b *testing.B) {
			from, to := treetest.Tree{}, treetest.Tree{}
			for i := range n {
				p := fmt.Sprintf("d%d/e%d/f%d", i%7, i%101, i)
				from[p] = treetest.File(fmt.Sprintf("old %d", i))
				to[p] = treetest.File(fmt.Sprintf("new %d", i))
			}
			var committing, rolling, window time.Duration
			for b.Loop() {
				b.StopTimer()
				root := filepath.Join(b.TempDir(), "tree")
				from.Write(b, root)
				changes := between(from, to)
				var first, last time.Time
				tree, err := Open(root, Options{Strategy: c.strategy, Events: func(e Event) {
					if e.Phase == "apply" && e.Done == 1 {
						first = time.Now()
					} else if e.Phase == "apply" && e.Done == e.Total {
						last = time.Now()
					}
				}})
				must(b, err)
				s, err := tree.Stage("x")
				must(b, err)
				must(b, stageAll(s, changes, to))
				start := time.Now()
				b.StartTimer()
				_, err = s.Commit(context.Background(), changes, CommitOptions{})
				must(b, err)
				b.StopTimer()
				committing += time.Since(start)
				window += last.Sub(first)
				start = time.Now()
				_, err = tree.Rollback(context.Background(), CommitOptions{})
				must(b, err)
				rolling += time.Since(start)
				must(b, tree.Close())
				must(b, os.RemoveAll(root))
				b.StartTimer()
			}
			perOp := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
			b.ReportMetric(perOp(committing), "commit-ms")
			if c.strategy == InPlace { // the others have none
				b.ReportMetric(perOp(window), "window-ms")
			}
			b.ReportMetric(perOp(rolling), "rollback-ms")
		})
	}
}

// BenchmarkOpen measures what every start pays when nothing is to recover.
func BenchmarkOpen(b *testing.B) {
	root := b.TempDir()
	must(b, os.WriteFile(filepath.Join(root, "f"), nil, 0o600))
	for b.Loop() {
		tree, err := Open(root, Options{})
		must(b, err)
		must(b, tree.Close())
	}
}
