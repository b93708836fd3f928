package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/nginxtest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

func contentOf(b []byte) store.Content {
	return store.Content{Size: int64(len(b)), Digest: manifest.Sum(b)}
}

// partials returns the files beside path.
func partials(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

// A fetches is a Fetcher in memory that notes the ranges it was asked for. It
// fails at the offset broken, when that is not 0.
type fetches struct {
	content []byte
	broken  int64
	ranges  [][2]int64
}

var errCable = errors.New("cable pulled")

func (f *fetches) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f.ranges = append(f.ranges, [2]int64{offset, length})
	end := int64(len(f.content))
	if length >= 0 {
		end = offset + length
	}
	if end > int64(len(f.content)) || offset > end {
		return nil, io.ErrUnexpectedEOF
	}
	r := io.Reader(bytes.NewReader(f.content[offset:end]))
	if f.broken > offset && f.broken < end {
		r = io.MultiReader(bytes.NewReader(f.content[offset:f.broken]), failing{})
	}
	return io.NopCloser(r), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCable }

func TestDownload(t *testing.T) {
	for _, n := range []int{0, 1, 10, 256 << 10, 256<<10 + 1, 1 << 20} {
		b := content(n)
		path := filepath.Join(t.TempDir(), "file")
		var told []int64
		f := &fetches{content: b}
		if err := store.Download(t.Context(), f, "name", path, contentOf(b), func(n int64) { told = append(told, n) }); err != nil {
			t.Errorf("%d bytes: %v", n, err)
			continue
		}
		if got := readFile(t, path); got != string(b) {
			t.Errorf("%d bytes: got %d others", n, len(got))
		}
		if got := partials(t, path); len(got) > 0 {
			t.Errorf("%d bytes: left %q", n, got)
		}
		if !slices.IsSorted(told) || told[0] != 0 || told[len(told)-1] != int64(n) {
			t.Errorf("%d bytes: told of %v", n, told)
		}
		if want := [][2]int64{{0, -1}}; !slices.Equal(f.ranges, want) {
			t.Errorf("%d bytes: want the whole file asked for once, got %v", n, f.ranges)
		}
		// A second time, nothing is read.
		if err := store.Download(t.Context(), nil, "name", path, contentOf(b), nil); err != nil {
			t.Errorf("%d bytes again: %v", n, err)
		}
	}
}

// TestDownloadReplaces finds another file under the path.
func TestDownloadReplaces(t *testing.T) {
	b := content(1000)
	for name, plant := range map[string]func(path string) error{
		"other content": func(path string) error { return os.WriteFile(path, make([]byte, 1000), 0o600) },
		"shorter file":  func(path string) error { return os.WriteFile(path, b[:999], 0o600) },
		"longer file":   func(path string) error { return os.WriteFile(path, append(b, 0), 0o600) },
		"broken link":   func(path string) error { return os.Symlink("nothing", path) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := plant(path); err != nil {
			t.Skip(err)
		}
		if err := store.Download(t.Context(), &fetches{content: b}, "name", path, contentOf(b), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := readFile(t, path); got != string(b) {
			t.Errorf("%s: got %d other bytes", name, len(got))
		}
	}
}

// TestDownloadResumes breaks a download and starts it again.
func TestDownloadResumes(t *testing.T) {
	b := content(500_000)
	path := filepath.Join(t.TempDir(), "file")
	f := &fetches{content: b}
	for _, at := range []int64{100_000, 300_000} {
		f.broken = at
		if err := store.Download(t.Context(), f, "name", path, contentOf(b), nil); !errors.Is(err, errCable) {
			t.Fatalf("want %v, got %v", errCable, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("unverified bytes under the path: %v", err)
		}
	}
	f.broken = 0
	var told []int64
	if err := store.Download(t.Context(), f, "name", path, contentOf(b), func(n int64) { told = append(told, n) }); err != nil {
		t.Fatal(err)
	}
	if readFile(t, path) != string(b) || len(partials(t, path)) > 0 {
		t.Error("want the whole file alone")
	}
	if want := [][2]int64{{0, -1}, {100_000, 400_000}, {300_000, 200_000}}; !slices.Equal(f.ranges, want) {
		t.Errorf("want ranges %v, got %v", want, f.ranges)
	}
	if told[0] != 300_000 {
		t.Errorf("want progress from 300000 on, got %v", told[0])
	}
}

// TestDownloadPartial plants what an earlier call may have left.
func TestDownloadPartial(t *testing.T) {
	b := content(1000)
	rotten := bytes.Clone(b[:500])
	rotten[7] ^= 1
	whole, resumed := [2]int64{0, -1}, [2]int64{500, 500}
	for _, c := range []struct {
		name    string
		partial []byte
		ranges  [][2]int64
	}{
		{"good", b[:500], [][2]int64{resumed}},
		{"empty", nil, [][2]int64{whole}},
		{"complete", b, nil},
		{"rotten", rotten, [][2]int64{resumed, whole}},
		{"of zeros, after a power cut", make([]byte, 1000), [][2]int64{whole}},
		{"too long", append(bytes.Clone(b), 0), [][2]int64{whole}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(partialPath(t, path, b), c.partial, 0o600); err != nil {
				t.Fatal(err)
			}
			f := &fetches{content: b}
			if err := store.Download(t.Context(), f, "name", path, contentOf(b), nil); err != nil {
				t.Fatal(err)
			}
			if readFile(t, path) != string(b) || len(partials(t, path)) > 0 {
				t.Error("want the whole file alone")
			}
			if !slices.Equal(f.ranges, c.ranges) {
				t.Errorf("want ranges %v, got %v", c.ranges, f.ranges)
			}
		})
	}
}

// partialPath returns the name of the partial file, which it asks Download for.
func partialPath(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := store.Download(t.Context(), &fetches{content: b, broken: 1}, "name", path, contentOf(b), nil); err == nil {
		t.Fatal("want a broken download")
	}
	names := partials(t, path)
	if len(names) != 1 || !strings.HasSuffix(names[0], ".unverified") {
		t.Fatalf("want one partial file that ends in .unverified, got %q", names)
	}
	return filepath.Join(filepath.Dir(path), names[0])
}

// TestDownloadPartialOfOther must not be continued.
func TestDownloadPartialOfOther(t *testing.T) {
	old, b := content(1000), append(content(900), "another end"...)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(partialPath(t, path, old), old[:950], 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fetches{content: b}
	if err := store.Download(t.Context(), f, "name", path, contentOf(b), nil); err != nil {
		t.Fatal(err)
	}
	if readFile(t, path) != string(b) || !slices.Equal(f.ranges, [][2]int64{{0, -1}}) {
		t.Errorf("want the whole file fetched, got ranges %v", f.ranges)
	}
}

// TestDownloadPartialLink must not write through a planted link.
func TestDownloadPartialLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this test makes symlinks")
	}
	b := content(1000)
	victim := filepath.Join(t.TempDir(), "victim")
	writeFile(t, victim, "victim")
	path := filepath.Join(t.TempDir(), "file")
	partial := partialPath(t, path, b)
	if err := errors.Join(os.Remove(partial), os.Symlink(victim, partial)); err != nil {
		t.Fatal(err)
	}
	if err := store.Download(t.Context(), &fetches{content: b}, "name", path, contentOf(b), nil); err != nil {
		t.Error(err)
	}
	if readFile(t, victim) != "victim" || readFile(t, path) != string(b) {
		t.Error("want the victim untouched, and the file")
	}
}

// TestDownloadMismatch serves other bytes than were wanted.
func TestDownloadMismatch(t *testing.T) {
	b := content(1000)
	flipped := bytes.Clone(b)
	flipped[999] ^= 1
	for _, c := range []struct {
		name    string
		served  []byte
		got     store.Content
		message string
	}{
		{"flipped bit", flipped, contentOf(flipped), "blake3:"},
		{"shorter", b[:999], contentOf(b[:999]), "want 1000 bytes, got 999"},
		{"empty", nil, contentOf(nil), "want 1000 bytes, got 0"},
		{"longer", append(bytes.Clone(b), 1), store.Content{Size: 1001}, "want 1000 bytes, got more"},
		{"much longer", content(1 << 20), store.Content{Size: 1001}, "want 1000 bytes, got more"},
	} {
		for _, partial := range [][]byte{nil, b[:500], flipped} {
			path := filepath.Join(t.TempDir(), "file")
			if partial != nil {
				if err := os.WriteFile(partialPath(t, path, b), partial, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := store.Download(t.Context(), &fetches{content: c.served}, "name", path, contentOf(b), nil)
			if c.got.Size > 1000 && len(partial) == 500 && err == nil {
				continue // only the missing half was asked for, and that was right
			}
			var mismatch *store.MismatchError
			if !errors.As(err, &mismatch) || mismatch.Name != "name" || mismatch.Want != contentOf(b) || mismatch.Got != c.got {
				t.Errorf("%s: want a MismatchError that got %v, got %v", c.name, c.got, err)
			} else if !strings.Contains(err.Error(), c.message) {
				t.Errorf("%s: want a message with %q, got %q", c.name, c.message, err)
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || len(partials(t, path)) > 0 {
				t.Errorf("%s: want nothing left, got %v and %q", c.name, err, partials(t, path))
			}
		}
	}
}

// TestDownloadErrors must leave what is there, and no more.
func TestDownloadErrors(t *testing.T) {
	b := content(1000)
	d := openDir(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "file")
	if err := store.Download(t.Context(), d, "missing", path, contentOf(b), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: want fs.ErrNotExist, got %v", err)
	}
	if err := store.Download(t.Context(), d, "../up", path, contentOf(b), nil); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("bad name: want fs.ErrInvalid, got %v", err)
	}
	if err := store.Download(t.Context(), d, "missing", filepath.Join(path, "no/folder"), contentOf(b), nil); err == nil {
		t.Error("no folder: want an error")
	}
	if err := d.Push(t.Context(), "file", bytes.NewReader(b), 1000); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Download(ctx, d, "file", path, contentOf(b), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want no file, got %v", err)
	}
}

// TestDownloadOnTheWire counts the bytes that nginx sends for a download that
// is cancelled half-way and then taken up again.
func TestDownloadOnTheWire(t *testing.T) {
	b := content(20 << 20)
	server := nginxtest.Start(t, folder(t, map[string][]byte{"file": b}), "limit_rate_after 8m;", "limit_rate 1m;")
	path := filepath.Join(t.TempDir(), "file")
	ctx, cancel := context.WithCancel(t.Context())
	half := func(n int64) {
		if n > 6<<20 {
			cancel()
		}
	}
	if err := store.Download(ctx, newHTTP(t, server.URL, store.HTTPOptions{}), "file", path, contentOf(b), half); !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	}
	h := newHTTP(t, nginxtest.Start(t, folder(t, map[string][]byte{"file": b})).URL, store.HTTPOptions{}) // another server, and faster
	if err := store.Download(t.Context(), h, "file", path, contentOf(b), nil); err != nil {
		t.Fatal(err)
	}
	if readFile(t, path) != string(b) {
		t.Error("the file is not what was published")
	}
	if got := h.Traffic(); got.Requests != 1 || got.Received > 14<<20 || got.Received < 11<<20 {
		t.Errorf("want one request for the missing 14 MiB, got %+v", got)
	}
}

// TestDownloadChanging serves another version each time, cut in the middle,
// until the wanted one has come.
func TestDownloadChanging(t *testing.T) {
	b := content(100_000)
	for _, c := range []struct {
		wanted int // the version that is wanted
		ok     bool
	}{{3, true}, {100, false}} {
		requests := 0
		within(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			version := bytes.Clone(b)
			version[0] = byte(requests)
			w.Header().Set("Etag", fmt.Sprintf(`"%d"`, requests))
			if requests < c.wanted {
				w = &cutWriter{w, 20_000, func(w http.ResponseWriter) { cut(w) }}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(version))
		}, store.HTTPOptions{}, func(t *testing.T, f *faulty) {
			want := bytes.Clone(b)
			want[0] = byte(c.wanted)
			path := filepath.Join(t.TempDir(), "file")
			err := store.Download(t.Context(), f, "file", path, contentOf(want), nil)
			if c.ok && (err != nil || readFile(t, path) != string(want)) {
				t.Errorf("want version %d, got error %v after %d requests", c.wanted, err, requests)
			}
			if !c.ok && !errors.Is(err, store.ErrChanged) {
				t.Errorf("want ErrChanged, got %v after %d requests", err, requests)
			}
			if requests > 10 {
				t.Errorf("want few requests, got %d", requests)
			}
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	const size = 64 << 20
	server := nginxtest.Start(b, folder(b, map[string][]byte{"file": make([]byte, size)}))
	h := newHTTP(b, server.URL, store.HTTPOptions{})
	want := contentOf(make([]byte, size))
	path := filepath.Join(b.TempDir(), "file")
	b.SetBytes(size)
	for b.Loop() {
		if err := store.Download(b.Context(), h, "file", path, want, nil); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}
