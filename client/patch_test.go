package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
)

// patchTrees holds all that a tree may hold, and every way in which it may
// change.
func patchTrees() (old, new treetest.Tree) {
	long := strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 400)
	old = treetest.Tree{
		"bin/app":       treetest.Exec(long + "version 1\n"),
		"bin/a":         treetest.File("A"),
		"bin/b":         treetest.File("B"),
		"doc/same":      treetest.File(long),
		"doc/twin":      treetest.File(long),
		"doc/gone":      treetest.File("gone"),
		"was/file":      treetest.File("now a folder"),
		"mode":          treetest.File("mode"),
		"link":          treetest.Symlink("bin/a"),
		"empty":         treetest.Dir(0o755),
		"closed":        treetest.Dir(0o700),
		"Case/Name.txt": treetest.File("case"),
	}
	new = treetest.Tree{
		"bin/app":        treetest.Exec(long + "version 2\n"),
		"bin/a":          treetest.File("B"),
		"bin/b":          treetest.File("A"),
		"doc/same":       treetest.File(long),
		"doc/moved/twin": treetest.File(long),
		"was/file/inner": treetest.File(""),
		"was/other":      treetest.File(""),
		"mode":           {Mode: 0o600, Content: "mode"},
		"link":           treetest.Symlink("doc/moved/twin"),
		"latest":         treetest.Symlink("bin"),
		"empty2":         treetest.Dir(0o755),
		"sealed":         treetest.Dir(0o555),
		"sealed/file":    {Mode: 0o444, Content: long + long},
		"sealed/copy":    {Mode: 0o644, Content: long + long},
		"case/name.txt":  treetest.File("case"),
		"ünïcode/☃":      treetest.File("snow"),
	}
	if os.Geteuid() == 0 { // others cannot read what they scan
		new["write/only"] = treetest.Entry{Mode: 0o200, Content: long + "secret"}
		new["write/again"] = treetest.Entry{Mode: 0o020, Content: long + "secret"}
	}
	return old, new
}

// diffTrees writes both trees and the delta, and returns their paths.
func diffTrees(t *testing.T, old, new treetest.Tree, o delta.Options) (oldDir, deltaPath, newDir string) {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { openUp(dir) })
	oldDir, newDir, deltaPath = filepath.Join(dir, "old"), filepath.Join(dir, "new"), filepath.Join(dir, "delta")
	old.Write(t, oldDir)
	new.Write(t, newDir)
	var b bytes.Buffer
	if _, err := publisher.DiffTrees(t.Context(), &b, oldDir, newDir, o); err != nil {
		t.Fatal(err)
	}
	writeFile(t, deltaPath, b.Bytes())
	return oldDir, deltaPath, filepath.Join(dir, "out", "made")
}

// openUp lets the clean-up of a test remove folders that may not be written.
func openUp(dir string) {
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
}

func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPatchTree(t *testing.T) {
	a, b := patchTrees()
	cases := []struct {
		name     string
		old, new treetest.Tree
		o        delta.Options
	}{
		{"all kinds of changes", a, b, delta.Options{}},
		{"and back", b, a, delta.Options{}},
		{"bsdiff40", a, b, delta.Options{Codec: delta.BSDIFF40}},
		{"nothing changes", a, a, delta.Options{}},
		{"from nothing", treetest.Tree{}, a, delta.Options{}},
		{"to nothing", a, treetest.Tree{}, delta.Options{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			oldDir, deltaPath, made := diffTrees(t, c.old, c.new, c.o)
			for _, there := range []bool{false, true} { // newDir is missing, then empty
				if err := os.RemoveAll(filepath.Dir(made)); err != nil && !there {
					t.Fatal(err)
				}
				target := filepath.Join(filepath.Dir(made), fmt.Sprint(there))
				if err := os.MkdirAll(map[bool]string{false: filepath.Dir(target), true: target}[there], 0o755); err != nil {
					t.Fatal(err)
				}
				if err := client.PatchTree(t.Context(), oldDir, deltaPath, target); err != nil {
					t.Fatal(err)
				}
				if diff := treetest.Diff(c.new, treetest.Read(t, target)); diff != "" {
					t.Error(diff)
				}
				openUp(target)
			}
			if diff := treetest.Diff(c.old, treetest.Read(t, oldDir)); diff != "" {
				t.Errorf("the old tree changed: %s", diff)
			}
		})
	}
}

// refused runs a patch that must fail and leave nothing.
func refused(t *testing.T, oldDir, deltaPath, made, want string) {
	t.Helper()
	dir := filepath.Dir(made)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	before := treetest.Read(t, dir)
	err := client.PatchTree(t.Context(), oldDir, deltaPath, made)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want an error with %q, got %v", want, err)
	}
	if diff := treetest.Diff(before, treetest.Read(t, dir)); diff != "" {
		t.Errorf("something is left behind: %s", diff)
	}
}

func TestPatchTreeRefuses(t *testing.T) {
	treetest.NotRacing(t)
	a, b := patchTrees()
	oldDir, deltaPath, made := diffTrees(t, a, b, delta.Options{})
	good, err := os.ReadFile(deltaPath)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, b []byte) string {
		p := filepath.Join(filepath.Dir(deltaPath), name)
		writeFile(t, p, b)
		return p
	}
	t.Run("another old tree", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		a.Clone(func(x treetest.Tree) { x["bin/app"] = treetest.Exec("something else") }).Write(t, other)
		refused(t, other, deltaPath, made, "not the tree that the delta starts from")
	})
	t.Run("no delta", func(t *testing.T) {
		refused(t, oldDir, with("none", []byte("hello")), made, "read head")
	})
	t.Run("empty delta", func(t *testing.T) { refused(t, oldDir, with("empty", nil), made, "") })
	t.Run("cut off", func(t *testing.T) {
		refused(t, oldDir, with("short", good[:len(good)-1]), made, "want a delta of")
	})
	t.Run("too long", func(t *testing.T) {
		refused(t, oldDir, with("long", append(bytes.Clone(good), 0)), made, "want a delta of")
	})
	t.Run("each byte flipped", func(t *testing.T) {
		harmless := 0
		for at := 0; at < len(good); at += 1 + len(good)/200 {
			bad := bytes.Clone(good)
			bad[at] ^= 0x20
			// The head may name old content that nothing is made from.
			if client.PatchTree(t.Context(), oldDir, with("bad", bad), made) != nil {
				refused(t, oldDir, with("bad", bad), made, "patch ")
				continue
			}
			harmless++
			if diff := treetest.Diff(b, treetest.Read(t, made)); diff != "" {
				t.Fatalf("byte %d flipped: a wrong tree: %s", at, diff)
			}
			openUp(made)
			os.RemoveAll(made)
		}
		if harmless > 100 {
			t.Errorf("%d flips did no harm: what was tested?", harmless)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := client.PatchTree(ctx, oldDir, deltaPath, made); err == nil {
			t.Error("want an error")
		}
	})
}

// TestPatchTreeKeepsWhatIsThere wants its new folder missing or empty.
func TestPatchTreeKeepsWhatIsThere(t *testing.T) {
	a, b := patchTrees()
	oldDir, deltaPath, made := diffTrees(t, a, b, delta.Options{})
	t.Run("new folder not empty", func(t *testing.T) {
		writeFile(t, filepath.Join(made, "mine"), []byte("mine"))
		refused(t, oldDir, deltaPath, made, "is not empty")
		os.RemoveAll(made)
	})
	t.Run("new folder is a file", func(t *testing.T) {
		writeFile(t, made, []byte("mine"))
		refused(t, oldDir, deltaPath, made, "is there already")
		os.RemoveAll(made)
	})
}

// TestPatchTreeHostile takes well-formed packs whose manifest or content is
// not what it should be.
func TestPatchTreeHostile(t *testing.T) {
	blob := func(b []byte, alone bool) delta.Blob {
		return delta.Blob{Name: "x", Ref: delta.Ref{Digest: manifest.Sum(b), Size: int64(len(b))}, Alone: alone,
			Open: func() (delta.File, error) { return inMemory{bytes.NewReader(b)}, nil }}
	}
	encode := func(entries ...manifest.Entry) []byte {
		b, err := (&manifest.Manifest{Release: manifest.TreeFacts(), Entries: entries}).Canonical()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file := func(p, content string) manifest.Entry {
		return manifest.Entry{Path: p, Mode: 0o644, Size: int64(len(content)), Digest: manifest.Sum([]byte(content))}
	}
	// The path is of the same length, so that only the tree's digest is to
	// be mended.
	escape := bytes.ReplaceAll(encode(file("xx/evil", "evil")), []byte("xx/evil"), []byte("../evil"))
	mend(t, escape)
	cases := []struct {
		name string
		new  []delta.Blob
		want string
	}{
		{"no manifest", []delta.Blob{blob([]byte("hello, this is not it"), true)}, "not a manifest"},
		{"two blobs in the first frame", []delta.Blob{blob([]byte("one"), false), blob([]byte("two"), false)}, "not a delta of two trees"},
		{"content missing", []delta.Blob{blob(encode(file("a", "a")), true)}, "make a: neither"},
		{"path leads out", []delta.Blob{blob(escape, true), blob([]byte("evil"), false)}, "not a clean relative path"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			treetest.Tree{"f": treetest.File("old")}.Write(t, filepath.Join(dir, "old"))
			var b bytes.Buffer
			if _, err := delta.WritePack(t.Context(), &b, nil, c.new, delta.Options{}); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(dir, "delta"), b.Bytes())
			refused(t, filepath.Join(dir, "old"), filepath.Join(dir, "delta"), filepath.Join(dir, "out", "new"), c.want)
		})
	}
}

// mend puts the right tree digest at the end of a changed encoding.
func mend(t *testing.T, canonical []byte) {
	t.Helper()
	rest, ok := bytes.CutPrefix(canonical, []byte("treegraft manifest 1\n"))
	n, used := binary.Uvarint(rest)
	if !ok || used <= 0 {
		t.Fatal("not a manifest")
	}
	entries := rest[used+int(n) : len(rest)-32]
	sum := manifest.Sum(entries)
	copy(rest[len(rest)-32:], sum[:])
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
