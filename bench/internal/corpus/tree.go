package corpus

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/manifest"
)

// stateDir is where a client keeps its records inside an install tree. It is
// no part of the release.
const stateDir = ".treegraft"

// Tree is what one walk found.
type Tree struct {
	Digest manifest.Digest            // of all entries: path, kind, executable or not, content
	Files  map[string]manifest.Digest // regular files by slash path
	Bytes  int64                      // sum of the sizes of the regular files
}

// TreeDigest walks dir and hashes every file in it. It is the benchmarks' own
// judge of "same tree" and shares nothing with the packages under test but
// the hash function. A client's state folder is left out.
func TreeDigest(dir string) (Tree, error) {
	t := Tree{Files: map[string]manifest.Digest{}}
	h := manifest.NewHash()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == "." {
			return err
		}
		if rel == stateDir && e.IsDir() {
			return filepath.SkipDir
		}
		line, err := t.entry(path, filepath.ToSlash(rel), e)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s\n", line)
		return nil
	})
	if err != nil {
		return Tree{}, fmt.Errorf("hash tree %s: %w", dir, err)
	}
	t.Digest = manifest.SumOf(h)
	return t, nil
}

// entry returns the line that stands for one entry in the tree's digest.
// Paths and link targets are quoted, so no two trees give the same lines.
func (t *Tree) entry(path, rel string, e fs.DirEntry) (string, error) {
	switch e.Type() {
	case fs.ModeDir:
		return fmt.Sprintf("dir %q", rel), nil
	case fs.ModeSymlink:
		to, err := os.Readlink(path)
		return fmt.Sprintf("link %q %q", rel, to), err
	case 0:
		info, err := e.Info()
		if err != nil {
			return "", err
		}
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		sum, n, err := manifest.SumReader(f)
		if err != nil {
			return "", err
		}
		t.Files[rel] = sum
		t.Bytes += n
		return fmt.Sprintf("file %q %v %v", rel, info.Mode()&0o100 != 0, sum), nil
	}
	return "", fmt.Errorf("hash %s: want file, folder or symlink, got %v", rel, e.Type())
}
