package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/manifest"
)

// codec is a pair of command lines that turn two files into a delta, and a
// delta back into the new file. In the arguments {old}, {new}, {delta} and
// {out} stand for paths, and {bin} for the folder of our own commands.
type codec struct {
	diff, patch []string
}

func fullCodec() codec { // no delta at all: what the others save is measured from here
	return codec{
		diff:  []string{"zstd", "-q", "-19", "{new}", "-o", "{delta}"},
		patch: []string{"zstd", "-q", "-d", "{delta}", "-o", "{out}"},
	}
}

func bsdiffCodec() codec {
	return codec{
		diff:  []string{"bsdiff", "{old}", "{new}", "{delta}"},
		patch: []string{"bspatch", "{old}", "{out}", "{delta}"},
	}
}

// xdeltaCodec gives xdelta3 a window of 512 MiB on the old file, its own 64
// MiB would lose the far end of the large ones, and all the instructions that
// it wants: with its default of 32,768 they run out and compile takes 2.4 MB.
func xdeltaCodec() codec {
	return codec{
		diff:  []string{"xdelta3", "-e", "-9", "-S", "lzma", "-I", "0", "-B", "536870912", "-s", "{old}", "{new}", "{delta}"},
		patch: []string{"xdelta3", "-d", "-B", "536870912", "-s", "{old}", "{delta}", "{out}"},
	}
}

// patchFromCodec raises zstd's window to the size of the old file: 2 GiB is
// its limit on 64-bit machines.
func patchFromCodec() codec {
	return codec{
		diff:  []string{"zstd", "-q", "-19", "--long=31", "--patch-from={old}", "{new}", "-o", "{delta}"},
		patch: []string{"zstd", "-q", "-d", "--long=31", "--patch-from={old}", "{delta}", "-o", "{out}"},
	}
}

func oursCodec(level string) codec {
	return codec{
		diff:  []string{"{bin}/mkrelease", "diff", "--level", level, "{old}", "{new}", "-o", "{delta}"},
		patch: []string{"{bin}/applyrelease", "patch", "{old}", "{delta}", "-o", "{out}"},
	}
}

// expand puts paths into a command line.
func expand(args []string, bin, old, new, delta, out string) []string {
	r := strings.NewReplacer("{bin}", bin, "{old}", old, "{new}", new, "{delta}", delta, "{out}", out)
	all := make([]string, len(args))
	for i, a := range args {
		all[i] = r.Replace(a)
	}
	return all
}

// measured is what one tool gives for one pair, once the result was compared.
type measured struct {
	Bytes       int64
	Diff, Patch measure.Cost
}

// plus adds up files that are handled one by one.
func (m measured) plus(o measured) measured {
	return measured{m.Bytes + o.Bytes, m.Diff.Add(o.Diff), m.Patch.Add(o.Patch)}
}

// deltaFile makes a delta from old to new in the folder work, applies it to
// old, and compares the result with the digest of new.
func (c codec) deltaFile(ctx context.Context, work, bin, old, new string, want manifest.Digest) (m measured, err error) {
	delta, out := filepath.Join(work, "delta"), filepath.Join(work, "out")
	defer os.Remove(delta)
	defer os.Remove(out)
	if m, err = c.delta(ctx, bin, old, new, delta, out); err != nil {
		return m, err
	}
	got, err := fileDigest(out)
	if err == nil && got != want {
		err = fmt.Errorf("patch %s: got a wrong file", old)
	}
	return m, err
}

// delta runs the two commands. It does not look at the result.
func (c codec) delta(ctx context.Context, bin, old, new, delta, out string) (m measured, err error) {
	if m.Diff, _, err = measure.Run(ctx, measure.Command{Argv: expand(c.diff, bin, old, new, delta, out)}); err != nil {
		return m, err
	}
	info, err := os.Stat(delta)
	if err != nil {
		return m, err
	}
	m.Bytes = info.Size()
	m.Patch, _, err = measure.Run(ctx, measure.Command{Argv: expand(c.patch, bin, old, new, delta, out)})
	return m, err
}

func fileDigest(path string) (manifest.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return manifest.Digest{}, err
	}
	defer f.Close()
	d, _, err := manifest.SumReader(f)
	return d, err
}
