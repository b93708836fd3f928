package client

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/delta"
)

// random returns n bytes that do not compress.
func random(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for range n {
		b.WriteByte(byte(r.Uint32()))
	}
	return b.String()
}

// sharing returns releases whose programs all get the same new library.
func sharing(t *testing.T) (r *repo, dir string, two map[string]string) {
	t.Helper()
	library := random(9, 900_000)
	one, two := map[string]string{}, map[string]string{}
	for i, name := range []string{"bin/a", "bin/b", "bin/c"} {
		own := random(uint64(i), 300_000)
		one[name], two[name] = own, own[:100_000]+library+own[100_000:]
	}
	r = newRepo(t)
	r.publish("1.0.0", one)
	r.publish("1.1.0", two)
	dir = filepath.Join(t.TempDir(), "app")
	_, err := r.client(dir).Install(t.Context(), UpdateOptions{Version: "1.0.0"})
	check(t, err)
	return r, dir, two
}

func TestFramesReadOthers(t *testing.T) {
	r, dir, two := sharing(t)
	result, err := r.client(dir).Update(t.Context(), UpdateOptions{})
	check(t, err)
	wantTree(t, dir, two)
	if len(result.Fallbacks) > 0 || result.Downloaded > 1_000_000 {
		t.Errorf("downloaded %d bytes, fallbacks %v", result.Downloaded, result.Fallbacks)
	}
}

// When a frame is broken, those that read what it makes are replaced too.
func TestBrokenFrameBreaksItsReaders(t *testing.T) {
	r, dir, two := sharing(t)
	packs, err := filepath.Glob(filepath.Join(r.dir, "packs/app/any/*"))
	check(t, err)
	broken := 0
	for _, name := range packs {
		b, err := os.ReadFile(name)
		check(t, err)
		h, err := delta.ReadHead(bytes.NewReader(b), delta.Limits{})
		check(t, err)
		for i := range h.Frames {
			for _, k := range h.Needs(i) {
				b[h.Frames[k].Offset+h.Frames[k].Size/2] ^= 1
				broken++
				break
			}
			if broken > 0 {
				break
			}
		}
		check(t, os.WriteFile(name, b, 0o644))
	}
	if broken == 0 {
		t.Fatal("no frame needs another one")
	}
	result, err := r.client(dir).Update(t.Context(), UpdateOptions{})
	check(t, err)
	wantTree(t, dir, two)
	if len(result.Fallbacks) < 2 {
		t.Errorf("fallbacks %v, want the broken frame and its readers", result.Fallbacks)
	}
}
