package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// watch is readers that look at all changing paths, again and again, by their
// full names, while a change is made.
//
// The window in which they saw a mix of both releases is from the first time
// that any path was seen new to the last time that any was seen old. A sighting
// of the new counts from its end, one of the old from its beginning: what is
// measured was there.
type watch struct {
	paths []string
	old   []fs.FileInfo // nil: nothing is there
	start time.Time
	ended atomic.Bool
	wait  sync.WaitGroup

	mu       sync.Mutex
	firstNew time.Duration // 0: none seen
	lastOld  time.Duration
	sweeps   int
}

func watchPaths(root string, list []atomicfs.Change) *watch {
	w := &watch{start: time.Now()}
	for _, c := range list {
		name := filepath.Join(root, filepath.FromSlash(c.Path))
		info, err := os.Lstat(name)
		if err != nil {
			info = nil
		}
		w.paths, w.old = append(w.paths, name), append(w.old, info)
	}
	// Each reader begins somewhere else.
	n := runtime.GOMAXPROCS(0)
	for i := range n {
		w.wait.Go(func() { w.read(i * len(w.paths) / n) })
	}
	return w
}

// read sweeps over all paths until the watch ends, at least once.
func (w *watch) read(at int) {
	for again := true; again; again = !w.ended.Load() {
		var firstNew, lastOld time.Duration
		before := time.Since(w.start)
		for i := range w.paths {
			i = (i + at) % len(w.paths)
			info, err := os.Lstat(w.paths[i])
			after := time.Since(w.start)
			if isOld := err == nil && w.old[i] != nil && os.SameFile(info, w.old[i]) || err != nil && w.old[i] == nil; isOld {
				lastOld = before
			} else if firstNew == 0 {
				firstNew = after
			}
			before = after
		}
		w.note(firstNew, lastOld)
	}
}

func (w *watch) note(firstNew, lastOld time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweeps++
	w.lastOld = max(w.lastOld, lastOld)
	if firstNew != 0 && (w.firstNew == 0 || firstNew < w.firstNew) {
		w.firstNew = firstNew
	}
}

// stop ends the watch and returns the window, 0 if no mix was seen, and how
// often all paths were looked at.
func (w *watch) stop() (window time.Duration, sweeps int) {
	w.ended.Store(true)
	w.wait.Wait()
	if w.firstNew == 0 {
		return 0, w.sweeps
	}
	return max(0, w.lastOld-w.firstNew), w.sweeps
}
