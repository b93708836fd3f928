//go:build unix

package delta

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/delta/internal/exe"
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
	{"no digests of pages", Options{without: pageDigests}},
	{"no records", Options{without: oneKind << exe.Table}},
	{"no Go functions", Options{without: oneKind << exe.GoFuncs}},
	{"no Go types", Options{without: oneKind << exe.GoTypes}},
	{"no Go inlining", Options{without: oneKind << exe.GoInlining}},
	{"no eh_frame", Options{without: oneKind << exe.EhFrame}},
	{"no rebases of Mach-O", Options{without: oneKind << exe.Rebases}},
	{"no relocations of PE", Options{without: oneKind << exe.PERelocs}},
	{"no debug information", Options{without: oneKind<<exe.DebugInfo | oneKind<<exe.DebugMarked | oneKind<<exe.DebugFrame}},
}

// BenchmarkAblation measures what each part is worth, on pairs of files:
//
//	ABLATION="old new other-old other-new" go test -run - -bench Ablation -benchtime 1x -timeout 1h ./delta
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
				b.SetBytes(new[0].Size)
				for b.Loop() {
					began := cpuSeconds(b)
					pack, _ := writePack(b, old, new, o)
					made := cpuSeconds(b)
					if _, err := patchAll(pack, readHead(b, pack), old); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(len(pack)), "pack-bytes")
					b.ReportMetric(made-began, "diff-cpu-s")
					b.ReportMetric(cpuSeconds(b)-made, "patch-cpu-s")
				}
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

// cpuSeconds returns the user and system time of the process so far.
func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
