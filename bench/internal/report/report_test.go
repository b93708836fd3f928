package report

import (
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/bench/internal/measure"
)

func sample() Run {
	cost := func(cpu time.Duration, mb int64) measure.Cost { return measure.Cost{CPU: cpu, RSS: mb * 1_000_000} }
	return Run{
		Facts: []Fact{{"CPU", "two cores of something"}},
		Pairs: []Pair{
			{ID: "tool", What: "tool 1 → 2", NewBytes: 11_427_952, Goal: 180_000},
			{ID: "go-patch", Tree: true, What: "Go 1 → 2", NewBytes: 215_335_376, Goal: 50_000},
		},
		Tools: []string{"ours", "bsdiff", "casync", "hdiffpatch", "butler"},
		Results: []Result{
			{Pair: "tool", Tool: "ours", Bytes: 250_000, Diff: cost(400*time.Millisecond, 60), Patch: measure.Cost{CPU: 10 * time.Millisecond, RSS: 14_100_000, AtMost: true}},
			{Pair: "tool", Tool: "bsdiff", Bytes: 500_000, Diff: cost(66*time.Second, 99), Patch: cost(140*time.Millisecond, 30), Origin: Cached},
			{Pair: "tool", Tool: "hdiffpatch", Bytes: 424_078, Origin: Reported, Note: "lzma2"},
			{Pair: "go-patch", Tool: "casync", Failed: "no space | left\non device"},
			{Pair: "go-patch", Tool: "ours", Bytes: 999},
			{Pair: "go-patch", Tool: "butler", Bytes: 904_008, Diff: cost(15900*time.Millisecond, 0), Patch: cost(390*time.Millisecond, 0), Origin: Reported},
		},
		Updates: []Update{
			{Pair: "go-patch", Publish: cost(9500*time.Millisecond, 300), Install: Transfer{Bytes: 60_000_000, Requests: 99}, Update: Transfer{Bytes: 48_123, Requests: 5, Cost: measure.Cost{CPU: time.Second, RSS: 40_000_000, Wall: 2 * time.Second}}},
			{Pair: "other", Failed: "nginx is missing"},
		},
	}
}

func TestMarkdown(t *testing.T) {
	got := Markdown(sample())
	for _, want := range []string{
		"- CPU: two cores of something\n",
		"### Files: bytes of the delta\n\n| pair | new | ours | bsdiff | hdiffpatch | goal | ours ÷ bsdiff |\n|---|--:|--:|--:|--:|--:|--:|\n",
		"| tool | 11,427,952 | 250,000 | 500,000† | 424,078‡ | ≤ 180,000 | 50.0 % |\n",
		"| go-patch | 215,335,376 | 999 | failed: no space \\| left on device | 904,008‡ | ≤ 50,000 | – |\n",
		"| **ours** | 250,000 | 50.0 % | 0.40 | 60 | 0.01 | ≤ 15 |  |\n",
		"| bsdiff | 500,000 | 100.0 % | 66.0 | 99 | 0.14 | 30 | † cached |\n",
		"| hdiffpatch | 424,078 | 84.8 % | – | – | – | – | ‡ reported, not run here; lzma2 |\n",
		"| go-patch | **ours** | **48,123** | ≤ 50,000 | 9.50 | 300 | 1.00 | 40 | 5 requests, 2.00 s of wall time |\n",
		"| | butler | 904,008‡ | | 15.9 | – | 0.39 | – | ‡ reported, not run here |\n",
		"| go-patch | 60,000,000 (99) | – | – | 0 (0) | – | – |\n",
		"| other | **ours** | failed: nginx is missing |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want in the report:\n%s", want)
		}
	}
	if t.Failed() {
		t.Logf("report:\n%s", got)
	}
}

// Every row of a table must have as many cells as its head.
func TestMarkdownTablesAreRectangular(t *testing.T) {
	columns := 0
	for _, line := range strings.Split(Markdown(sample()), "\n") {
		n := strings.Count(line, "|") - strings.Count(line, `\|`)
		switch {
		case n == 0:
			columns = 0
		case columns == 0:
			columns = n
		case n != columns:
			t.Errorf("want %d bars, got %d: %s", columns, n, line)
		}
	}
}

// The smallest delta comes first, a failure last.
func TestDetailsAreSorted(t *testing.T) {
	got := Markdown(sample())
	order := []string{"### tool: tool 1", "| **ours** | 250,000", "| hdiffpatch | 424", "| bsdiff | 500", "### go-patch: Go", "| **ours** | 999", "| casync | failed"}
	at := 0
	for _, s := range order {
		i := strings.Index(got[at:], s)
		if i < 0 {
			t.Fatalf("want %q after byte %d of:\n%s", s, at, got)
		}
		at += i
	}
}

func TestEmptyRunHasNoTables(t *testing.T) {
	if got := Markdown(Run{Pairs: sample().Pairs}); strings.Contains(got, "|") {
		t.Errorf("want no table, got:\n%s", got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 45098728: "45,098,728", 123456: "123,456", -1234: "-1,234"} {
		if got := group(n); got != want {
			t.Errorf("group(%d): want %s, got %s", n, want, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "–", 140 * time.Millisecond: "0.14", 9994 * time.Millisecond: "9.99", 137 * time.Second: "137.0"} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v): want %s, got %s", d, want, got)
		}
	}
	long := failed(strings.Repeat("é", 500))
	if n := len([]rune(long)); n != len("failed: ")+maxReason+1 {
		t.Errorf("a long reason: want it cut, got %d characters", n)
	}
}

func TestReplace(t *testing.T) {
	const begin, end = "<!-- begin results -->", "<!-- end results -->"
	doc := "# head\n" + begin + "\nold table\n" + end + "\ntail\n"
	once, err := Replace(doc, ResultsPart, "new table\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "# head\n" + begin + "\n\nnew table\n\n" + end + "\ntail\n"
	if once != want {
		t.Errorf("want:\n%s\ngot:\n%s", want, once)
	}
	if twice, err := Replace(once, ResultsPart, "new table\n"); err != nil || twice != once {
		t.Errorf("again: want no change, got %v:\n%s", err, twice)
	}
	if _, err := Replace(doc, GrowthPart, "x"); err == nil {
		t.Error("another part: want an error")
	}
	for name, bad := range map[string]string{
		"none": "# head\n", "begin only": begin, "end only": end,
		"wrong order": end + begin, "twice": doc + doc,
	} {
		if _, err := Replace(bad, ResultsPart, "x"); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
