package corpus

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxTreeBytes bounds what one archive may unpack to.
const maxTreeBytes = 2 << 30

// treeTime is the modification time of everything in the corpus.
var treeTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// tree writes the entries of one archive below a folder. Names with "..",
// absolute names and writes through symlinks cannot leave it: os.Root refuses.
type tree struct {
	root *os.Root
	left int64 // bytes that may still be written
}

func newTree(dir string) (*tree, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	return &tree{root: root, left: maxTreeBytes}, err
}

// put writes one file.
func (t *tree) put(name string, exec bool, r io.Reader) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("unpack %q: want a path inside the tree", name)
	}
	if err := t.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if exec {
		mode = 0o755
	}
	f, err := t.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, t.left+1))
	t.left -= n
	if t.left < 0 {
		err = fmt.Errorf("unpack %s: tree is larger than %d bytes", name, int64(maxTreeBytes))
	}
	// The mode again: the umask had its say at creation.
	return errors.Join(err, f.Chmod(mode), f.Close(), t.root.Chtimes(name, treeTime, treeTime))
}

// close gives all folders their mode and time.
func (t *tree) close() error {
	err := fs.WalkDir(t.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return errors.Join(t.root.Chmod(name, 0o755), t.root.Chtimes(name, treeTime, treeTime))
	})
	return errors.Join(err, t.root.Close())
}

// keepPacked makes a tree of the archive itself.
func keepPacked(archive, name, dir string) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := newTree(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return t.put(name, false, f)
}

// unpackModule unpacks the zip file of a Go toolchain module. Module zips
// carry no modes: as the go command does, we make the commands executable.
func unpackModule(archive, prefix, dir string) (err error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer z.Close()
	t, err := newTree(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			return fmt.Errorf("unpack %s: want all files below %s, got %s", archive, prefix, f.Name)
		}
		if err := putZipped(t, name, f); err != nil {
			return err
		}
	}
	return nil
}

func putZipped(t *tree, name string, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", f.Name, err)
	}
	defer r.Close()
	exec := strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/")
	return t.put(name, exec, r)
}

// unpackNPM unpacks a package's tarball. Its files lie below one folder,
// whose name does not matter ("package" nearly always).
func unpackNPM(archive, dir string) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	t, err := newTree(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", archive, err)
		}
		_, name, ok := strings.Cut(h.Name, "/")
		switch {
		case h.Typeflag == tar.TypeDir:
			continue // folders come with their files
		case h.Typeflag != tar.TypeReg || !ok:
			return fmt.Errorf("unpack %s: want a regular file below a folder, got %q of type %q", archive, h.Name, h.Typeflag)
		}
		if err := t.put(name, h.Mode&0o111 != 0, r); err != nil {
			return err
		}
	}
}
