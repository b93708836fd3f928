package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// session is one operation on the tree, under its lock.
type session struct {
	c    *Client
	tree *atomicfs.Tree
	root *os.Root

	readOnly bool // the tree cannot be written to, and is looked at without a lock

	installed *manifest.Manifest // nil when nothing is
	canonical []byte             // its encoding
	digest    manifest.Digest    // of canonical
}

// begin locks the tree, recovers it, and reads what is installed.
func (c *Client) begin() (*session, error) {
	if err := c.known(); err != nil {
		return nil, err
	}
	return c.beginNew()
}

// known fails for a folder in which the product never was: nothing may be made
// there.
func (c *Client) known() error {
	if _, err := os.Stat(c.state()); errors.Is(err, fs.ErrNotExist) {
		return c.notInstalled()
	}
	return nil
}

// notInstalled says which product is not there: others may be.
func (c *Client) notInstalled() error {
	if c.settings.Product == "" {
		return fmt.Errorf("%s: %w", c.o.Dir, ErrNotInstalled)
	}
	return fmt.Errorf("%s, product %s: %w", c.o.Dir, c.settings.Product, ErrNotInstalled)
}

// beginInstalled is begin for what needs an installed release.
func (c *Client) beginInstalled() (*session, error) {
	s, err := c.begin()
	if err == nil {
		err = s.need()
	}
	return s.unless(err)
}

// need fails when nothing is installed.
func (s *session) need() error {
	if s.installed == nil {
		return s.c.notInstalled()
	}
	return nil
}

// beginNew is begin for a folder that may be empty.
func (c *Client) beginNew() (*session, error) {
	s, err := c.enter(false)
	if err == nil {
		err = s.load()
	}
	return s.unless(err)
}

// enter opens the tree, and reads nothing yet.
func (c *Client) enter(toRead bool) (*session, error) {
	strategy, err := atomicfs.ParseStrategy(c.settings.Strategy)
	if err != nil {
		return nil, err
	}
	o := atomicfs.Options{Events: c.treeEvent, Strategy: strategy}
	tree, err := atomicfs.Open(c.o.Dir, o)
	if toRead && err != nil {
		tree, err = c.openReadOnly(o, err)
	}
	if err != nil {
		return nil, err
	}
	s := &session{c: c, tree: tree, readOnly: tree.ReadOnly()}
	if s.root, err = os.OpenRoot(c.o.Dir); err != nil {
		s.end()
		return nil, err
	}
	if text := s.recovered(); text != "" {
		c.emit(Event{Phase: Planning, Note: text})
	}
	return s, nil
}

// unless ends a session that has come to an error.
func (s *session) unless(err error) (*session, error) {
	if err != nil && s != nil {
		s.end()
		s = nil
	}
	return s, err
}

func (s *session) end() {
	if s.root != nil {
		s.root.Close()
	}
	s.tree.Close() // changes nothing
}

// load reads what is installed, anew after each change of it.
func (s *session) load() error {
	s.installed, s.canonical, s.digest = nil, nil, manifest.Digest{}
	m, b, err := s.c.installed()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.installed, s.canonical, s.digest = m, b, manifest.Sum(b)
	return nil
}

func (s *session) facts() *manifest.Release {
	if s.installed == nil {
		return nil
	}
	return &s.installed.Release
}

// recovered says in a sentence what an earlier crash had left.
func (s *session) recovered() string {
	r := s.tree.Recovered()
	verb := verbUpdate
	if r.Rollback {
		verb = verbRollback
	}
	switch {
	case r.Forward:
		return fmt.Sprintf("an interrupted %s (%s) was finished", verb, r.ID)
	case r.Back:
		return fmt.Sprintf("an interrupted %s (%s) could not be finished and was taken back", verb, r.ID)
	case len(r.Swept) > 0:
		return "leftovers of an interrupted operation were removed"
	}
	return ""
}

// entries returns the entries of a manifest that may be nil.
func entries(m *manifest.Manifest) []manifest.Entry {
	if m == nil {
		return nil
	}
	return m.Entries
}

// node translates an entry, which may be nil.
func node(e *manifest.Entry) *atomicfs.Node {
	if e == nil {
		return nil
	}
	n := &atomicfs.Node{Mode: e.Mode, Size: e.Size, Digest: e.Digest, Link: e.Link}
	switch e.Kind {
	case manifest.File:
		n.Kind = atomicfs.File
	case manifest.Dir:
		n.Kind = atomicfs.Dir
	case manifest.Symlink:
		n.Kind = atomicfs.Symlink
	}
	return n
}

// treeChanges translates what becomes of a tree from one manifest to another.
// Folders that stay are named too, lest they go when they become empty. A
// folder may be listed on one side and be implied by what it holds on the other.
func treeChanges(from, to *manifest.Manifest) []atomicfs.Change {
	var last []string
	if to != nil {
		last = to.Release.EntryPoints
	}
	had, has := impliedFolders(from), impliedFolders(to)
	var changes []atomicfs.Change
	for _, c := range manifest.Compare(entries(from), entries(to)) {
		ch := atomicfs.Change{Path: c.Path, Old: node(c.From), New: node(c.To), Last: slices.Contains(last, c.Path)}
		if c.From == nil && c.To.Kind == manifest.Dir && had[c.Path] {
			ch.Old = impliedFolder()
		}
		if c.To == nil && c.From.Kind == manifest.Dir && has[c.Path] {
			ch.New = impliedFolder()
		}
		changes = append(changes, ch)
	}
	if from == nil || to == nil {
		return changes
	}
	for i := range to.Entries {
		e := &to.Entries[i]
		if old := from.Lookup(e.Path); e.Kind == manifest.Dir && old != nil && *old == *e {
			changes = append(changes, atomicfs.Change{Path: e.Path, Old: node(old), New: node(e)})
		}
	}
	return changes
}

// impliedFolders returns the folders above the entries of a manifest.
func impliedFolders(m *manifest.Manifest) map[string]bool {
	folders := map[string]bool{}
	for _, e := range entries(m) {
		for d := path.Dir(e.Path); d != "." && !folders[d]; d = path.Dir(d) {
			folders[d] = true
		}
	}
	return folders
}

func impliedFolder() *atomicfs.Node {
	return &atomicfs.Node{Kind: atomicfs.Dir, Mode: manifest.DirMode}
}

// local is what is known of the files in the tree before an update.
type local struct {
	drift   []atomicfs.Drift           // what is in the way of the changes
	bad     map[string]bool            // managed paths that are modified or missing
	inPlace map[string]bool            // new paths where the wanted content is already
	content map[manifest.Digest]string // path of an intact file, for each content that is asked for
}

// look compares the tree with the installed manifest where changes touch it,
// and finds files with the contents that wanted asks for, also those of other
// products.
func (s *session) look(ctx context.Context, changes []atomicfs.Change, others []*manifest.Manifest, wanted map[manifest.Digest]bool) (*local, error) {
	l := &local{bad: map[string]bool{}, inPlace: map[string]bool{}, content: map[manifest.Digest]string{}}
	var err error
	if l.drift, err = s.tree.Drift(ctx, changes); err != nil {
		return nil, err
	}
	for _, d := range l.drift {
		l.bad[d.Path] = true
	}
	for _, c := range changes {
		info, err := s.root.Lstat(filepath.FromSlash(c.Path))
		switch {
		case err != nil:
			l.bad[c.Path] = true
		case c.Old == nil && c.New.Kind == atomicfs.File && info.Mode().IsRegular() && !l.bad[c.Path]:
			l.inPlace[c.Path] = true
		}
	}
	for _, m := range append([]*manifest.Manifest{s.installed}, others...) {
		for _, e := range entries(m) {
			if e.Kind != manifest.File || !wanted[e.Digest] || l.bad[e.Path] || l.content[e.Digest] != "" {
				continue
			}
			if info, err := s.root.Lstat(filepath.FromSlash(e.Path)); err == nil && info.Mode().IsRegular() && info.Size() == e.Size {
				l.content[e.Digest] = e.Path
			}
		}
	}
	return l, nil
}

// seed opens local content: a file of the tree, or the installed manifest.
func (s *session) seed(l *local) func(manifest.Digest) (delta.File, error) {
	return func(d manifest.Digest) (delta.File, error) {
		if d == s.digest && s.installed != nil {
			return memory{bytes.NewReader(s.canonical)}, nil
		}
		path, ok := l.content[d]
		if !ok {
			return nil, fmt.Errorf("no intact local file with content %v: %w", d, fs.ErrNotExist)
		}
		return s.root.Open(filepath.FromSlash(path))
	}
}

// memory is a delta.File in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// emit tells the caller what happens.
func (c *Client) emit(e Event) {
	if c.o.Events != nil {
		c.events.Lock()
		defer c.events.Unlock()
		c.o.Events(e)
	}
}

func (c *Client) treeEvent(e atomicfs.Event) {
	phase := Committing
	if strings.HasPrefix(e.Phase, "check") {
		phase = Verifying
	}
	c.emit(Event{Phase: phase, Path: e.Path, Done: int64(e.Done), Total: int64(e.Total)})
}

func (c *Client) now() time.Time {
	if c.o.Now != nil {
		return c.o.Now()
	}
	return time.Now()
}

// stamp returns the time as records have it.
func (c *Client) stamp() time.Time { return c.now().UTC().Truncate(time.Second) }
