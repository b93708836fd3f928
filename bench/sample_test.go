package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// noise returns n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, (n+7)&^7)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

// function is a piece of a program: code and calls of others.
type function struct {
	code  []byte
	calls []int // index of the function called, one call after every callGap bytes
}

const callGap = 32

// program is two versions of one program, about size bytes each: in the new
// one some functions have changed and some are new, so that nearly every call
// has another displacement. That is what makes programs hard to diff.
func program(size int) (old, new []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []function
	count := size / 400
	for range count {
		f := function{code: noise(r.Uint64(), callGap*(1+r.IntN(16)))}
		for range len(f.code) / callGap {
			f.calls = append(f.calls, r.IntN(count))
		}
		all = append(all, f)
	}
	old = link(all)
	for range count / 100 {
		i := r.IntN(count)
		all[i].code = append(noise(r.Uint64(), callGap), all[i].code...)
		all[i].calls = append([]int{r.IntN(count)}, all[i].calls...)
	}
	return old, link(all)
}

// link lays the functions out one behind the other and fills in the calls, as
// x86-64 has them: E8 and the distance to the callee.
func link(all []function) []byte {
	const callSize = 5
	at := make([]int, len(all))
	end := 0
	for i, f := range all {
		at[i] = end
		end += len(f.code) + callSize*len(f.calls)
	}
	b := make([]byte, 0, end)
	for _, f := range all {
		for i, callee := range f.calls {
			b = append(b, f.code[i*callGap:(i+1)*callGap]...)
			b = append(b, 0xe8)
			b = binary.LittleEndian.AppendUint32(b, uint32(at[callee]-len(b)-4))
		}
	}
	return b
}

// sizes of files in a tree: most are small, most bytes are in a few.
func fileSize(i int) int { return 512 << (i % 10) }

// plant writes a tree of n files of noise and returns their paths.
func plant(tb testing.TB, dir string, n int) (paths []string, bytes int64) {
	tb.Helper()
	for i := range n {
		path := fmt.Sprintf("d%02d/f%04d", i%32, i)
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(full, noise(uint64(i), fileSize(i)), 0o644); err != nil {
			tb.Fatal(err)
		}
		paths, bytes = append(paths, path), bytes+int64(fileSize(i))
	}
	return paths, bytes
}
