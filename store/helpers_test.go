package store_test

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }

// modified is when the files of test servers were modified: long ago, so that
// the date is a strong validator.
var modified = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

var quiet = log.New(io.Discard, "", 0)
