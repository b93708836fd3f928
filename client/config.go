package client

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/conffile"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
)

// A ConfigChange says what became of a settings file that its user had edited.
type ConfigChange struct {
	Path      string   `json:"path"`
	Merged    bool     `json:"merged"`              // it has what is new; otherwise it stays as it was
	Beside    string   `json:"beside,omitempty"`    // the new release's own, where it is not certain what is wanted
	Conflicts []string `json:"conflicts,omitempty"` // settings that both have changed; the user's values stay
}

const (
	maxDefaults = 200    // how many files are kept as they were shipped
	newSuffix   = ".new" // of the new release's file beside the user's
)

// edited is a settings file that its user has edited, and that a release changes.
type edited struct {
	path string
	old  manifest.Digest // what the installed release shipped; zero for nothing
	user atomicfs.Node
	ship atomicfs.Node // what the new release ships
	keep bool          // the user's stays as it is
}

// adaptConfig takes edited settings files into account: they are no drift, and
// what the plan puts in their place depends on what is in them.
func (s *session) adaptConfig(j *job) error {
	var changes []atomicfs.Change
	for _, c := range j.changes {
		old, entry := s.entry(c.Path), j.to.Lookup(c.Path)
		rule := manifest.NoConfig
		switch {
		case entry != nil && entry.Kind == manifest.File:
			rule = entry.Config
		case entry == nil && old != nil:
			rule = old.Config
		}
		if rule == manifest.NoConfig {
			changes = append(changes, c)
			continue
		}
		user, err := s.found(c.Path)
		if err != nil {
			return err
		}
		if user == nil || user.Kind != atomicfs.File {
			changes = append(changes, c)
			continue
		}
		if c, ok := j.adapt(c, old, rule, user); ok {
			changes = append(changes, c)
		}
	}
	j.changes = changes
	return s.besides(j)
}

func (s *session) entry(path string) *manifest.Entry {
	if s.installed == nil {
		return nil
	}
	return s.installed.Lookup(path)
}

// adapt adapts the change of one settings file that is there. It reports whether
// there is still one.
func (j *job) adapt(c atomicfs.Change, old *manifest.Entry, rule manifest.ConfigRule, user *atomicfs.Node) (atomicfs.Change, bool) {
	var was manifest.Digest
	if old != nil {
		was = old.Digest
	}
	switch {
	case user.Digest == was:
		c.Old = user // its mode may be the user's
		return c, true
	case c.New == nil:
		return c, false // the user's from now on
	case user.Digest == c.New.Digest:
		c.Old = user
		return c, true
	case was == c.New.Digest: // only the mode changes
		n := *user
		n.Mode = c.New.Mode
		c.Old, c.New = user, &n
		return c, true
	}
	e := edited{path: c.Path, old: was, user: *user, ship: *c.New, keep: rule == manifest.KeepConfig || old == nil}
	j.edited = append(j.edited, e)
	c.Old = user
	return c, !e.keep
}

// besides plans the new release's files beside those of the user that stay.
func (s *session) besides(j *job) error {
	for _, e := range j.edited {
		if !e.keep || j.to.Lookup(e.path+newSuffix) != nil {
			continue
		}
		there, err := s.found(e.path + newSuffix)
		if err != nil {
			return err
		}
		ship := e.ship
		j.changes = append(j.changes, atomicfs.Change{Path: e.path + newSuffix, Old: there, New: &ship})
	}
	slices.SortFunc(j.changes, func(a, b atomicfs.Change) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// mergeConfig puts the merged texts in the place of the shipped ones, in the
// staging and in the list of changes.
func (s *session) mergeConfig(stage *atomicfs.Stage, p *Plan, changes []atomicfs.Change) ([]atomicfs.Change, []ConfigChange, error) {
	var told []ConfigChange
	for _, e := range p.edited {
		note := ConfigChange{Path: e.path}
		if e.keep {
			note.Beside = e.path + newSuffix
			told = append(told, note)
			continue
		}
		i := slices.IndexFunc(changes, func(c atomicfs.Change) bool { return c.Path == e.path })
		shipped, err := readStaged(stage, e.path)
		if err != nil {
			return nil, nil, err
		}
		user, err := s.readUser(e)
		if err != nil {
			return nil, nil, err
		}
		merged, conflicts := s.merge(e, shipped, user)
		for _, c := range conflicts {
			if c.Key != "" {
				note.Conflicts = append(note.Conflicts, c.Key)
			}
		}
		if note.Merged = !bytes.Equal(merged, user); note.Merged {
			if changes[i].New, err = stageBytes(stage, e.path, e.user.Mode, merged); err != nil {
				return nil, nil, err
			}
		} else {
			changes = slices.Delete(changes, i, i+1)
		}
		if len(conflicts) > 0 && p.to.Lookup(e.path+newSuffix) == nil {
			note.Beside = e.path + newSuffix
			beside := atomicfs.Change{Path: note.Beside}
			if beside.Old, err = s.found(note.Beside); err != nil {
				return nil, nil, err
			}
			if beside.New, err = stageBytes(stage, note.Beside, e.ship.Mode, shipped); err != nil {
				return nil, nil, err
			}
			changes = append(changes, beside)
		}
		told = append(told, note)
	}
	return changes, told, nil
}

// merge merges one file. Where it is not known any more what the installed release
// shipped, nothing is certain.
func (s *session) merge(e edited, shipped, user []byte) ([]byte, []conffile.Conflict) {
	old, err := smallfile.Read(s.c.state(defaultsName, e.old.String()), conffile.MaxSize)
	if err != nil || manifest.Sum(old) != e.old {
		return user, []conffile.Conflict{{}}
	}
	return conffile.Merge(e.path, old, shipped, user)
}

// readUser reads a file that a plan has seen. If it has changed since, the commit
// finds that out.
func (s *session) readUser(e edited) ([]byte, error) {
	f, err := s.root.Open(filepath.FromSlash(e.path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, e.user.Size))
}

func readStaged(stage *atomicfs.Stage, path string) ([]byte, error) {
	f, err := stage.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// saveDefaults keeps what a release ships of settings that are merged: it is what
// the next update compares with. Content that cannot be had now is left out.
func (s *session) saveDefaults(stage *atomicfs.Stage, to *manifest.Manifest) error {
	for i := range to.Entries {
		e := &to.Entries[i]
		if e.Config != manifest.MergeConfig || e.Size > conffile.MaxSize {
			continue
		}
		name := s.c.state(defaultsName, e.Digest.String())
		if _, err := os.Stat(name); err == nil {
			continue
		}
		b, err := readStaged(stage, e.Path)
		if errors.Is(err, fs.ErrNotExist) {
			b, err = smallfile.Read(filepath.Join(s.c.o.Dir, filepath.FromSlash(e.Path)), conffile.MaxSize)
		}
		if err != nil || manifest.Sum(b) != e.Digest {
			continue
		}
		if err := os.MkdirAll(s.c.state(defaultsName), 0o700); err != nil {
			return err
		}
		if err := atomicfs.WriteFile(name, b, 0o600); err != nil {
			return err
		}
	}
	return s.pruneDefaults()
}

// pruneDefaults removes the oldest ones of many.
func (s *session) pruneDefaults() error {
	files, err := os.ReadDir(s.c.state(defaultsName))
	if errors.Is(err, fs.ErrNotExist) || len(files) <= maxDefaults {
		return nil
	}
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int { return int(max(-1, min(1, age(a)-age(b)))) })
	for _, f := range files[:len(files)-maxDefaults] {
		err = errors.Join(err, os.Remove(s.c.state(defaultsName, f.Name())))
	}
	return err
}

// onlyConfig reports whether local changes are all of settings files, or of what
// was put beside them: they are the user's business, and no reason to refuse.
func onlyConfig(drift []atomicfs.Drift, all ...*manifest.Manifest) bool {
	return !slices.ContainsFunc(drift, func(d atomicfs.Drift) bool {
		return !slices.ContainsFunc(all, func(m *manifest.Manifest) bool {
			if m == nil {
				return false
			}
			e := m.Lookup(strings.TrimSuffix(d.Path, newSuffix))
			return e != nil && e.Config != manifest.NoConfig
		})
	})
}
