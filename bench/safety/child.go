package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// childArg makes this program a child, which does one job and tells what it
// took.
const childArg = "-child"

// What a child can do.
const (
	doCommit   = "commit"
	doRollback = "rollback"
	doFloor    = "floor"
)

// job is what a child is to do.
type job struct {
	Do       string
	Root     string            // the tree, or the folder for a floor
	Strategy atomicfs.Strategy // of commit and rollback
	Unsynced bool              // the kernel is to do no syncs
	Sync     string            // of a floor: "each" file, "all" at once, or nothing
	List     string            // file with the changes
	Content  string            // folder with the new content
}

func child(ctx context.Context, args []string) error {
	var j job
	if len(args) != 2 {
		return fmt.Errorf("child: want one job, got %d arguments", len(args))
	}
	if err := json.Unmarshal([]byte(args[1]), &j); err != nil {
		return err
	}
	b, err := os.ReadFile(j.List)
	if err != nil {
		return err
	}
	var list []atomicfs.Change
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if j.Unsynced {
		if err := skipSyncs(); err != nil {
			return fmt.Errorf("have syncs skipped: %w", err)
		}
	}
	s, err := j.do(ctx, list)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(s))
}

func (j job) do(ctx context.Context, list []atomicfs.Change) (s spent, err error) {
	start := time.Now()
	if j.Do == doFloor {
		err = j.floor(list)
		s.Wall = time.Since(start)
		return s, err
	}
	tree, err := atomicfs.Open(j.Root, atomicfs.Options{Strategy: j.Strategy})
	if err != nil {
		return s, err
	}
	defer tree.Close()
	if j.Do == doRollback {
		_, err := tree.Rollback(ctx, atomicfs.CommitOptions{})
		return s, err
	}
	stage, err := tree.Stage("benchmark")
	if err != nil {
		return s, err
	}
	defer stage.Discard()
	if err := j.each(list, func(_ int, c *atomicfs.Change, content *os.File) error { return stageOne(stage, c, content) }); err != nil {
		return s, err
	}
	staged := time.Now()
	res, err := stage.Commit(ctx, list, atomicfs.CommitOptions{})
	s.Wall, s.Commit = time.Since(start), time.Since(staged)
	return s, errors.Join(err, res.Fallback)
}

// each calls do with every new content, several at a time.
func (j job) each(list []atomicfs.Change, do func(i int, c *atomicfs.Change, content *os.File) error) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range list {
		c := &list[i]
		if c.New == nil {
			continue
		}
		g.Go(func() error {
			f, err := os.Open(filepath.Join(j.Content, filepath.FromSlash(c.Path)))
			if err != nil {
				return err
			}
			defer f.Close()
			return do(i, c, f)
		})
	}
	return g.Wait()
}

func stageOne(stage *atomicfs.Stage, c *atomicfs.Change, content io.Reader) error {
	f, err := stage.Create(c.Path, *c.New)
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := io.Copy(writerOnly{f}, content); err != nil {
		return err
	}
	return f.Commit()
}

// floor writes the new contents to files in one folder.
func (j job) floor(list []atomicfs.Change) error {
	if err := os.Mkdir(j.Root, 0o755); err != nil {
		return err
	}
	err := j.each(list, func(i int, _ *atomicfs.Change, content *os.File) error {
		f, err := os.Create(filepath.Join(j.Root, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		_, err = io.Copy(writerOnly{f}, content)
		if err == nil && j.Sync == "each" {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	})
	if err != nil || j.Sync == "" {
		return err
	}
	dir, err := os.Open(j.Root)
	if err != nil {
		return err
	}
	defer dir.Close()
	if j.Sync == "all" {
		return syncAll(dir)
	}
	return dir.Sync()
}

// writerOnly hides that a file can have the kernel copy, which on some disks
// shares blocks in place of writing them.
type writerOnly struct{ io.Writer }
