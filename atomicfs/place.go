package atomicfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

var (
	errNotPlaced = errors.New("the tree does not lie as the strategy needs it")
	errInTheWay  = errors.New("a folder of somebody else has the twin's name")
)

// versionsDir holds the versions of a tree, beside the symlink to one of them.
const versionsDir = "versions"

// place says where a tree and its twin lie. Names are in the folder up.
type place struct {
	up   *disk
	dir  string // the tree's folder
	twin string // the twin's, or "" if it has no name yet
	link string // the symlink to dir; "" if the tree itself is to be exchanged
	temp string // a name that is ours beside the tree
}

// findPlace looks where the tree lies, for a strategy other than InPlace.
func (t *Tree) findPlace(s Strategy) (_ *place, err error) {
	root := t.root
	if s == Exchange { // the folder itself, whatever leads to it
		if root, err = filepath.EvalSymlinks(root); err != nil {
			return nil, err
		}
	}
	parent, name := filepath.Dir(root), filepath.Base(root)
	if parent == root || len(name) > maxName-16 {
		return nil, fmt.Errorf("%s: %w", root, errNotPlaced)
	}
	up, err := openRoot(parent)
	if err != nil {
		return nil, err
	}
	p := &place{up: &disk{root: up, hook: t.disk.hook}, dir: name, temp: tempName(name)}
	if s == Exchange {
		p.twin = p.temp
	} else {
		p.link = name
		err = p.follow()
	}
	if err == nil {
		err = p.check(t)
	}
	if err != nil {
		up.Close()
		return nil, err
	}
	return p, nil
}

// follow finds the folder that the symlink leads to. A folder in the place of
// the symlink is all right: the first change makes a version of it.
func (p *place) follow() error {
	fi, err := p.up.lstat(p.link)
	if err != nil || fi == nil || fi.IsDir() {
		return err
	}
	target, err := p.up.root.Readlink(p.link)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(target)
	if !isVersion(dir) {
		return fmt.Errorf("symlink %s to %q, want one to %s/NAME: %w", p.link, target, versionsDir, errNotPlaced)
	}
	p.dir = dir
	return nil
}

// healLink puts the symlink root in place if a switch of versions was cut short
// between two steps, where the system needs two.
func healLink(root string, hook func(step string) error) error {
	if _, err := os.Lstat(root); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	parent, name := filepath.Dir(root), filepath.Base(root)
	up, err := openRoot(parent)
	if err != nil {
		return nil // opening the root itself says what is wrong
	}
	defer up.Close()
	d := &disk{root: up, hook: hook}
	temp := tempName(name)
	fi, err := d.lstat(temp)
	if err != nil || fi == nil || fi.Mode().Type() != fs.ModeSymlink {
		return err
	}
	return d.rename(temp, name)
}

// tempName is a name beside the tree that is ours.
func tempName(name string) string { return "." + name + ".treegraft" }

func isVersion(p string) bool {
	dir, name := path.Split(p)
	return dir == versionsDir+"/" && checkPath(name) == nil
}

// check makes sure that the folder is the one that is locked.
func (p *place) check(t *Tree) error {
	there, err := p.up.lstat(p.dir)
	if err != nil {
		return err
	}
	ours, err := t.dir.Stat()
	if err != nil {
		return err
	}
	if there == nil || !os.SameFile(there, ours) {
		return fmt.Errorf("%s: %w", p.dir, errNotPlaced)
	}
	return nil
}

// nameVersion chooses the name of the twin: that of the change, if it is free.
func (p *place) nameVersion(id string) error {
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune(`/\:*?"<>|`, r) || r == 0x7f {
			return '-'
		}
		return r
	}, id)
	clean = strings.Trim(clean[:min(len(clean), 100)], ". ")
	for n := 1; n < 1<<16; n++ {
		name := versionsDir + "/" + clean
		if n > 1 || clean == "" {
			name = fmt.Sprintf("%s/%s-%d", versionsDir, clean, n)
		}
		if !isVersion(name) {
			continue
		}
		taken, err := p.up.exists(name)
		if err != nil {
			return err
		}
		if !taken {
			p.twin = name
			return nil
		}
	}
	return errInTheWay
}
