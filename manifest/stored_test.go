package manifest

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestStored(t *testing.T) {
	for name, canonical := range map[string][]byte{
		"sample": encode(t, sample()),
		"large":  encode(t, synthetic()),
	} {
		stored, err := Compress(canonical)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Compress(bytes.Clone(canonical)); !bytes.Equal(again, stored) {
			t.Errorf("%s: the same input gives other bytes", name)
		}
		got, err := Decompress(stored, int64(len(canonical)), Sum(canonical))
		if err != nil || !bytes.Equal(got, canonical) {
			t.Errorf("%s: got %d bytes, %v; want %d", name, len(got), err, len(canonical))
		}
	}
}

func TestDecompressRefuses(t *testing.T) {
	canonical := encode(t, sample())
	size, sum := int64(len(canonical)), Sum(canonical)
	stored, err := Compress(canonical)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, why string
		stored    []byte
		size      int64
		sum       Digest
	}{
		{"size too small", "decompress", stored, size - 1, sum},
		{"size too large", "want", stored, size + 1, sum},
		{"no size", "out of range", stored, 0, sum},
		{"negative size", "out of range", stored, -1, sum},
		{"size beyond the limit", "out of range", stored, MaxCanonical + 1, sum},
		{"another digest", "want", stored, size, Sum(nil)},
		{"no digest", "want", stored, size, Digest{}},
		{"cut off", "decompress", stored[:len(stored)-1], size, sum},
		{"nothing", "want", nil, size, sum},
		{"not compressed", "decompress", canonical, size, sum},
		{"bytes behind", "decompress", append(bytes.Clone(stored), 0), size, sum},
		{"another frame behind", "decompress", append(bytes.Clone(stored), stored...), size, sum},
	} {
		if b, err := Decompress(c.stored, c.size, c.sum); err == nil || b != nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %d bytes, %v", c.name, len(b), err)
		}
	}
}

// TestDecompressBomb wants a frame of 256 MiB refused for what was announced,
// 1,000 bytes, whether the frame admits its size or not.
func TestDecompressBomb(t *testing.T) {
	for name, bomb := range map[string][]byte{"size in the frame": bomb(t, true), "size hidden": bomb(t, false)} {
		if len(bomb) > 1<<20 {
			t.Fatalf("the bomb has %d bytes", len(bomb))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Decompress(bomb, 1000, Sum(nil)); err == nil {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 8*maxWindow {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

// bomb returns a frame of many zeros.
func bomb(t *testing.T, admit bool) []byte {
	const size = 1 << 28
	var b bytes.Buffer
	enc, err := zstd.NewWriter(&b, zstd.WithWindowSize(maxWindow), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	if admit {
		enc.ResetContentSize(&b, size)
	}
	zeros := make([]byte, 1<<20)
	for range size / len(zeros) {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
