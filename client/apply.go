package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// apply stages and commits a plan that was made for what is installed.
func (s *session) apply(ctx context.Context, r *remote, p *Plan, o UpdateOptions, verb string) (*Result, error) {
	res := &Result{From: p.From, To: p.To, Recovered: s.recovered()}
	defer func() { res.Downloaded, res.Requests = r.fetch.bytes.Load(), int(r.fetch.requests.Load()) }()
	if p.from != s.digest {
		return nil, fmt.Errorf("apply plan to %s: the tree has changed since it was made", p.To.Version)
	}
	if p.UpToDate() {
		res.UpToDate = true
		return res, s.pin(o)
	}
	h, err := s.prepare(p, o, verb)
	if err != nil {
		return nil, err
	}
	if len(p.Drift) > 0 && !o.Force {
		return nil, &DriftError{p.Drift}
	}
	if err := s.tree.Preflight(ctx, p.changes, p.Download); err != nil {
		return nil, err
	}
	stage, err := s.tree.Stage(changeID(p.To.Product, versionOf(p.From), p.To.Version))
	if err != nil {
		return nil, err
	}
	defer stage.Discard()
	m, err := s.stage(ctx, r, p, stage)
	if err != nil {
		return nil, err
	}
	changes := slices.Clone(p.changes)
	if !p.isRepair() {
		if changes, res.Config, err = s.stageRelease(stage, p, changes); err != nil {
			return nil, err
		}
	}
	var done atomicfs.Result
	place := func() error {
		done, err = s.place(ctx, p, h, o, stage, changes)
		if errors.Is(err, atomicfs.ErrNotDurable) {
			return nil // told at the end
		}
		return err
	}
	if h == nil {
		if err := place(); err != nil {
			return nil, err
		}
	} else if err := h.run(ctx, place); err != nil {
		return nil, err
	}
	res.report(p, m, done)
	s.tidy(verb, p.From, p.To)
	return res, err
}

// place changes the files. What is recorded for the way back comes first.
func (s *session) place(ctx context.Context, p *Plan, h *hop, o UpdateOptions, stage *atomicfs.Stage, changes []atomicfs.Change) (done atomicfs.Result, err error) {
	if !p.isRepair() {
		if err := s.beginTrial(p, o.Probation); err != nil {
			return done, err
		}
		if err := s.arrive(p.to, h); err != nil {
			return done, err
		}
	}
	return stage.Commit(ctx, changes, atomicfs.CommitOptions{KeepDrift: o.Force, NoSnapshot: p.isRepair(), Version: p.To.Version})
}

// stageRelease stages what only another release brings, and adds it to the
// changes: merged settings, and the manifest that will be the installed one.
func (s *session) stageRelease(stage *atomicfs.Stage, p *Plan, changes []atomicfs.Change) ([]atomicfs.Change, []ConfigChange, error) {
	if err := s.saveDefaults(stage, p.to); err != nil {
		return nil, nil, err
	}
	changes, config, err := s.mergeConfig(stage, p, changes)
	if err != nil {
		return nil, nil, err
	}
	meta := atomicfs.Change{Path: metaManifest(p.To.Product)}
	if meta.New, err = stageBytes(stage, meta.Path, 0o644, p.encoded); err != nil {
		return nil, nil, err
	}
	digest := atomicfs.Change{Path: metaDigest(p.To.Product)}
	if digest.New, err = stageBytes(stage, digest.Path, 0o644, digestLine(manifest.Sum(p.encoded), p.To.Version)); err != nil {
		return nil, nil, err
	}
	return append(changes, meta, digest), config, nil
}

// stageBytes stages a file that is in memory.
func stageBytes(stage *atomicfs.Stage, path string, mode fs.FileMode, b []byte) (*atomicfs.Node, error) {
	n := &atomicfs.Node{Kind: atomicfs.File, Mode: mode, Size: int64(len(b)), Digest: manifest.Sum(b)}
	f, err := stage.Create(path, *n)
	if err != nil {
		return nil, err
	}
	defer f.Cleanup()
	if _, err := f.Write(b); err != nil {
		return nil, err
	}
	return n, f.Commit()
}

// stage makes all new content in the staging.
func (s *session) stage(ctx context.Context, r *remote, p *Plan, stage *atomicfs.Stage) (*maker, error) {
	paths := map[manifest.Digest][]place{}
	for _, c := range p.changes {
		if c.New != nil && c.New.Kind == atomicfs.File {
			paths[c.New.Digest] = append(paths[c.New.Digest], place{c.Path, *c.New})
		}
	}
	need := map[string]bool{}
	for _, st := range p.Steps {
		need[st.Path] = !st.Digest.IsZero()
	}
	for d := range paths {
		paths[d] = slices.DeleteFunc(paths[d], func(t place) bool { return !need[t.path] })
	}
	m := &maker{plan: p, remote: r, workers: s.c.workers(), seed: s.seed(p.local), emit: s.c.emit}
	m.create = func(ref delta.Ref) (delta.Output, error) { return createAll(stage, paths[ref.Digest]) }
	m.open = func(d manifest.Digest) (delta.File, error) {
		if len(paths[d]) == 0 {
			return notMade(d)
		}
		return stage.Open(paths[d][0].path)
	}
	if len(p.contents(Patch)) > 0 {
		var err error
		if m.pack, err = r.openPack(*p.pack); err != nil {
			return nil, err
		}
		defer m.pack.Close()
	}
	return m, m.run(ctx)
}

func (c *Client) workers() int {
	if c.o.Workers > 0 {
		return c.o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// place is a path that gets a new content.
type place struct {
	path string
	node atomicfs.Node
}

// staged is the output for a content that goes to one or more paths.
type staged []*atomicfs.StagedFile

func createAll(stage *atomicfs.Stage, places []place) (delta.Output, error) {
	var all staged
	for _, t := range places {
		f, err := stage.Create(t.path, t.node)
		if err != nil {
			return nil, errors.Join(err, all.Finish(err))
		}
		all = append(all, f)
	}
	return all, nil
}

func (s staged) Write(p []byte) (int, error) {
	for _, f := range s {
		if n, err := f.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func (s staged) Finish(err error) error {
	for _, f := range s {
		if err != nil {
			f.Cleanup()
		} else if err = f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// change fills in what became of local files, and that a change was not made by
// the strategy that was asked for.
func (res *Result) change(done atomicfs.Result) {
	res.Missing = done.Missing
	res.Kept = slices.Sorted(maps.Values(done.Kept))
	if done.Fallback != nil {
		res.Fallbacks = append(res.Fallbacks, Fallback{Path: ".", Reason: "changed in place: " + done.Fallback.Error()})
	}
}

// then adds what a later hop did. Both may be nil.
func (res *Result) then(next *Result) *Result {
	if res == nil || next == nil {
		return cmp.Or(res, next)
	}
	res.To, res.Hops = next.To, append(res.Hops, next.Hops...)
	res.Changed, res.Removed = res.Changed+next.Changed, res.Removed+next.Removed
	res.Downloaded, res.Requests = next.Downloaded, next.Requests // counted from the beginning
	res.Fallbacks = append(res.Fallbacks, next.Fallbacks...)
	res.Missing, res.Kept = append(res.Missing, next.Missing...), append(res.Kept, next.Kept...)
	res.Config = append(res.Config, next.Config...)
	return res
}

// report fills in what was done.
func (res *Result) report(p *Plan, m *maker, done atomicfs.Result) {
	for _, s := range p.Steps {
		if s.Action == Delete {
			res.Removed++
		} else {
			res.Changed++
		}
	}
	res.Hops = []string{p.To.Version}
	res.Fallbacks = m.fallbacks()
	res.change(done)
}

// keepSnapshots is how many earlier releases of a product an update leaves to go
// back to, unless the install says more.
const keepSnapshots = 1

// tidy does what may as well be done late, or not at all: it notes the history
// and removes what is needed no more. The update has succeeded whatever becomes
// of that, so faults are only told.
func (s *session) tidy(verb string, from, to *manifest.Release) {
	snapshots, err := s.tree.Snapshots()
	drop, _ := surplus(snapshots, max(keepSnapshots, s.c.settings.Snapshots))
	errs := []error{err, s.c.note(verb, from, to), s.tree.DropSnapshot(drop...)}
	for _, name := range []string{downloadsName, fetchedName} {
		errs = append(errs, os.RemoveAll(s.c.state(name)))
	}
	if err := errors.Join(errs...); err != nil {
		s.c.emit(Event{Phase: Committing, Note: "tidying up failed: " + err.Error()})
	}
}
