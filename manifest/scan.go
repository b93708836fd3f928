package manifest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// scanReaders is how many files are read at once. Eight keep a cold disk busy,
// also on a machine with fewer cores.
const scanReaders = 8

// ScanOptions says how a tree is read. The zero value works.
type ScanOptions struct {
	// Skip leaves out the path, and all below it. May be nil.
	Skip func(path string) bool
	// Read is told the bytes of each file as it has been read, from several
	// goroutines at once. May be nil.
	Read func(n int64)
}

// Scan reads the tree at root and returns its valid entries in order. The
// folder [StateDir] at its root is left out. What a release cannot hold (other
// kinds of files, set-user-id bits, forbidden names) is reported in one
// [*InvalidError]. Links are never followed.
func Scan(ctx context.Context, root string, o ScanOptions) ([]Entry, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	defer dir.Close()
	s := scan{root: dir, o: o}
	if err := s.walk(ctx); err != nil {
		return nil, fmt.Errorf("scan %s: %w", root, err)
	}
	s.entries(s.found)
	if err := s.err("tree " + filepath.Clean(root)); err != nil {
		return nil, err
	}
	return s.found, nil
}

type scan struct {
	validator
	root  *os.Root
	o     ScanOptions
	found []Entry
	full  map[string]bool // folders that hold something
}

func (s *scan) walk(ctx context.Context) error {
	s.full = map[string]bool{}
	err := fs.WalkDir(s.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == "." {
			return err
		}
		if p == StateDir || s.o.Skip != nil && s.o.Skip(p) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if i := strings.LastIndexByte(p, '/'); i >= 0 {
			s.full[p[:i]] = true
		}
		return s.add(p, d)
	})
	if err != nil {
		return err
	}
	s.found = slices.DeleteFunc(s.found, func(e Entry) bool {
		return e.Kind == Dir && e.Mode == DirMode && s.full[e.Path]
	})
	slices.SortFunc(s.found, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return s.hash(ctx)
}

func (s *scan) add(p string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	mode := info.Mode()
	e := Entry{Path: p, Mode: permissions(mode)}
	switch mode.Type() {
	case 0:
		if mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			s.fault(p, "mode %v: set-id and sticky bits are not carried", mode)
		}
		e.Size = info.Size()
	case fs.ModeDir:
		e.Kind = Dir
	case fs.ModeSymlink:
		e.Kind, e.Mode = Symlink, 0
		if e.Link, err = s.root.Readlink(p); err != nil {
			return err
		}
		e.Link = filepath.ToSlash(e.Link)
	default:
		s.fault(p, "neither file, folder nor symlink but %v", mode.Type())
		return nil
	}
	s.found = append(s.found, e)
	return nil
}

// permissions returns the mode that a release carries. Windows has only a
// read-only flag; there a tree gets the modes that are usual elsewhere.
func permissions(mode fs.FileMode) fs.FileMode {
	switch {
	case runtime.GOOS != "windows":
		return mode.Perm()
	case mode.IsDir():
		return DirMode
	case mode.Perm()&0o200 == 0:
		return 0o444
	}
	return 0o644
}

// hash fills in the files' digests. A file that changes while it is read is a
// fault, not a wrong entry.
func (s *scan) hash(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(scanReaders)
	sizes := make([]int64, len(s.found))
	for i := range s.found {
		e := &s.found[i]
		if e.Kind != File {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := s.root.Open(filepath.FromSlash(e.Path))
			if err != nil {
				return err
			}
			defer f.Close()
			if e.Digest, sizes[i], err = SumReader(f); err != nil {
				return fmt.Errorf("read %s: %w", e.Path, err)
			}
			if s.o.Read != nil {
				s.o.Read(sizes[i])
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, e := range s.found {
		if e.Kind == File && e.Size != sizes[i] {
			s.fault(e.Path, "changed while it was read: %d bytes, then %d", e.Size, sizes[i])
		}
	}
	return nil
}
