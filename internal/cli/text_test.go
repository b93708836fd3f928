package cli

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", -5: "-5 B",
		1000: "1.0 KB", 8123: "8.1 KB", 9949: "9.9 KB", 9950: "10 KB", 812_345: "812 KB",
		999_499: "999 KB", 999_500: "1.0 MB", 190_000_000: "190 MB", 1_234_567_890: "1.2 GB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d: want %q, got %q", n, want, got)
		}
	}
	if got := Size(math.MaxInt64); got != "9 EB" {
		t.Errorf("the largest size: got %q", got)
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "100.0 %"}, {0, 5, "0.0 %"}, {5, 5, "100.0 %"}, {987, 1000, "98.7 %"},
		{999_999, 1_000_000, "99.9 %"}, {1, 1_000_000, "0.1 %"}, {math.MaxInt64 / 2, math.MaxInt64, "50.0 %"},
	} {
		if got := Percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d: want %q, got %q", c.part, c.whole, c.want, got)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files"} {
		if got := Count(n, "file", "files"); got != want {
			t.Errorf("%d: want %q, got %q", n, want, got)
		}
	}
}
