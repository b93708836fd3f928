package atomicfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// fsRoom says how much fits on a file system; -1 is not known.
type fsRoom struct {
	block    int64
	bytes    int64
	inodes   int64
	readOnly bool
}

const (
	marginBytes    = 16 << 20 // for folders that grow, journals, and the system's own
	marginFraction = 100      // 1 % of what is needed
	marginInodes   = 64
)

// Preflight looks for whatever would stop changes from being made, given that
// extra bytes beyond the new files (downloads) will be needed too. All
// obstacles are in the *[PreflightError]. Drift is not its matter.
func (t *Tree) Preflight(ctx context.Context, changes []Change, extra int64) error {
	if err := t.usable(); err != nil {
		return err
	}
	s, err := t.look(ctx, changes, true, false)
	if err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	if err := s.findObstacles(); err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	if err := s.measure(extra); err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	return s.blockedBy()
}

// findObstacles looks for what forbids the steps of a change.
func (s *survey) findObstacles() error {
	if _, mounted := protected(s.t.dir, StateDir); mounted {
		s.block(StateDir, "mount point", "new files cannot be moved out of it")
	}
	passing, changing := map[string]bool{}, map[string]bool{}
	for p, it := range s.items {
		if it.new != nil && !isMeta(p) {
			s.checkLength(p)
		}
		if it.info != nil {
			immutable, mounted := protected(s.t.dir, p)
			if immutable {
				s.block(p, "immutable", "has the immutable or append-only flag")
			}
			if mounted {
				s.block(p, "mount point", "cannot be replaced")
			}
			if (it.new.is(Dir) || it.chmod() && !it.content && !it.copied) && it.old.is(it.new.Kind) && !mayOpen(it.info) {
				s.block(p, "permission", "its mode is not ours to change")
			}
		}
		if isMeta(p) {
			continue
		}
		if err := s.checkFolder(folderOf(p), changing, true); err != nil {
			return err
		}
		for dir := range ancestors(folderOf(p)) {
			if err := s.checkFolder(dir, passing, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLength looks for what no program could open by its full name. We could
// make it all the same, since we name everything by its way from the root.
func (s *survey) checkLength(p string) {
	if n := len(s.t.root) + 1 + len(p); n > maxFullName {
		s.block(p, "name", fmt.Sprintf("want a full name of at most %d bytes, got %d", maxFullName, n))
	}
}

// checkFolder looks for what stops us from passing through dir or, if change
// is set, from changing names in it. It looks at each folder once.
func (s *survey) checkFolder(dir string, seen map[string]bool, change bool) error {
	if seen[dir] {
		return nil
	}
	seen[dir] = true
	fi, err := s.dirs.lstat(dir)
	if s.unseen(dir, err) {
		return nil
	}
	if err != nil || fi == nil || !fi.IsDir() {
		return err // find has reported it, or it is to become a folder
	}
	immutable, mounted := protected(s.t.dir, dir)
	if mounted && dir != "." {
		s.block(dir, "mount point", "files cannot be moved into it in one step")
	}
	if !change {
		return nil
	}
	if immutable {
		s.block(dir, "immutable", "has the immutable or append-only flag")
		return nil
	}
	switch err := mayWrite(s.t.dir, dir); {
	case err == nil:
	case errors.Is(err, syscall.EROFS):
		s.block(dir, "read-only", "the file system is mounted read-only")
	case errors.Is(err, fs.ErrPermission) && dir != "." && fi.Mode()&ownerAll != ownerAll && mayOpen(fi):
		// openDir lends us access; the mode of the root is not ours to change.
	default:
		s.block(dir, "permission", "cannot be written to: "+err.Error())
	}
	return nil
}

// measure compares what the change needs with what the file system has.
func (s *survey) measure(extra int64) error {
	have, err := room(s.t.dir)
	if err != nil {
		return err
	}
	if have.readOnly {
		s.block(".", "read-only", "the file system is mounted read-only")
	}
	bytes, inodes := s.needs(have.block)
	bytes += max(extra, 0)
	bytes += max(bytes/marginFraction, marginBytes)
	if have.bytes >= 0 && bytes > have.bytes {
		s.block(".", "space", fmt.Sprintf("want %d bytes, got %d", bytes, have.bytes))
	}
	if have.inodes >= 0 && inodes+marginInodes > have.inodes {
		s.block(".", "inodes", fmt.Sprintf("want %d, got %d", inodes+marginInodes, have.inodes))
	}
	return nil
}

// needs sums up, in whole blocks, what will exist beside the old tree.
func (s *survey) needs(block int64) (bytes, inodes int64) {
	block = max(block, 1)
	for _, it := range s.items {
		size := int64(-1)
		switch {
		case it.content:
			size = it.new.Size
		case it.copied:
			size = it.old.Size
		case it.new.is(Symlink), it.new.is(Dir) && !it.old.is(Dir):
			size = 1
		}
		if size >= 0 {
			bytes += (size + block - 1) / block * block
			inodes++
		}
		if it.kept != "" && it.old.is(File) { // the copy for a rollback
			bytes += (it.old.Size + block - 1) / block * block
			inodes++
		}
	}
	return bytes, inodes
}
