package atomicfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"
)

const (
	maxName    = 255     // bytes of a path component: the limit of every file system we know
	maxPath    = 4096    // bytes of a path, and of a symlink's target: Linux's PATH_MAX
	maxRecords = 1 << 21 // entries of one change; a journal of so many stays below maxJournal for usual paths
)

// validate returns all faults of changes, joined.
func validate(changes []Change) error {
	if len(changes) > maxRecords {
		return fmt.Errorf("check changes: want at most %d, got %d", maxRecords, len(changes))
	}
	var faults []error
	byPath := make(map[string]*Change, len(changes))
	for i := range changes {
		c := &changes[i]
		if err := checkChange(c); err != nil {
			faults = append(faults, err)
		}
		if byPath[c.Path] != nil {
			faults = append(faults, fmt.Errorf("check change %q: named twice", c.Path))
		}
		byPath[c.Path] = c
	}
	for i := range changes {
		c := &changes[i]
		if c.New == nil || checkPath(c.Path) != nil {
			continue
		}
		for dir := range ancestors(c.Path) {
			if p := byPath[dir]; p != nil && p.New != nil && p.New.Kind != Dir {
				faults = append(faults, fmt.Errorf("check change %q: want a folder at %q, got a %v", c.Path, dir, p.New.Kind))
			}
		}
	}
	return errors.Join(faults...)
}

func checkChange(c *Change) error {
	if err := checkPath(c.Path); err != nil {
		return err
	}
	if isMeta(c.Path) {
		if c.New != nil && c.New.Kind != File {
			return fmt.Errorf("check change %q: want a file below %s, got a %v", c.Path, MetaDir, c.New.Kind)
		}
	} else if c.Old == nil && c.New == nil {
		return fmt.Errorf("check change %q: neither old nor new", c.Path)
	}
	for _, n := range []*Node{c.Old, c.New} {
		if err := checkNode(n); err != nil {
			return fmt.Errorf("check change %q: %w", c.Path, err)
		}
	}
	return nil
}

// checkPath accepts a slash-separated path inside the tree, and of the state
// folder only what is below MetaDir.
func checkPath(p string) error {
	switch {
	case !fs.ValidPath(p) || p == "." || strings.ContainsRune(p, 0) || !filepath.IsLocal(filepath.FromSlash(p)):
		return fmt.Errorf("check path %.300q: not a path inside the tree", p)
	case filepath.Separator != '/' && strings.ContainsRune(p, filepath.Separator):
		return fmt.Errorf("check path %.300q: holds %q", p, filepath.Separator)
	case len(p) > maxPath:
		return fmt.Errorf("check path %.300q: want at most %d bytes, got %d", p, maxPath, len(p))
	case inState(p) && !isMeta(p):
		return fmt.Errorf("check path %.300q: inside the state folder", p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxName {
			return fmt.Errorf("check path %.300q: want names of at most %d bytes, got %d", p, maxName, len(name))
		}
	}
	return nil
}

func checkNode(n *Node) error {
	switch {
	case n == nil:
		return nil
	case n.Kind != File && n.Kind != Dir && n.Kind != Symlink:
		return fmt.Errorf("want a file, folder or symlink, got %v", n.Kind)
	case n.Mode&^fs.ModePerm != 0:
		return fmt.Errorf("want permission bits only, got mode %v", n.Mode)
	case n.Size < 0:
		return fmt.Errorf("want a size, got %d", n.Size)
	case n.Kind == Symlink && (n.Link == "" || len(n.Link) > maxPath || strings.ContainsRune(n.Link, 0)):
		return fmt.Errorf("want a symlink target of 1 to %d bytes without NUL, got %.300q", maxPath, n.Link)
	}
	return nil
}

// inState reports whether p is the state folder or below it. Case does not
// count, for the sake of file systems where it does not.
func inState(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return strings.EqualFold(first, StateDir)
}

func isMeta(p string) bool { return strings.HasPrefix(p, MetaDir+"/") }

// ancestors yields the folders above p, nearest first, without the root. It
// stops at MetaDir, which is always there.
func ancestors(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for dir := folderOf(p); dir != "." && dir != MetaDir; dir = folderOf(dir) {
			if !yield(dir) {
				return
			}
		}
	}
}

// folderOf is path.Dir for paths that are clean, without looking at all of
// them: in a path of a thousand folders that would be most of the time.
func folderOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return "."
}

// fold maps names that differ in case alone to one string. It need not agree
// with any file system: it only finds candidates, os.SameFile decides.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		return least
	}, s)
}

// same reports whether a and b are alike but for their modes.
func (n *Node) same(o *Node) bool {
	if n == nil || o == nil {
		return n == o
	}
	if n.Kind != o.Kind {
		return false
	}
	switch n.Kind {
	case File:
		return n.Size == o.Size && n.Digest == o.Digest
	case Symlink:
		return n.Link == o.Link
	}
	return n.Kind == Dir
}

// is reports whether n is there and of kind k.
func (n *Node) is(k Kind) bool { return n != nil && n.Kind == k }
