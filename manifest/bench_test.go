package manifest

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The benchmarks work on 11,516 files, as many as a Go toolchain has.

func BenchmarkEncode(b *testing.B) {
	m := synthetic()
	b.SetBytes(int64(len(encode(b, m))))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Encode(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	canonical := encode(b, synthetic())
	b.SetBytes(int64(len(canonical)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(bytes.NewReader(canonical)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	m := synthetic()
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	from, to := synthetic().Entries, synthetic().Entries
	for i := 0; i < len(to); i += 500 {
		to[i].Size++
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := Compare(from, to); len(got) != 24 {
			b.Fatalf("got %d changes, want 24", len(got))
		}
	}
}

func BenchmarkCompress(b *testing.B) {
	canonical := encode(b, synthetic())
	b.SetBytes(int64(len(canonical)))
	for b.Loop() {
		if _, err := Compress(canonical); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	canonical := encode(b, synthetic())
	stored, err := Compress(canonical)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(stored)), "stored-bytes")
	b.SetBytes(int64(len(canonical)))
	for b.Loop() {
		if _, err := Decompress(stored, int64(len(canonical)), Sum(canonical)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan reads files of 4 KiB, warm in the page cache.
func BenchmarkScan(b *testing.B) {
	root, content := b.TempDir(), make([]byte, 4096)
	entries := synthetic().Entries
	for _, e := range entries {
		p := filepath.Join(root, filepath.FromSlash(e.Path))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(entries) * len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(b.Context(), root, ScanOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
