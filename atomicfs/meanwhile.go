package atomicfs

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

// catchUp brings to the newer tree what others have done in the older one since
// it was copied: new entries, replaced ones, removed ones. Where the change has
// done something else at the same path, theirs is kept beside. Files that were
// written to in place are the same in both, being one file.
func (w *twin) catchUp(ctx context.Context, older, newer string) error {
	for _, dir := range sortedKeys(w.dirs) {
		if dir == StateDir || path.Dir(dir) == StateDir || len(dir) > len(StateDir) && dir[:len(StateDir)+1] == StateDir+"/" {
			continue // ours alone
		}
		fi, err := w.up.lstat(path.Join(older, dir))
		if err != nil {
			return err
		}
		if fi == nil || !fi.IsDir() || changed(fi).Equal(changed(w.dirs[dir])) && !changed(fi).IsZero() {
			continue
		}
		if err := w.catchUpDir(ctx, dir, older, newer); err != nil {
			return err
		}
		w.dirs[dir] = fi
	}
	return nil
}

func (w *twin) catchUpDir(ctx context.Context, dir, older, newer string) error {
	entries, err := w.up.readDir(path.Join(older, dir))
	if err != nil {
		return err
	}
	gone := maps.Clone(w.seen[dir])
	for _, e := range entries {
		delete(gone, e.Name())
		if p := path.Join(dir, e.Name()); p != StateDir {
			if err := w.catchUpEntry(ctx, p, older, newer); err != nil {
				return err
			}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(gone)) {
		to := path.Join(newer, dir, base)
		now, err := w.up.lstat(to)
		if err != nil {
			return err
		}
		if now != nil && !now.IsDir() && os.SameFile(now, gone[base]) {
			if err := w.up.remove(to); err != nil {
				return err
			}
		}
		delete(w.seen[dir], base)
	}
	return nil
}

// catchUpEntry merges one entry: what it was when it was copied, what it is in
// the older tree, and what the change made of it.
func (w *twin) catchUpEntry(ctx context.Context, p, older, newer string) error {
	from, to := path.Join(older, p), path.Join(newer, p)
	was := w.seen[path.Dir(p)][path.Base(p)]
	theirs, err := w.up.lstat(from)
	if err != nil || theirs == nil || was != nil && os.SameFile(was, theirs) {
		return err
	}
	ours, err := w.up.lstat(to)
	if err != nil {
		return err
	}
	w.seen[path.Dir(p)][path.Base(p)] = theirs
	switch {
	case ours != nil && os.SameFile(ours, theirs):
		return nil
	case theirs.IsDir() && ours == nil:
		return w.catchUpNewDir(ctx, p, older, newer)
	case theirs.IsDir():
		return nil // a folder in both: what is in it was not copied, and is not ours to judge
	case ours == nil && was == nil:
		return w.up.link(from, to)
	case ours == nil: // replaced by them, removed by the change
		return w.keepTheirs(p, from, to)
	case was != nil && os.SameFile(ours, was):
		beside := to + ".treegraft-new"
		if err := w.up.link(from, beside); err != nil {
			return err
		}
		return w.up.rename(beside, to)
	}
	return w.keepTheirs(p, from, to)
}

func (w *twin) keepTheirs(p, from, to string) error {
	beside, err := freeName(to, func(name string) (bool, error) { return w.up.exists(name) })
	if err != nil {
		return err
	}
	w.kept[p] = path.Join(path.Dir(p), path.Base(beside))
	return w.up.link(from, beside)
}

// catchUpNewDir copies a folder that was made since.
func (w *twin) catchUpNewDir(ctx context.Context, p, older, newer string) error {
	from, to := path.Join(older, p), path.Join(newer, p)
	fi, err := w.up.lstat(from)
	if err != nil || fi == nil {
		return err
	}
	if err := w.up.mkdir(to, ownerAll); err != nil {
		return err
	}
	w.dirs[p], w.seen[p] = fi, map[string]fs.FileInfo{}
	if err := w.catchUpDir(ctx, p, older, newer); err != nil {
		return err
	}
	return w.up.copyDirAttributes(from, fi, to)
}
