package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// What the program does as its own child, so that one process does one thing
// and its cost is the library's.
const (
	diffRole  = "diff"  // old new delta level memory
	patchRole = "patch" // old delta new
)

// child does what a child is asked for; is says whether this is one.
func child(ctx context.Context, args []string) (is bool, err error) {
	switch {
	case len(args) == 6 && args[0] == diffRole:
		return true, diffChild(ctx, args[1], args[2], args[3], args[4], args[5])
	case len(args) == 4 && args[0] == patchRole:
		return true, patchChild(ctx, args[1], args[2], args[3])
	}
	return false, nil
}

func diffChild(ctx context.Context, oldName, newName, deltaName, level, memory string) (err error) {
	var o delta.Options
	if level == fast {
		o.Level = delta.Fast
	}
	if o.Memory, err = strconv.ParseInt(memory, 10, 64); err != nil {
		return err
	}
	debug.SetMemoryLimit(o.Memory) // as mkrelease does
	old, err := blob(oldName)
	if err != nil {
		return err
	}
	new, err := blob(newName)
	if err != nil {
		return err
	}
	f, err := os.Create(deltaName)
	if err != nil {
		return err
	}
	_, err = delta.WritePack(ctx, f, []delta.Blob{old}, []delta.Blob{new}, o)
	return errors.Join(err, f.Close())
}

func patchChild(ctx context.Context, oldName, deltaName, newName string) error {
	var in [2]*io.SectionReader
	for i, name := range []string{oldName, deltaName} {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		in[i] = io.NewSectionReader(f, 0, info.Size())
	}
	out, err := os.Create(newName)
	if err != nil {
		return err
	}
	return errors.Join(delta.PatchFile(ctx, out, in[0], in[1]), out.Close())
}

func blob(name string) (b delta.Blob, err error) {
	f, err := os.Open(name)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b.Name = name
	b.Open = func() (delta.File, error) { return os.Open(name) }
	if b.Digest, b.Size, err = manifest.SumReader(f); err != nil {
		err = fmt.Errorf("hash %s: %w", name, err)
	}
	return b, err
}
