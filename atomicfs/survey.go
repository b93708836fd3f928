package atomicfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// impliedMode is what folders get that no change names.
const impliedMode = 0o755

// survey compares changes with the tree and turns them into records. It
// changes nothing.
type survey struct {
	t       *Tree
	changes []Change
	undoes  bool
	byPath  map[string]*Change
	removed map[string][]string // names that go, by folded path
	dirs    realDirs
	found   map[string]*found

	items     map[string]*item
	inTheWay  []*Change       // a folder where a file or symlink must go
	kept      map[string]bool // new names of what is kept beside
	stays     map[string]bool // folders that hold something new, or are named to stay
	drift     []Drift
	missing   []string
	obstacles map[string]Obstacle
}

// found is what is at a path now.
type found struct {
	node   *Node
	info   fs.FileInfo
	closed bool // to us: its content cannot be read
}

// item is a record in the making.
type item struct {
	record
	info    fs.FileInfo // of old, or of what is kept
	content bool        // needs new content from the staging
	copied  bool        // needs a copy of the old content, see hardLinked
}

// look runs a survey. With keepDrift, drift is listed as well, and the records
// move it beside. undoes says that the changes are those of a rollback.
func (t *Tree) look(ctx context.Context, changes []Change, keepDrift, undoes bool) (*survey, error) {
	if err := validate(changes); err != nil {
		return nil, err
	}
	s := &survey{
		t: t, changes: changes, undoes: undoes,
		byPath:    make(map[string]*Change, len(changes)),
		removed:   map[string][]string{},
		dirs:      realDirs{d: t.disk},
		found:     make(map[string]*found, len(changes)),
		items:     make(map[string]*item, len(changes)),
		kept:      map[string]bool{},
		stays:     map[string]bool{},
		obstacles: map[string]Obstacle{},
	}
	for i := range changes {
		c := &changes[i]
		s.byPath[c.Path] = c
		if c.New != nil {
			s.hold(c)
		}
	}
	for i := range changes {
		s.noteRemoval(&changes[i])
	}
	if err := s.inspect(ctx); err != nil {
		return nil, err
	}
	for i := range changes {
		if err := s.judge(&changes[i], keepDrift); err != nil {
			return nil, err
		}
	}
	for _, c := range s.inTheWay {
		if err := s.openWay(c, keepDrift); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.drift, func(a, b Drift) int { return cmp.Compare(a.Path, b.Path) })
	return s, s.addFolders()
}

// noteRemoval notes which names go with c: its own, and those of folders that
// it may empty.
func (s *survey) noteRemoval(c *Change) {
	if c.New != nil {
		return
	}
	note := func(p string) bool {
		if list := s.removed[fold(p)]; s.stays[p] || slices.Contains(list, p) {
			return false
		}
		s.removed[fold(p)] = append(s.removed[fold(p)], p)
		return true
	}
	note(c.Path)
	for dir := range ancestors(c.Path) {
		if !note(dir) {
			return
		}
	}
}

// inspect fills found for every change.
func (s *survey) inspect(ctx context.Context) error {
	var work []*Change
	for i := range s.changes {
		c := &s.changes[i]
		f, err := s.find(c.Path)
		if err != nil {
			return err
		}
		s.found[c.Path] = f
		// A file of another size is another file: no need to read it.
		if f.node.is(File) && (isMeta(c.Path) || c.Old.is(File) && c.Old.Size == f.node.Size || c.New.is(File) && c.New.Size == f.node.Size) {
			work = append(work, c)
		}
	}
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, c := range work {
		g.Go(func() (err error) {
			f := s.found[c.Path]
			f.node.Digest, err = s.t.sums.of(ctx, s.t.disk, c.Path, f.info)
			s.t.emit("check", c.Path, int(done.Add(1)), len(work))
			if f.closed = errors.Is(err, fs.ErrPermission); f.closed {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, c := range work {
		if s.found[c.Path].closed {
			s.block(c.Path, "permission", "cannot be read")
			s.found[c.Path] = &found{}
		}
	}
	return nil
}

// find looks at p without following symlinks.
func (s *survey) find(p string) (*found, error) {
	other, fi, err := s.dirs.firstOther(p)
	if s.unseen(p, err) {
		return &found{}, nil
	}
	if err != nil {
		return nil, err
	}
	if other != "" {
		if fi != nil && s.byPath[other] == nil && !s.goes(other, fi) {
			s.block(other, "parent", fmt.Sprintf("want a folder for %s, got a %v", p, nodeKind(fi)))
		}
		return &found{}, nil
	}
	fi, err = s.t.disk.lstat(p)
	if s.unseen(p, err) {
		return &found{}, nil
	}
	if err != nil || fi == nil || s.goes(p, fi) {
		return &found{}, err
	}
	n := &Node{Kind: nodeKind(fi)}
	switch n.Kind {
	case File:
		n.Mode, n.Size = fi.Mode().Perm(), fi.Size()
	case Dir:
		n.Mode = fi.Mode().Perm()
	case Symlink:
		n.Link, err = s.t.disk.root.Readlink(p)
	}
	return &found{node: n, info: fi}, err
}

// unseen reports whether err is an obstacle to looking at p, which it notes.
func (s *survey) unseen(p string, err error) bool {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &at):
		s.block(path.Dir(at.Path), "permission", "cannot be entered")
	case errors.Is(err, syscall.ENAMETOOLONG):
		s.block(p, "name", "too long for the file system")
	default:
		return false
	}
	return true
}

// goes reports whether fi, found under the name p, is really an entry whose
// name differs from p in case alone and which the change removes.
func (s *survey) goes(p string, fi fs.FileInfo) bool {
	for _, q := range s.removed[fold(p)] {
		if q == p {
			continue
		}
		if other, err := s.dirs.lstat(q); err == nil && other != nil && os.SameFile(fi, other) {
			return true
		}
	}
	return false
}

func nodeKind(fi fs.FileInfo) Kind {
	switch fi.Mode().Type() {
	case 0:
		return File
	case fs.ModeDir:
		return Dir
	case fs.ModeSymlink:
		return Symlink
	}
	return Other
}

// block notes an obstacle. Of one kind at one path the first is noted.
func (s *survey) block(p, kind, detail string) {
	if key := kind + "\x00" + p; s.obstacles[key] == (Obstacle{}) {
		s.obstacles[key] = Obstacle{Path: p, Kind: kind, Detail: detail}
	}
}

// verdict is what to do about one change.
type verdict uint8

const (
	settled verdict = iota // what is there is what must be there
	remode                 // all but the mode
	replace                // what is there is as expected, or nothing
	blocked                // a folder is where a file or symlink must go
	drifted                // anything else
)

// compare decides about a change from what was found. The state folder's
// records are ours and never drift.
func compare(c *Change, now *Node) verdict {
	switch {
	case now.same(c.New) && now != nil && now.Kind != Symlink && !sameMode(now.Mode, c.New.Mode):
		return remode
	case now.same(c.New):
		return settled
	case now.is(Dir) && c.New != nil:
		return blocked
	case now == nil, now.same(c.Old), isMeta(c.Path) && now.is(File):
		return replace
	}
	return drifted
}

// judge makes the record of one change.
func (s *survey) judge(c *Change, keepDrift bool) error {
	f := s.found[c.Path]
	if isMeta(c.Path) && f.node != nil && f.node.Kind != File {
		s.block(c.Path, "parent", fmt.Sprintf("want a file, got a %v", f.node.Kind))
		return nil
	}
	if c.Old != nil && f.node == nil && !isMeta(c.Path) {
		s.missing = append(s.missing, c.Path)
	}
	if c.New == nil && f.node.is(Dir) && s.stays[c.Path] {
		s.judgeImplied(c, f)
		return nil
	}
	r := record{path: c.Path, old: f.node, new: c.New, last: c.Last}
	switch v := compare(c, f.node); v {
	case remode:
		linked := f.node.is(File) && hardLinked(f.info)
		s.items[c.Path] = &item{record: r, info: f.info, copied: linked}
	case replace:
		s.items[c.Path] = &item{record: r, info: f.info, content: c.New.is(File)}
	case blocked:
		s.inTheWay = append(s.inTheWay, c)
	case drifted:
		s.drift = append(s.drift, Drift{Path: c.Path, Want: c.Old, Got: f.node})
		if keepDrift {
			return s.keepBeside(c, f)
		}
	}
	return nil
}

// judgeImplied makes the record, if any, of a folder that is named no more but
// stays, since something new is in it. Where it was named with a mode of its
// own, it gets the one that unnamed folders are made with.
func (s *survey) judgeImplied(c *Change, f *found) {
	if implied := (&Node{Kind: Dir, Mode: impliedMode}); c.Old.is(Dir) && !sameMode(f.node.Mode, impliedMode) {
		s.items[c.Path] = &item{record: record{path: c.Path, old: f.node, new: implied}, info: f.info}
	}
}

// hold notes that folders above c, and c itself if it is one, are not to go.
func (s *survey) hold(c *Change) {
	if c.New.Kind == Dir {
		s.stays[c.Path] = true
	}
	for dir := range ancestors(c.Path) {
		if s.stays[dir] {
			return
		}
		s.stays[dir] = true
	}
}

// keepBeside makes the record of a change where something else must be moved
// out of the way first. A managed file that was modified counts as old
// content: a rollback brings it back, from a copy, because what lies beside
// is the user's from now on.
func (s *survey) keepBeside(c *Change, f *found) error {
	kept, err := freeName(c.Path, func(p string) (bool, error) {
		if s.byPath[p] != nil || s.kept[p] {
			return true, nil
		}
		return s.t.disk.exists(p)
	})
	if err != nil {
		return err
	}
	s.kept[kept] = true
	r := record{path: c.Path, new: c.New, kept: kept, last: c.Last}
	if c.Old != nil && (f.node.is(File) || f.node.is(Symlink)) {
		r.old = f.node
	}
	s.items[c.Path] = &item{record: r, info: f.info, content: c.New.is(File)}
	return nil
}

// blockedBy returns what stands in the way, or nil.
func (s *survey) blockedBy() error {
	if len(s.obstacles) == 0 {
		return nil
	}
	e := &PreflightError{Obstacles: slices.Collect(maps.Values(s.obstacles))}
	sortObstacles(e.Obstacles)
	return e
}

func sortObstacles(o []Obstacle) {
	slices.SortFunc(o, func(a, b Obstacle) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind))
	})
}

// Drift compares every Old with the tree and returns what is in the way of
// changes: modified files, other kinds, unmanaged things where a New must go.
// What it hashed is remembered, so that [Stage.Commit] does not hash again.
func (t *Tree) Drift(ctx context.Context, changes []Change) ([]Drift, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	s, err := t.look(ctx, changes, false, false)
	if err != nil {
		return nil, fmt.Errorf("check old tree: %w", err)
	}
	return s.drift, nil
}
