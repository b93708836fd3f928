package atomicfs

import (
	"fmt"
	"maps"
	"path"
	"slices"
)

// openWay makes the records that turn a folder into a file or symlink. That
// can be done if all the folder holds goes with this change.
func (s *survey) openWay(c *Change, keepDrift bool) error {
	f := s.found[c.Path]
	left, emptied, err := s.leftovers(c.Path)
	if err != nil {
		return err
	}
	if len(left) == 0 && !emptied && !c.Old.is(Dir) {
		left = append(left, Drift{Path: c.Path, Want: c.Old, Got: f.node})
	}
	if len(left) == 0 {
		s.items[c.Path] = &item{
			record:  record{path: c.Path, old: f.node, new: c.New, last: c.Last},
			info:    f.info,
			content: c.New.is(File),
		}
		return nil
	}
	for _, d := range left {
		if s.byPath[d.Path] == nil || d.Path == c.Path { // else it is listed already
			s.drift = append(s.drift, d)
		}
	}
	if !keepDrift {
		return nil
	}
	// What is left moves together with its folder.
	for _, d := range left {
		if d.Path != c.Path {
			delete(s.items, d.Path)
		}
	}
	return s.keepBeside(c, f)
}

// maxLeftovers bounds the list of what is in the way inside one folder.
const maxLeftovers = 1000

// leftovers lists what is below dir and does not go with this change. It
// reports whether anything below goes, and makes the records of the folders
// that this empties.
func (s *survey) leftovers(dir string) (left []Drift, emptied bool, err error) {
	entries, err := s.t.disk.readDir(dir)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		it := s.items[p]
		if it != nil && it.new == nil && it.kept == "" && !it.old.is(Dir) {
			emptied = true
			continue
		}
		f, err := s.find(p)
		if err != nil {
			return nil, false, err
		}
		if f.node.is(Dir) {
			below, gone, err := s.leftovers(p)
			if err != nil {
				return nil, false, err
			}
			left = append(left, below...)
			if len(below) == 0 && (gone || it != nil) {
				s.items[p] = &item{record: record{path: p, old: f.node}, info: f.info}
				emptied = true
				continue
			}
			if len(below) > 0 {
				continue
			}
		}
		left = append(left, Drift{Path: p, Got: f.node})
		if len(left) > maxLeftovers {
			break
		}
	}
	return left, emptied, nil
}

// addFolders makes the records of folders that no change names: those that
// must be made, those that become empty, and those we may not write to.
func (s *survey) addFolders() error {
	for _, p := range slices.Sorted(maps.Keys(s.items)) {
		it := s.items[p]
		for dir := range ancestors(p) {
			var err error
			if it.new != nil {
				err = s.needFolder(dir)
			} else {
				err = s.closeFolder(dir)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(s.items)) {
		if dir := folderOf(p); dir != "." && !isMeta(p) && s.items[dir] == nil {
			f, err := s.find(dir)
			if err != nil {
				return err
			}
			if f.node.is(Dir) && f.node.Mode&ownerAll != ownerAll {
				n := *f.node
				s.items[dir] = &item{record: record{path: dir, old: f.node, new: &n}, info: f.info}
			}
		}
	}
	return nil
}

// needFolder sees to it that dir will be a folder.
func (s *survey) needFolder(dir string) error {
	if it := s.items[dir]; it != nil {
		if it.new == nil {
			it.new = &Node{Kind: Dir, Mode: impliedMode}
		}
		return nil
	}
	f, err := s.find(dir)
	if err != nil || f.node.is(Dir) {
		return err
	}
	if f.node != nil && s.byPath[dir] != nil { // listed as drift
		return nil
	}
	if f.node != nil {
		s.block(dir, "parent", fmt.Sprintf("want a folder, got a %v", f.node.Kind))
		return nil
	}
	s.items[dir] = &item{record: record{path: dir, new: &Node{Kind: Dir, Mode: impliedMode}}}
	return nil
}

// closeFolder has dir removed if it turns out to be empty. A rollback removes
// no folders but those that its commit made, which are among its changes.
func (s *survey) closeFolder(dir string) error {
	if s.items[dir] != nil || s.stays[dir] || s.undoes {
		return nil
	}
	f, err := s.find(dir)
	if err == nil && f.node.is(Dir) {
		s.items[dir] = &item{record: record{path: dir, old: f.node}, info: f.info}
	}
	return err
}
