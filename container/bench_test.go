package container

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"
)

func BenchmarkUnpack(b *testing.B) {
	for _, level := range []int{1, gzip.DefaultCompression, gzip.BestCompression} {
		content := text(1, 4<<20)
		file := gzipped(b, level, content)
		b.Run(fmt.Sprintf("level %d", level), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if err := Unpack(b.Context(), io.Discard, bytes.NewReader(file), int64(len(file))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRepack(b *testing.B) {
	for _, level := range []int{1, gzip.DefaultCompression, gzip.BestCompression} {
		content := text(1, 4<<20)
		form := wantRoundTrip(b, gzipped(b, level, content))
		b.Run(fmt.Sprintf("level %d", level), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if err := Repack(b.Context(), io.Discard, bytes.NewReader(form)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
