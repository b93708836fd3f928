package delta

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// ablations are ways to make a delta, each without one part.
var ablations = []struct {
	name string
	o    Options
}{
	{"everything", Options{}},
	{"no prediction in code", Options{without: codeRefs}},
	{"no prediction in tables", Options{without: tableRefs | rematching}},
	{"no prediction", Options{without: codeRefs | tableRefs | rematching}},
	{"no second match of tables", Options{without: rematching}},
	{"no model for extra bytes", Options{without: extraMixing}},
	{"zstd for mixing: balanced", Options{Level: Balanced}},
	{"balanced, no prediction", Options{Level: Balanced, without: codeRefs | tableRefs | rematching}},
	{"neither: fast", Options{Level: Fast}},
	{"no unpacking", Options{without: containers}},
}

// What is left out makes no delta wrong, and where it matters a larger one.
func TestAblation(t *testing.T) {
	was, is := calls(200, 0), calls(200, 100)
	for _, pair := range []struct {
		name     string
		old, new []byte
		without  ability
	}{
		{"code", was, is, codeRefs},
		{"container", zipped(t, text(2000, 0)), zipped(t, text(2000, 5)), containers},
		{"extra", was, slices.Concat(was, text(2000, 0)), extraMixing},
	} {
		with, _ := checkRoundTrip(t, memBlobs(pair.old), memBlobs(pair.new), Options{})
		less, _ := checkRoundTrip(t, memBlobs(pair.old), memBlobs(pair.new), Options{without: pair.without})
		if len(with) >= len(less) {
			t.Errorf("%s: %d bytes, and %d without the part that it is for", pair.name, len(with), len(less))
		}
	}
}

// calls makes raw x86 code of n blocks: noise, and a call of another block.
// So many bytes are inserted in the middle.
func calls(n, inserted int) []byte {
	const size = 300
	start := func(i int) int {
		if i < n/2 {
			return i * size
		}
		return i*size + inserted
	}
	code := noise(1, n*size)
	code = slices.Insert(code, n/2*size, noise(2, inserted)...)
	for i := range n {
		at := start(i)
		code[at] = 0xE8
		binary.LittleEndian.PutUint32(code[at+1:], uint32(start(i*37%n)-(at+5)))
	}
	return code
}

// BenchmarkAblation measures what each part is worth, on pairs of files:
//
//	ABLATION="old new other-old other-new" go test -run - -bench Ablation -benchtime 1x ./delta
func BenchmarkAblation(b *testing.B) {
	names := strings.Fields(os.Getenv("ABLATION"))
	if len(names) < 2 {
		b.Skip("ABLATION names no files")
	}
	for i := 0; i+1 < len(names); i += 2 {
		old, new := fileBlobs(b, names[i]), fileBlobs(b, names[i+1])
		for _, x := range ablations {
			o := x.o
			o.Workers = 1
			b.Run(fmt.Sprintf("%s/%s", filepath.Base(names[i+1]), x.name), func(b *testing.B) {
				var pack []byte
				b.SetBytes(new[0].Size)
				for b.Loop() {
					pack, _ = writePack(b, old, new, o)
				}
				b.ReportMetric(float64(len(pack)), "pack-bytes")
				patching := testing.Benchmark(func(b *testing.B) {
					for b.Loop() {
						if _, err := patchAll(pack, readHead(b, pack), old); err != nil {
							b.Fatal(err)
						}
					}
				})
				b.ReportMetric(patching.T.Seconds()/float64(patching.N), "patch-s")
			})
		}
	}
}

func fileBlobs(b *testing.B, name string) []Blob {
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	d, n, err := manifest.SumReader(f)
	if err != nil {
		b.Fatal(err)
	}
	return []Blob{{Name: filepath.Base(name), Ref: Ref{Digest: d, Size: n}, Open: func() (File, error) { return os.Open(name) }}}
}
