package atomicfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/zeebo/blake3"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// A program replaces a file and makes another, both or neither, and goes back.
func Example() {
	ctx := context.Background()
	root, err := os.MkdirTemp("", "tree")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	files := map[string]string{"app": "hello\n"}
	if err := os.WriteFile(filepath.Join(root, "app"), []byte(files["app"]), 0o644); err != nil {
		log.Fatal(err)
	}

	tree, err := atomicfs.Open(root, atomicfs.Options{}) // locks it, and recovers what a crash left
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Close()
	stage, err := tree.Stage("1.1.0")
	if err != nil {
		log.Fatal(err)
	}
	defer stage.Discard()
	var changes []atomicfs.Change
	for path, content := range map[string]string{"app": "hello, world\n", "help": "Just run it.\n"} {
		new := node(content)
		if err := write(stage, path, new, content); err != nil {
			log.Fatal(err)
		}
		change := atomicfs.Change{Path: path, New: new}
		if old, ok := files[path]; ok {
			change.Old = node(old) // anything else there is drift, and stops the commit
		}
		changes = append(changes, change)
	}
	result, err := stage.Commit(ctx, changes, atomicfs.CommitOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Changed, "changed:")
	show(root)
	if _, err := tree.Rollback(ctx, atomicfs.CommitOptions{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("rolled back:")
	show(root)
	// Output:
	// 2 changed:
	// app: hello, world
	// help: Just run it.
	// rolled back:
	// app: hello
}

func node(content string) *atomicfs.Node {
	return &atomicfs.Node{Kind: atomicfs.File, Mode: 0o644, Size: int64(len(content)), Digest: blake3.Sum256([]byte(content))}
}

func write(stage *atomicfs.Stage, path string, n *atomicfs.Node, content string) error {
	f, err := stage.Create(path, *n)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write([]byte(content)); err != nil {
		return err
	}
	return f.Commit() // fails unless size and digest are as declared
}

func show(root string) {
	fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if path == atomicfs.StateDir {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			b, _ := os.ReadFile(filepath.Join(root, path))
			fmt.Printf("%s: %s", path, b)
		}
		return err
	})
}
