package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// twinFile marks a tree that has a twin, and the twin. It names the strategy
// and the twin, so that Open can remove what was left.
const twinFile = StateDir + "/twin"

// twin is a second tree beside the first, with the same files, by hard links.
// A change is made there, out of everybody's sight, with the same protocol as
// anywhere; then the twin takes the tree's place. Up to that step whatever goes
// wrong costs nothing but the twin.
type twin struct {
	*place
	t    *Tree
	tree *Tree                             // the twin, as a tree
	dirs map[string]fs.FileInfo            // folders of the old tree, as they were when they were read
	seen map[string]map[string]os.FileInfo // and what was in them
	kept map[string]string                 // what somebody put in the way meanwhile
	made bool                              // what has the twin's name is ours
}

// changeTwin makes a change in the twin and lets it take the tree's place. A
// *noTwinError says that it cannot be done so here.
func (t *Tree) changeTwin(ctx context.Context, id string, run func(t *Tree) (Result, error)) (res Result, err error) {
	p, err := t.findPlace(t.strategy)
	if err != nil {
		return res, asNoTwin(t.strategy, err)
	}
	defer p.up.root.Close()
	w := &twin{place: p, t: t, dirs: map[string]fs.FileInfo{}, seen: map[string]map[string]os.FileInfo{}, kept: map[string]string{}}
	if err := w.make(ctx, id); err != nil {
		return res, asNoTwin(t.strategy, errors.Join(err, w.drop()))
	}
	res, err = run(w.tree)
	if err == nil {
		err = w.seal(ctx)
	}
	if err != nil {
		return Result{}, errors.Join(err, w.drop(), w.wipe(err))
	}
	err = w.swap()
	done, lookErr := w.swapped()
	switch {
	case err == nil && done:
		return w.finish(res)
	case err != nil && !done && lookErr == nil:
		return w.notSwapped(err)
	}
	// A file server whose answer got lost: it may have been done in spite of an
	// error, or even twice.
	w.close()
	return Result{}, t.breakOff(err, lookErr)
}

// make makes the twin.
func (w *twin) make(ctx context.Context, id string) error {
	d := w.up
	if w.twin == "" {
		if err := d.ensureDir(versionsDir, 0o755); err != nil {
			return err
		}
		if err := w.nameVersion(id); err != nil {
			return err
		}
	}
	if taken, err := d.exists(w.twin); err != nil {
		return err
	} else if taken {
		return errInTheWay
	}
	// Marked first, and durably: from now on a crash leaves no riddle.
	if err := w.t.mark(mark{w.t.strategy, w.twin, w.dir}); err != nil {
		return err
	}
	w.made = true
	for _, dir := range []string{w.twin, w.twin + "/" + StateDir} {
		if err := d.mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := d.link(w.dir+"/"+twinFile, w.twin+"/"+twinFile); err != nil {
		return err
	}
	if err := w.copyDir(ctx, "."); err != nil {
		return err
	}
	return w.open()
}

// mark is what the file says: three lines.
type mark struct {
	strategy   Strategy
	twin, tree string
}

// mark writes the file.
func (t *Tree) mark(m mark) error {
	text := fmt.Sprintf("%s\n%s\n%s\n", m.strategy, m.twin, m.tree)
	if err := t.disk.writeFile(twinFile, []byte(text)); err != nil {
		return err
	}
	return t.disk.syncDir(StateDir)
}

// copyDir copies what is in a folder, and the folder's own attributes last.
func (w *twin) copyDir(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	from, to := path.Join(w.dir, dir), path.Join(w.twin, dir)
	fi, err := w.up.lstat(from)
	if err != nil || fi == nil {
		return errors.Join(err, errGone(fi, from))
	}
	entries, err := w.up.readDir(from)
	if err != nil {
		return err
	}
	w.dirs[dir], w.seen[dir] = fi, make(map[string]os.FileInfo, len(entries))
	for _, e := range entries {
		if err := w.copyEntry(ctx, path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return w.up.copyDirAttributes(from, fi, to)
}

// errGone is an error if fi, of name, is nil: it was there a moment ago.
func errGone(fi fs.FileInfo, name string) error {
	if fi != nil {
		return nil
	}
	return &fs.PathError{Op: "copy", Path: name, Err: errChanged}
}

func (w *twin) copyEntry(ctx context.Context, p string) error {
	from, to := path.Join(w.dir, p), path.Join(w.twin, p)
	fi, err := w.up.lstat(from)
	if err != nil || fi == nil {
		return err // gone since: then it is in neither
	}
	w.seen[path.Dir(p)][path.Base(p)] = fi
	switch {
	case p == twinFile:
		return nil
	case !fi.IsDir():
		return w.up.link(from, to)
	case p != StateDir:
		if err := w.up.mkdir(to, ownerAll); err != nil {
			return err
		}
	}
	return w.copyDir(ctx, p)
}

// open opens the twin as a tree, under the same lock.
func (w *twin) open() error {
	root, err := w.up.root.OpenRoot(w.twin)
	if err != nil {
		return err
	}
	dir, err := root.Open(".")
	if err != nil {
		root.Close()
		return err
	}
	w.tree = &Tree{
		// One sync at the end will do, where there is one for everything.
		disk: &disk{root: root, hook: w.t.disk.hook, noSync: canSyncFS(dir)},
		dir:  dir, root: filepath.Join(filepath.Dir(w.t.root), filepath.FromSlash(w.twin)),
		events: w.t.events, seq: w.t.seq, isTwin: true,
	}
	return nil
}

// seal makes the twin durable, after a last look at what came meanwhile.
func (w *twin) seal(ctx context.Context) error {
	if err := w.catchUp(ctx, w.dir, w.twin); err != nil {
		return err
	}
	d := w.tree.disk
	if d.noSync {
		d.noSync = false
		return d.syncAll(w.tree.dir)
	}
	dirs := realDirs{d: d}
	for _, dir := range sortedKeys(w.dirs) {
		fi, err := dirs.lstat(dir)
		if err == nil && fi != nil && fi.IsDir() { // else the change has made it something else
			err = d.syncDir(dir)
		}
		if err != nil {
			return err
		}
	}
	return w.up.syncDir(path.Dir(w.twin))
}

// swap lets the twin take the tree's place.
func (w *twin) swap() error {
	if w.link == "" {
		return w.up.exchange(w.twin, w.dir)
	}
	if err := w.up.symlink(filepath.FromSlash(w.twin), w.temp); err != nil {
		return err
	}
	if w.dir == w.link { // a folder until now
		return w.up.exchange(w.temp, w.link)
	}
	return w.up.replaceLink(w.temp, w.link)
}

// swapped reports whether the twin has the tree's place.
func (w *twin) swapped() (bool, error) {
	if w.link != "" {
		fi, err := w.up.lstat(w.link)
		if err != nil || fi == nil || fi.IsDir() {
			return false, err
		}
		target, err := w.up.root.Readlink(w.link)
		return filepath.ToSlash(target) == w.twin, err
	}
	there, err := w.up.lstat(w.dir)
	if err != nil {
		return false, err
	}
	ours, err := w.tree.dir.Stat()
	return there != nil && os.SameFile(there, ours), err
}

// notSwapped handles an error of swap that left everything as it was.
func (w *twin) notSwapped(cause error) (Result, error) {
	if err := w.drop(); err != nil {
		return Result{}, errors.Join(cause, err)
	}
	if no := asNoTwin(w.t.strategy, cause); no != cause {
		return Result{}, no
	}
	return Result{}, errors.Join(cause, w.wipe(cause))
}

// finish makes the swap durable, and tidies. What cannot be tidied now, the
// next Open tidies.
func (w *twin) finish(res Result) (Result, error) {
	t := w.t
	oldRoot, oldDir := t.disk.root, t.dir
	t.disk.root, t.dir, t.seq = w.tree.disk.root, w.tree.dir, w.tree.seq
	oldRoot.Close()
	oldDir.Close()
	if err := w.up.syncDir("."); err != nil {
		return res, t.notDurable(err)
	}
	older, newer := w.dir, w.twin
	switch {
	case w.link == "":
		older, newer = newer, older
	case w.dir == w.link:
		older = w.temp
	}
	_ = w.catchUp(context.Background(), older, newer)
	maps.Copy(res.Kept, w.kept)
	_ = w.tidy(older, newer)
	return res, nil
}

// drop removes the twin before it was put in place.
func (w *twin) drop() error {
	w.close()
	if !w.made {
		return nil
	}
	for _, name := range []string{w.twin, w.temp} {
		if err := w.up.clearAway(name); err != nil {
			return err
		}
	}
	return w.t.unmark()
}

func (w *twin) close() {
	if w.tree != nil {
		w.tree.dir.Close()
		w.tree.disk.root.Close()
	}
}

// wipe removes the staging, as after any failed change but those that the
// caller may try again.
func (w *twin) wipe(cause error) error {
	var drift *DriftError
	var obstacles *PreflightError
	if errors.As(cause, &drift) || errors.As(cause, &obstacles) {
		return nil
	}
	return w.t.disk.removeAll(stagingDir)
}

func (t *Tree) unmark() error {
	if there, err := t.disk.exists(twinFile); !there || err != nil {
		return err
	}
	return t.disk.remove(twinFile)
}

// tidy removes the old tree. Of versions the last one stays, since programs
// may still run from it.
func (w *twin) tidy(older, newer string) error {
	if w.link == "" || older == w.temp {
		if err := w.up.discard(older); err != nil {
			return err
		}
	}
	if w.link != "" {
		if err := w.dropVersions(older, newer); err != nil {
			return err
		}
	}
	return w.t.unmark()
}

// dropVersions removes all versions but two. What is no tree of ours stays.
func (p *place) dropVersions(keep ...string) error {
	entries, err := p.up.readDir(versionsDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := versionsDir + "/" + e.Name()
		if slices.Contains(keep, name) || !e.IsDir() {
			continue
		}
		if err := p.up.clearAway(name); err != nil {
			return err
		}
	}
	return nil
}

// sweepTwin removes what is left of a twin, or of the tree whose place a twin
// has taken.
func (t *Tree) sweepTwin() error {
	if there, err := t.disk.exists(twinFile); !there || err != nil {
		return err
	}
	m, err := t.readMark()
	if err != nil {
		return err
	}
	p, err := t.findPlace(m.strategy)
	if errors.Is(err, errNotPlaced) {
		return t.unmark() // it was moved since
	}
	if err != nil {
		return err
	}
	defer p.up.root.Close()
	// Which of the two has the tree's place must be durable before one goes.
	if err := p.up.syncDir("."); err != nil {
		return err
	}
	left := []string{p.temp}
	switch {
	case m.strategy == Versioned && m.twin == p.dir:
		if err := p.dropVersions(m.tree, m.twin); err != nil {
			return err
		}
	case m.strategy == Versioned && isVersion(m.twin):
		left = append(left, m.twin)
	}
	for _, name := range left {
		there, err := p.up.exists(name)
		if err != nil {
			return err
		}
		if there {
			t.recovered.Swept = append(t.recovered.Swept, "../"+name)
			if err := p.up.clearAway(name); err != nil {
				return err
			}
		}
	}
	return t.unmark()
}

func (t *Tree) readMark() (m mark, err error) {
	fi, err := t.disk.lstat(twinFile)
	if err != nil || fi == nil || !fi.Mode().IsRegular() {
		return m, errors.Join(err, fmt.Errorf("read %s: want a file", twinFile))
	}
	f, err := t.disk.open(twinFile, fi)
	if err != nil {
		return m, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 3*maxPath))
	if err != nil {
		return m, err
	}
	lines := strings.Split(string(b), "\n")
	// Cut short by a crash it names nothing, and then there is nothing yet.
	if m.strategy, err = ParseStrategy(lines[0]); err != nil || m.strategy == InPlace || len(lines) != 4 {
		return mark{strategy: Exchange}, nil
	}
	m.twin, m.tree = lines[1], lines[2]
	return m, nil
}
