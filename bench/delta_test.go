package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
)

// sample is one old and one new file.
type sample struct {
	name     string
	old, new []byte
}

// samples returns what diff and patch run over: a program made here, and real
// ones where the corpus is fetched.
func samples(tb testing.TB) []sample {
	tb.Helper()
	old, new := program(8 << 20)
	all := []sample{{"generated", old, new}}
	cache := os.Getenv(corpus.EnvCache)
	if cache == "" {
		cache = filepath.Base(corpus.DefaultCache) // beside this file
	}
	for _, real := range []struct{ name, old, new, file string }{
		{"esbuild", "esbuild@0.28.1", "esbuild@0.28.2", "bin/esbuild"},
		{"playwright-js", "playwright-core@1.64.1", "playwright-core@1.65.1", "lib/coreBundle.js"},
	} {
		old, err := readRelease(cache, real.old, real.file)
		if err != nil {
			tb.Logf("%s left out: %v", real.name, err)
			continue
		}
		new, err := readRelease(cache, real.new, real.file)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, sample{real.name, old, new})
	}
	return all
}

func readRelease(cache, id, file string) ([]byte, error) {
	r, err := corpus.Find(id)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(r.Dir(cache), file))
}

// memory is a file that is held in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func blob(b []byte) delta.Blob {
	return delta.Blob{
		Name: "file",
		Ref:  ref(b),
		Open: func() (delta.File, error) { return memory{bytes.NewReader(b)}, nil },
	}
}

func ref(b []byte) delta.Ref { return delta.Ref{Digest: manifest.Sum(b), Size: int64(len(b))} }

// levels are the two that a publisher can choose.
func levels() []delta.Level { return []delta.Level{delta.Small, delta.Fast} }

// benchName names a benchmark of a sample at a level.
func benchName(s sample, l delta.Level) string {
	if l == delta.Fast {
		return s.name + "/fast"
	}
	return s.name + "/small"
}

// diff writes the pack that makes the sample's new file.
func diff(ctx context.Context, w io.Writer, s sample, l delta.Level) (*delta.Report, error) {
	return delta.WritePack(ctx, w, []delta.Blob{blob(s.old)}, []delta.Blob{blob(s.new)}, delta.Options{Level: l})
}

// BenchmarkDiff makes packs of one file and reports how large they are.
func BenchmarkDiff(b *testing.B) {
	for _, s := range samples(b) {
		for _, level := range levels() {
			b.Run(benchName(s, level), func(b *testing.B) {
				b.SetBytes(int64(len(s.new)))
				var size int64
				for b.Loop() {
					r, err := diff(b.Context(), io.Discard, s, level)
					if err != nil {
						b.Fatal(err)
					}
					size = r.Size
				}
				b.ReportMetric(float64(size), "delta-bytes")
			})
		}
	}
}

// BenchmarkPatch applies the same packs.
func BenchmarkPatch(b *testing.B) {
	for _, s := range samples(b) {
		want := ref(s.new)
		for _, level := range levels() {
			var pack bytes.Buffer
			if _, err := diff(b.Context(), &pack, s, level); err != nil {
				b.Fatal(err)
			}
			b.Run(benchName(s, level), func(b *testing.B) {
				b.SetBytes(int64(len(s.new)))
				for b.Loop() {
					if err := patch(b.Context(), pack.Bytes(), s.old, want); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// patch applies a pack of one file. Patch compares the digest of what it makes,
// so nothing is kept.
func patch(ctx context.Context, pack, old []byte, want delta.Ref) error {
	head, err := delta.ReadHead(bytes.NewReader(pack), delta.Limits{})
	if err != nil {
		return err
	}
	made := 0
	for i, f := range head.Frames {
		err := head.Patch(ctx, i, bytes.NewReader(pack[f.Offset:f.Offset+f.Size]),
			func(int) (delta.File, error) { return memory{bytes.NewReader(old)}, nil },
			func(r delta.Ref) (delta.Output, error) {
				if r != want {
					return nil, fmt.Errorf("want %v, got %v", want, r)
				}
				made++
				return nowhere{}, nil
			})
		if err != nil {
			return err
		}
	}
	if made != 1 {
		return fmt.Errorf("want one new file, got %d", made)
	}
	return nil
}

// What the benchmarks measure is a patch that works, and one that would notice.
func TestPatch(t *testing.T) {
	old, new := program(64 << 10)
	s := sample{"generated", old, new}
	var pack bytes.Buffer
	if _, err := diff(t.Context(), &pack, s, delta.Small); err != nil {
		t.Fatal(err)
	}
	if err := patch(t.Context(), pack.Bytes(), old, ref(new)); err != nil {
		t.Error(err)
	}
	if err := patch(t.Context(), pack.Bytes(), old, ref(old)); err == nil {
		t.Error("another file wanted: want an error")
	}
	if err := patch(t.Context(), pack.Bytes(), noise(3, len(old)), ref(new)); err == nil {
		t.Error("another old file: want an error")
	}
}

// nowhere takes what a patch makes and forgets it.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Finish(err error) error      { return err }
