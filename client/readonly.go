package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// openReadOnly opens a tree that cannot be written to, as the error says, for
// who only looks: it is taken as it is.
func (c *Client) openReadOnly(o atomicfs.Options, err error) (*atomicfs.Tree, error) {
	if errors.Is(err, atomicfs.ErrNeedsRecovery) || !notWritable(err) {
		return nil, err
	}
	o.ReadOnly = true
	tree, err2 := atomicfs.Open(c.o.Dir, o)
	switch {
	case errors.Is(err2, atomicfs.ErrReadOnly):
		return nil, err2
	case err2 != nil:
		return nil, err
	}
	if !c.toldReadOnly {
		c.toldReadOnly = true
		c.emit(Event{Phase: Planning, Note: "the tree cannot be written to: it is looked at without a lock"})
	}
	return tree, nil
}

func notWritable(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// beginToRead is beginInstalled for what only looks.
func (c *Client) beginToRead() (*session, error) {
	if err := c.known(); err != nil {
		return nil, err
	}
	s, err := c.enter(true)
	if err == nil {
		err = s.load()
	}
	if err == nil {
		err = s.need()
	}
	return s.unless(err)
}

// unchanged makes sure that what was looked at without a lock was one release:
// somebody else may be able to write to the tree.
func (s *session) unchanged() error {
	tree, err := atomicfs.Open(s.c.o.Dir, atomicfs.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tree.Close()
	b, err := readInstalled(s.c.o.Dir, s.c.settings.Product)
	if err == nil && !bytes.Equal(b, s.canonical) {
		err = fmt.Errorf("%s: it was updated meanwhile", s.c.o.Dir)
	}
	return err
}

// lookedAt is the cache of a tree that cannot be written to: what it has counts,
// and what comes to it is forgotten in the end.
type lookedAt struct {
	folder  folderCache
	written map[string][]byte
}

func (l *lookedAt) Read(name string, max int64) ([]byte, error) {
	if b, ok := l.written[name]; ok && int64(len(b)) <= max {
		return b, nil
	}
	return l.folder.Read(name, max)
}

func (l *lookedAt) Write(name string, b []byte) error {
	l.written[name] = bytes.Clone(b)
	return nil
}
