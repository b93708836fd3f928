package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// The test binary is its own launcher and its own child, as the program is.
func TestMain(m *testing.M) {
	measure.Main()
	if is, err := child(context.Background(), os.Args[1:]); is {
		exit(err)
		return
	}
	m.Run()
}

// text is two sources that differ, and in which every place is its own.
func text(n int) []*source {
	var all []*source
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 7))
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.IntN(64))
		}
		all = append(all, newSource(b, seed))
	}
	return all
}

func sample(t *testing.T, size int64) (old, new []byte) {
	t.Helper()
	var a, b bytes.Buffer
	if err := writeSample(&a, &b, text(3*pieceSize/2), size); err != nil {
		t.Fatal(err)
	}
	return a.Bytes(), b.Bytes()
}

func TestSampleIsDeterministic(t *testing.T) {
	old, new := sample(t, 5*mb)
	again, newAgain := sample(t, 5*mb)
	if !bytes.Equal(old, again) || !bytes.Equal(new, newAgain) {
		t.Error("the same sources: want the same files")
	}
	if len(old) != 5*mb {
		t.Errorf("old: want %d bytes, got %d", 5*mb, len(old))
	}
	if d := len(new) - len(old); d < -mb/4 || d > mb/4 {
		t.Errorf("new: want about %d bytes, got %d", len(old), len(new))
	}
}

// About one byte of a hundred is edited: most, but not all, of the blocks of
// new that are as long as the gaps are short occur in old.
func TestSampleIsEdited(t *testing.T) {
	const block = 64
	old, new := sample(t, 5*mb)
	known := map[string]bool{}
	for i := range len(old) - block + 1 {
		known[string(old[i:i+block])] = true
	}
	found, all := 0, 0
	for i := 0; i+block <= len(new); i += block {
		all++
		if known[string(new[i:i+block])] {
			found++
		}
	}
	if share := float64(found) / float64(all); share < .96 || share > .998 {
		t.Errorf("share of blocks that are old: got %.4f", share)
	}
}

// A file's second pass has nothing in common with the first.
func TestPassesDiffer(t *testing.T) {
	s := text(4096)[0]
	first, second, third := s.next(4096), s.next(4096), s.next(4096)
	for _, other := range [][]byte{second, third} {
		equal := 0
		for i, c := range first {
			if other[i] == c {
				equal++
			}
		}
		if equal > len(first)/4 {
			t.Errorf("%d of %d bytes are the same", equal, len(first))
		}
	}
	if bytes.Equal(second, third) {
		t.Error("second and third pass: want other bytes")
	}
}

func TestSourcesAreInTheCorpus(t *testing.T) {
	for _, s := range sources {
		if _, err := corpus.Find(s.release); err != nil {
			t.Error(err)
		}
	}
}

func TestMeasureSize(t *testing.T) {
	dir := t.TempDir()
	old, new := sample(t, mb)
	a, b := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	for name, content := range map[string][]byte{a: old, b: new} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, level := range []string{small, fast} {
		p, err := measureSize(t.Context(), dir, a, b, level, 100*mb)
		if err != nil {
			t.Fatal(err)
		}
		if p.Bytes <= 0 || p.Bytes > mb/10 || p.Diff.CPU <= 0 || p.Patch.CPU <= 0 {
			t.Errorf("level %s: got %+v", level, p)
		}
	}
	if err := same(a, b); err == nil {
		t.Error("two files that differ: want an error")
	}
	if _, err := measureSize(t.Context(), dir, filepath.Join(dir, "nothing"), b, small, 0); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("missing file: got %v", err)
	}
}

func TestFlags(t *testing.T) {
	if got, err := parseSizes("1,100"); err != nil || len(got) != 2 || got[1] != 100*mb {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "0", "-1", "1,,2", "1x"} {
		if _, err := parseSizes(bad); err == nil {
			t.Errorf("sizes %q: want an error", bad)
		}
	}
	if got, err := parseLevels("fast,small"); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseLevels("best"); err == nil {
		t.Error("unknown level: want an error")
	}
}

// The document in the repository has the markers that the program needs.
func TestReadmeHasMarkers(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", filepath.Base(readme)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Replace(string(b), report.GrowthPart, "x"); err != nil {
		t.Error(err)
	}
}
