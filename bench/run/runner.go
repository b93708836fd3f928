package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// options are the program's flags.
type options struct {
	cache        string
	pairs, tools []string
	fresh        bool // do not use saved results
	keep         bool // do not remove work folders
}

// runner measures pair after pair.
type runner struct {
	options
	tools    []tool
	versions map[string]string
	bin      string                 // our commands
	built    error                  // why they are missing
	trees    map[string]corpus.Tree // by release: most occur in several pairs
}

// measureAll measures what the options choose. A tool that fails is a row that
// says so; an error means that there is nothing to measure.
func measureAll(ctx context.Context, o options) (report.Run, error) {
	chosen, err := choosePairs(pairs(), o.pairs)
	if err != nil {
		return report.Run{}, err
	}
	w := &runner{options: o, versions: map[string]string{}, bin: filepath.Join(o.cache, "bin"), trees: map[string]corpus.Tree{}}
	if w.tools, err = chooseTools(tools(), o.tools); err != nil {
		return report.Run{}, err
	}
	if err := os.RemoveAll(w.work()); err != nil { // of a run that was kept
		return report.Run{}, err
	}
	if !w.keep {
		defer os.RemoveAll(w.work())
	}
	out := report.Run{Facts: machine()}
	for _, t := range w.tools {
		w.versions[t.name] = t.version(ctx)
		out.Tools = append(out.Tools, t.name)
		out.Facts = append(out.Facts, report.Fact{Name: t.name, Value: w.versions[t.name] + ", " + t.settings})
	}
	out.Tools = append(out.Tools, hdiffpatch, butler)
	if slices.ContainsFunc(w.tools, tool.ours) {
		w.built = buildOurs(ctx, w.bin)
		out.Facts = append(out.Facts, sizeFact(w.bin, w.built))
	}
	for _, p := range chosen {
		if err := w.pair(ctx, p, &out); err != nil {
			return report.Run{}, err
		}
	}
	return out, nil
}

// pair adds one pair and all its results to the run.
func (w *runner) pair(ctx context.Context, p pair, out *report.Run) error {
	j, err := w.job(p)
	if err != nil {
		return err
	}
	shown, err := j.shown()
	if err != nil {
		return err
	}
	out.Pairs = append(out.Pairs, shown)
	for _, t := range w.tools {
		if t.measurement(p) != nil {
			res, err := w.tool(ctx, t, j)
			if err != nil {
				return err
			}
			out.Results = append(out.Results, res)
		}
		if t.name == report.Ours && p.tree() {
			u, err := w.update(ctx, j)
			if err != nil {
				return err
			}
			out.Updates = append(out.Updates, u)
		}
	}
	for _, r := range reported() {
		if r.Pair == p.id {
			out.Results = append(out.Results, r)
		}
	}
	return nil
}

// tool measures one tool on one pair, or finds what it did last time.
func (w *runner) tool(ctx context.Context, t tool, j job) (report.Result, error) {
	key := saved{
		Version: w.versions[t.name], Settings: t.settings,
		Old: j.old.tree.Digest.String(), New: j.new.tree.Digest.String(),
		Result: report.Result{Pair: j.pair.id, Tool: t.name},
	}
	if !t.ours() && !w.fresh {
		if res, ok, err := load(w.cache, key); ok || err != nil {
			return res, err
		}
	}
	m, err := w.measure(ctx, t, j)
	if ctx.Err() != nil {
		return report.Result{}, ctx.Err()
	}
	res := &key.Result
	res.Bytes, res.Diff, res.Patch = m.Bytes, m.Diff, m.Patch
	if j.pair.tree() {
		res.Note = t.note
	}
	if err != nil {
		res.Failed = reason(err)
	}
	w.say(j, t.name, err, fmt.Sprintf("%d bytes, diff %.2f s, patch %.2f s", m.Bytes, m.Diff.CPU.Seconds(), m.Patch.CPU.Seconds()))
	if t.ours() {
		return *res, nil
	}
	return *res, save(w.cache, key)
}

func (w *runner) measure(ctx context.Context, t tool, j job) (measured, error) {
	if p := t.missing(); p != "" {
		return measured{}, fmt.Errorf("%s is not installed", p)
	}
	if t.ours() && w.built != nil {
		return measured{}, w.built
	}
	j, err := w.workFolder(j, t.name)
	if err != nil {
		return measured{}, err
	}
	return t.measurement(j.pair)(ctx, j)
}

// update measures a whole update over HTTP.
func (w *runner) update(ctx context.Context, j job) (report.Update, error) {
	u, err := report.Update{}, w.built
	if err == nil {
		if j, err = w.workFolder(j, "http"); err != nil {
			return u, err
		}
		u, err = updateOverHTTP(ctx, j)
	}
	if ctx.Err() != nil {
		return u, ctx.Err()
	}
	u.Pair = j.pair.id
	if err != nil {
		u.Failed = reason(err)
	}
	w.say(j, "ours over HTTP", err, fmt.Sprintf("%d bytes in %d requests", u.Update.Bytes, u.Update.Requests))
	return u, nil
}

// say tells on standard error how far we are: a whole run takes half an hour.
func (w *runner) say(j job, tool string, err error, figures string) {
	if err != nil {
		figures = "failed: " + reason(err)
	}
	fmt.Fprintf(os.Stderr, "%-14s %-14s %s\n", j.pair.id, tool, figures)
}

// workFolder gives the job an empty folder below the cache. It stays until the
// end of the run: on ext4, who makes files soon after many were removed pays
// seconds of CPU to step over their inodes, and the next tool would be blamed.
func (w *runner) workFolder(j job, name string) (job, error) {
	j.work = filepath.Join(w.work(), j.pair.id+"."+name)
	return j, os.MkdirAll(j.work, 0o755)
}

func (w *runner) work() string { return filepath.Join(w.cache, "work") }

// job finds the pair's releases in the cache and checks them.
func (w *runner) job(p pair) (job, error) {
	j := job{pair: p, bin: w.bin}
	for _, s := range []struct {
		id string
		to *side
	}{{p.old, &j.old}, {p.new, &j.new}} {
		r, err := corpus.Find(s.id)
		if err != nil {
			return j, err
		}
		t, ok := w.trees[s.id]
		if !ok {
			if t, err = corpus.Check(w.cache, r); err != nil {
				return j, fmt.Errorf("%w (is the corpus fetched? go run ./bench/corpus)", err)
			}
			w.trees[s.id] = t
		}
		*s.to = side{dir: r.Dir(w.cache), tree: t}
	}
	return j, nil
}

// shown is the pair as the report wants it.
func (j job) shown() (report.Pair, error) {
	p := report.Pair{
		ID: j.pair.id, Tree: j.pair.tree(), What: j.pair.what, Goal: j.pair.goal,
		OldBytes: j.old.tree.Bytes, NewBytes: j.new.tree.Bytes,
	}
	if p.Tree {
		return p, nil
	}
	for _, s := range []struct {
		dir string
		to  *int64
	}{{j.old.dir, &p.OldBytes}, {j.new.dir, &p.NewBytes}} {
		info, err := os.Stat(filepath.Join(s.dir, j.pair.file))
		if err != nil {
			return p, err
		}
		*s.to = info.Size()
	}
	return p, nil
}

// machine says what the figures depend on. There is no date and no host name:
// a new run shall change what was measured and nothing else.
func machine() []report.Fact {
	return []report.Fact{
		{Name: "machine", Value: fmt.Sprintf("%s, %d cores, %s/%s, %s", cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())},
	}
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
