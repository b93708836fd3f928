package corpus

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

func TestReleasesArePinned(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Releases() {
		if seen[r.String()] {
			t.Errorf("%s occurs twice", r)
		}
		seen[r.String()] = true
		if _, err := manifest.ParseDigest(r.Tree); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		if got, err := Find(r.String()); err != nil || got != r {
			t.Errorf("find %s: got %v, %v", r, got, err)
		}
	}
	if _, err := Find("go@0.0.0"); err == nil || !strings.Contains(err.Error(), "go@1.26.8") {
		t.Errorf("find what is not there: want an error that names the releases, got %v", err)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv(EnvCache, "/env")
	for flag, want := range map[string]string{"/flag": "/flag", "": "/env"} {
		want, err := filepath.Abs(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := CacheDir(flag); err != nil || got != want {
			t.Errorf("flag %q: want %s, got %s, %v", flag, want, got, err)
		}
	}
}

// sow writes a small tree. A path that ends in a slash is a folder.
func sow(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		folder, isDir := filepath.Dir(path), strings.HasSuffix(name, "/")
		if isDir {
			folder = path
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if isDir {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func digest(t *testing.T, dir string) Tree {
	t.Helper()
	tree, err := TreeDigest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Whatever a tool may get wrong must change the digest.
func TestTreeDigestSeesEveryChange(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no executable bit")
	}
	base := map[string]string{"a/one": "1", "a/two": "2", "b/": ""}
	changes := map[string]func(dir string) error{
		"content":         func(d string) error { return os.WriteFile(filepath.Join(d, "a/one"), []byte("x"), 0o644) },
		"executable":      func(d string) error { return os.Chmod(filepath.Join(d, "a/one"), 0o755) },
		"renamed":         func(d string) error { return os.Rename(filepath.Join(d, "a/one"), filepath.Join(d, "a/on")) },
		"removed":         func(d string) error { return os.Remove(filepath.Join(d, "a/one")) },
		"empty folder":    func(d string) error { return os.Remove(filepath.Join(d, "b")) },
		"added":           func(d string) error { return os.WriteFile(filepath.Join(d, "b/three"), nil, 0o644) },
		"symlink":         func(d string) error { return os.Symlink("one", filepath.Join(d, "a/link")) },
		"dangling link":   func(d string) error { return os.Symlink("nowhere", filepath.Join(d, "a/link")) },
		"nested state":    func(d string) error { return os.MkdirAll(filepath.Join(d, "a", stateDir), 0o755) },
		"swapped content": func(d string) error { sow(t, d, map[string]string{"a/one": "2", "a/two": "1"}); return nil },
	}
	seen := map[manifest.Digest]string{}
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(changes))...) {
		dir := t.TempDir()
		sow(t, dir, base)
		if change := changes[name]; change != nil {
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
		}
		d := digest(t, dir).Digest
		if other, dup := seen[d]; dup {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[d] = name
	}
}

func TestTreeDigestLeavesOutTheState(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	sow(t, a, map[string]string{"x": "1", "d/y": "22"})
	sow(t, b, map[string]string{"x": "1", "d/y": "22", stateDir + "/journal": "3"})
	ta, tb := digest(t, a), digest(t, b)
	if ta.Digest != tb.Digest || ta.Bytes != 3 || !maps.Equal(ta.Files, tb.Files) {
		t.Errorf("want the state folder left out: got %+v and %+v", ta, tb)
	}
	want := map[string]manifest.Digest{"x": manifest.Sum([]byte("1")), "d/y": manifest.Sum([]byte("22"))}
	if !maps.Equal(ta.Files, want) {
		t.Errorf("files: want %v, got %v", want, ta.Files)
	}
	if _, err := TreeDigest(filepath.Join(a, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("tree that is not there: got %v", err)
	}
}

// member is one entry of a test archive.
type member struct {
	name, content string
	mode          int64
	kind          byte
}

func tarball(t *testing.T, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: m.mode, Typeflag: m.kind, Linkname: m.content}
		if m.kind == tar.TypeReg {
			h.Size, h.Linkname = int64(len(m.content)), ""
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if m.kind == tar.TypeReg {
			fmt.Fprint(w, m.content)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipfile(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "content of "+filepath.Base(name))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkFile(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != content || !info.ModTime().Equal(treeTime) {
		t.Errorf("%s: want %q of %v, got %q of %v", path, content, treeTime, b, info.ModTime())
	}
	if runtime.GOOS != "windows" && info.Mode() != mode {
		t.Errorf("%s: want mode %v, got %v", path, mode, info.Mode())
	}
}

func TestUnpackModule(t *testing.T) {
	archive := write(t, "m.zip", zipfile(t, "m@v1/bin/go", "m@v1/pkg/tool/x/vet", "m@v1/src/bin/go"))
	dir := filepath.Join(t.TempDir(), "tree")
	if err := unpackModule(archive, "m@v1/", dir); err != nil {
		t.Fatal(err)
	}
	checkFile(t, filepath.Join(dir, "bin/go"), "content of go", 0o755)
	checkFile(t, filepath.Join(dir, "pkg/tool/x/vet"), "content of vet", 0o755)
	checkFile(t, filepath.Join(dir, "src/bin/go"), "content of go", 0o644)
	if err := unpackModule(archive, "other@v1/", filepath.Join(t.TempDir(), "tree")); err == nil {
		t.Error("another module's zip: want an error")
	}
}

func TestUnpackNPM(t *testing.T) {
	archive := write(t, "p.tgz", tarball(t,
		member{"package/", "", 0o777, tar.TypeDir},
		member{"package/bin/run", "#!", 0o711, tar.TypeReg},
		member{"package/readme", "hello", 0o600, tar.TypeReg}))
	dir := filepath.Join(t.TempDir(), "tree")
	if err := unpackNPM(archive, dir); err != nil {
		t.Fatal(err)
	}
	checkFile(t, filepath.Join(dir, "bin/run"), "#!", 0o755)
	checkFile(t, filepath.Join(dir, "readme"), "hello", 0o644)
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	file := func(name string) member { return member{name, "x", 0o644, tar.TypeReg} }
	for name, members := range map[string][]member{
		"parent":        {file("package/../../out")},
		"deep parent":   {file("package/a/../../../out")},
		"absolute":      {file("package//etc/out")},
		"no folder":     {file("out")},
		"twice":         {file("package/a"), file("package/a")},
		"file as dir":   {file("package/a"), file("package/a/b")},
		"symlink":       {{"package/a", "/etc", 0o777, tar.TypeSymlink}},
		"hard link":     {{"package/a", "package/b", 0o644, tar.TypeLink}},
		"device":        {{"package/a", "", 0o644, tar.TypeChar}},
		"the dir alone": {file("package/.")},
	} {
		parent := t.TempDir()
		if err := unpackNPM(write(t, "p.tgz", tarball(t, members...)), filepath.Join(parent, "tree")); err == nil {
			t.Errorf("%s: want an error", name)
		}
		if _, err := os.Lstat(filepath.Join(parent, "out")); err == nil {
			t.Errorf("%s: wrote outside the tree", name)
		}
	}
	for name, b := range map[string][]byte{"no gzip": []byte("hello"), "cut": tarball(t, file("package/a"))[:20]} {
		if err := unpackNPM(write(t, "p.tgz", b), filepath.Join(t.TempDir(), "tree")); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	for _, name := range []string{"m@v1/../out", "m@v1//etc/out"} {
		if err := unpackModule(write(t, "m.zip", zipfile(t, name)), "m@v1/", filepath.Join(t.TempDir(), "tree")); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestUnpackIsBounded(t *testing.T) {
	tree, err := newTree(filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	tree.left = 10
	if err := tree.put("a", false, strings.NewReader("0123456789")); err != nil {
		t.Errorf("ten bytes of ten: %v", err)
	}
	if err := tree.put("b", false, strings.NewReader("0")); err == nil {
		t.Error("one byte more: want an error")
	}
	if err := tree.close(); err != nil {
		t.Error(err)
	}
}

// fakeNPM puts a program named npm on the path that knows one package. The
// real one needs a network, which tests have not.
func fakeNPM(t *testing.T, tgz []byte, answer string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncp %q p-1.0.0.tgz\necho '%s'\n", write(t, "p.tgz", tgz), answer)
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestFetch(t *testing.T) {
	fakeNPM(t, tarball(t, member{"package/a", "hello", 0o644, tar.TypeReg}), `[{"filename":"p-1.0.0.tgz"}]`)
	model := t.TempDir()
	sow(t, model, map[string]string{"a": "hello"})
	r := npm("p", "p", "1.0.0", digest(t, model).Digest.String())
	cache := t.TempDir()
	if _, err := Check(cache, r); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before: got %v", err)
	}
	for _, step := range []struct {
		name   string
		before func() error
		want   bool
	}{
		{"first", func() error { return nil }, true},
		{"again", func() error { return nil }, false},
		{"damaged", func() error { return os.WriteFile(filepath.Join(r.Dir(cache), "a"), []byte("hellO"), 0o644) }, true},
		{"interrupted", func() error {
			return errors.Join(os.RemoveAll(r.Dir(cache)), os.MkdirAll(r.Dir(cache)+".part/junk", 0o755))
		}, true},
	} {
		if err := step.before(); err != nil {
			t.Fatal(err)
		}
		tree, fetched, err := Fetch(t.Context(), cache, r)
		if err != nil || fetched != step.want || tree.Digest.String() != r.Tree {
			t.Errorf("%s: want fetched %v, got %v, %v", step.name, step.want, fetched, err)
		}
		if _, err := Check(cache, r); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	r.Tree = strings.Repeat("0", 64)
	r.Name = "other"
	if _, _, err := Fetch(t.Context(), cache, r); !errors.Is(err, ErrDigest) {
		t.Errorf("other bytes than pinned: got %v", err)
	}
	if _, err := os.Lstat(r.Dir(cache)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tree with the wrong digest must not get its name: %v", err)
	}
}

// A packed release is the archive, byte for byte.
func TestFetchPacked(t *testing.T) {
	tgz := tarball(t, member{"package/a", "hello", 0o644, tar.TypeReg})
	fakeNPM(t, tgz, `[{"filename":"p-1.0.0.tgz"}]`)
	model := t.TempDir()
	sow(t, model, map[string]string{"p.tgz": string(tgz)})
	r := packed("p.tgz", npm("p", "p", "1.0.0", digest(t, model).Digest.String()))
	cache := t.TempDir()
	if _, fetched, err := Fetch(t.Context(), cache, r); err != nil || !fetched {
		t.Fatalf("got %v, %v", fetched, err)
	}
	checkFile(t, filepath.Join(r.Dir(cache), "p.tgz"), string(tgz), 0o644)
}

func TestFetchReportsClients(t *testing.T) {
	for _, answer := range []string{``, `[]`, `[{"filename":"../p.tgz"}]`, `{}`, `[{"filename":"missing.tgz"}]`} {
		fakeNPM(t, nil, answer)
		if _, _, err := Fetch(t.Context(), t.TempDir(), npm("p", "p", "1.0.0", "")); err == nil {
			t.Errorf("npm answers %q: want an error", answer)
		}
	}
	if _, _, err := Fetch(t.Context(), t.TempDir(), Release{Name: "p", Version: "1", Client: "pip"}); err == nil {
		t.Error("unknown client: want an error")
	}
}
