package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
	"github.com/treegraft-dev/treegraft/bench/internal/measure"
	"github.com/treegraft-dev/treegraft/bench/internal/report"
	"github.com/treegraft-dev/treegraft/manifest"
)

func TestMain(m *testing.M) {
	measure.Main()
	m.Run()
}

// need skips the test where a program is not installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
}

// copyCodec is a codec of the simplest kind: the delta is the new file.
func copyCodec() codec {
	return codec{diff: []string{"cp", "-R", "{new}", "{delta}"}, patch: []string{"cp", "-R", "{delta}", "{out}"}}
}

// wrongCodec patches without an error, and gives the old file back.
func wrongCodec() codec {
	return codec{diff: []string{"cp", "-R", "{new}", "{delta}"}, patch: []string{"cp", "-R", "{old}", "{out}"}}
}

// trees gives a job over two small trees: one file changed, one new, one
// deleted, one the same.
func trees(t *testing.T, file string) job {
	t.Helper()
	j := job{pair: pair{id: "test", file: file, old: "app@1.0.0", new: "app@1.1.0"}, work: t.TempDir()}
	line := strings.Repeat("all work and no play makes a dull file\n", 500)
	for _, s := range []struct {
		to    *side
		files map[string]string
	}{
		{&j.old, map[string]string{"bin/app": line + "old" + line, "same": "same", "gone": "gone"}},
		{&j.new, map[string]string{"bin/app": line + "new!" + line, "same": "same", "more/added": line}},
	} {
		s.to.dir = t.TempDir()
		for name, content := range s.files {
			path := filepath.Join(s.to.dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if s.to.tree, err = corpus.TreeDigest(s.to.dir); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func TestPairsAreInTheCorpus(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range pairs() {
		if seen[p.id] || p.what == "" {
			t.Errorf("%s: want one pair with a description", p.id)
		}
		seen[p.id] = true
		for _, id := range []string{p.old, p.new} {
			if _, err := corpus.Find(id); err != nil {
				t.Errorf("%s: %v", p.id, err)
			}
		}
	}
	for _, r := range reported() {
		if !seen[r.Pair] || r.Bytes == 0 || r.Origin != report.Reported {
			t.Errorf("reported figure that no table can show: %+v", r)
		}
	}
}

func TestToolsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{hdiffpatch: true, butler: true}
	for _, x := range tools() {
		if seen[x.name] || x.tree == nil || x.settings == "" {
			t.Errorf("tool %q: want its own name, settings and a way to measure trees", x.name)
		}
		seen[x.name] = true
	}
	if !seen[report.Ours] || !seen[report.Baseline] {
		t.Error("want ours and the baseline among the tools")
	}
}

func TestChooseKeepsTheOrder(t *testing.T) {
	got, err := chooseTools(tools(), splitList("bsdiff, ours"))
	if err != nil || len(got) != 2 || !got[0].ours() || got[1].name != "bsdiff" {
		t.Errorf("got %v, %v", got, err)
	}
	if all, err := choosePairs(pairs(), nil); err != nil || len(all) != len(pairs()) {
		t.Errorf("no names: want all pairs, got %d, %v", len(all), err)
	}
	if _, err := choosePairs(pairs(), []string{"node", "nodes"}); err == nil || !strings.Contains(err.Error(), "go-patch") {
		t.Errorf("unknown pair: want an error that names the known ones, got %v", err)
	}
}

func TestExpand(t *testing.T) {
	got := expand([]string{"{bin}/x", "--from={old}", "{new}", "-o", "{delta}", "{out}", "plain"}, "B", "O", "N", "D", "R")
	want := []string{"B/x", "--from=O", "N", "-o", "D", "R", "plain"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

// A figure counts only when the result is the new file or tree.
func TestMeasurementsCompareTheResult(t *testing.T) {
	need(t, "cp", "tar", "zstd")
	for name, c := range map[string]struct {
		file         string
		right, wrong measurement
	}{
		"file":     {"bin/app", copyCodec().file, wrongCodec().file},
		"tree":     {"", copyCodec().wholeTree, wrongCodec().wholeTree},
		"tar":      {"", copyCodec().tarred, wrongCodec().tarred},
		"per file": {"", copyCodec().perFile, wrongCodec().perFile},
	} {
		j := trees(t, c.file)
		m, err := c.right(t.Context(), j)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m.Bytes <= 0 || m.Diff.Wall <= 0 || m.Patch.Wall <= 0 {
			t.Errorf("%s: want bytes and costs, got %+v", name, m)
		}
		if _, err := c.wrong(t.Context(), trees(t, c.file)); err == nil {
			t.Errorf("%s: a wrong result must be an error", name)
		}
	}
}

// bsdiff of a tree is the changed files' patches and the new files in full.
func TestPerFileCountsChangedAndNew(t *testing.T) {
	need(t, "cp", "zstd")
	j := trees(t, "")
	m, err := copyCodec().perFile(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	full, err := fullCodec().deltaFile(t.Context(), t.TempDir(), "", "", filepath.Join(j.new.dir, "more/added"), j.new.tree.Files["more/added"])
	if err != nil {
		t.Fatal(err)
	}
	if want := size(t, filepath.Join(j.new.dir, "bin/app")) + full.Bytes; m.Bytes != want {
		t.Errorf("want %d bytes, got %d", want, m.Bytes)
	}
}

// The real rivals on a small pair: does the command line work, is the result
// right, is the delta smaller than the file?
func TestRivals(t *testing.T) {
	for _, x := range tools() {
		if x.ours() {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			need(t, x.programs...)
			for _, file := range []string{"bin/app", ""} {
				j := trees(t, file)
				run := x.measurement(j.pair)
				if run == nil {
					continue
				}
				m, err := run(t.Context(), j)
				if err != nil {
					t.Errorf("file %q: %v", file, err)
				}
				if m.Bytes <= 0 || m.Bytes >= j.new.tree.Bytes || m.Diff.CPU <= 0 {
					t.Errorf("file %q: got %+v for %d bytes", file, m, j.new.tree.Bytes)
				}
			}
		})
	}
}

func TestTarDependsOnTheTreeAlone(t *testing.T) {
	need(t, "tar")
	a, b := trees(t, ""), trees(t, "")
	pack := func(j job) manifest.Digest {
		if err := writeTar(t.Context(), j.path("t.tar"), j.new.dir); err != nil {
			t.Fatal(err)
		}
		d, err := fileDigest(j.path("t.tar"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if pack(a) != pack(b) {
		t.Error("two equal trees: want equal tar files")
	}
	if err := os.Chmod(filepath.Join(b.new.dir, "same"), 0o755); err != nil {
		t.Fatal(err)
	}
	if pack(a) == pack(b) {
		t.Error("another mode: want another tar file")
	}
}

func TestSavedResultsAreBoundToTheirInputs(t *testing.T) {
	cache := t.TempDir()
	s := saved{Version: "1", Settings: "-9", Old: "o", New: "n", Result: report.Result{
		Pair: "p", Tool: "x", Bytes: 42, Note: "a note", Diff: measure.Cost{CPU: 3, RSS: 4, AtMost: true, Wall: 5},
	}}
	if _, ok, err := load(cache, s); ok || err != nil {
		t.Errorf("nothing saved: got %v, %v", ok, err)
	}
	if err := save(cache, s); err != nil {
		t.Fatal(err)
	}
	want := s.Result
	want.Origin = report.Cached
	if got, ok, err := load(cache, s); !ok || err != nil || got != want {
		t.Errorf("want %+v, got %+v, %v, %v", want, got, ok, err)
	}
	for name, change := range map[string]func(*saved){
		"version":  func(s *saved) { s.Version = "2" },
		"settings": func(s *saved) { s.Settings = "-1" },
		"old":      func(s *saved) { s.Old = "x" },
		"new":      func(s *saved) { s.New = "x" },
		"pair":     func(s *saved) { s.Result.Pair = "q" },
		"tool":     func(s *saved) { s.Result.Tool = "y" },
	} {
		other := s
		change(&other)
		if _, ok, err := load(cache, other); ok || err != nil {
			t.Errorf("another %s: want nothing, got %v, %v", name, ok, err)
		}
	}
	if err := os.WriteFile(savedPath(cache, "p", "x"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := load(cache, s); err == nil {
		t.Error("damaged file: want an error")
	}
}

func TestFailuresAreNotSaved(t *testing.T) {
	cache := t.TempDir()
	s := saved{Result: report.Result{Pair: "p", Tool: "x", Failed: "no space left"}}
	if err := save(cache, s); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := load(cache, s); ok || err != nil {
		t.Errorf("want a failure forgotten, got %v, %v", ok, err)
	}
}

func TestReason(t *testing.T) {
	_, _, err := measure.Run(t.Context(), measure.Command{Argv: []string{"go", "no-such-verb"}})
	if got := reason(fmt.Errorf("measure: %w", err)); !strings.HasPrefix(got, "go: ") || strings.Contains(got, "exit status") {
		t.Errorf("want what the program said, got %q", got)
	}
	for text, want := range map[string]string{
		context.Canceled.Error():                            context.Canceled.Error(),
		"open /home/me/cache/work/old: no such file":        "open old: no such file",
		"/usr/lib/x: bad option":                            "x: bad option",
		"cannot read '/srv/a b/c.tar', (/x/y/z), --in=/p/q": "cannot read 'a b/c.tar', (z), --in=q",
		"get http://127.0.0.1:80/a/b: 404; 3/4 done":        "get http://127.0.0.1:80/a/b: 404; 3/4 done",
		"and/or a relative/path/of 1/2":                     "and/or a relative/path/of 1/2",
	} {
		if got := reason(errors.New(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	// A program calls itself by the path that it was started with.
	failed := &measure.Error{Argv: []string{"/opt/tools/xdelta3", "-d"}, Err: errors.New("exit status 1"), Output: "/opt/tools/xdelta3: /tmp/bench/p: checksum mismatch"}
	if got, want := reason(failed), "xdelta3: p: checksum mismatch"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoggedBytes(t *testing.T) {
	for line, want := range map[string]int64{
		"200 1234 GET /a HTTP/1.1": 1234,
		"206 99 GET /a b HTTP/1.1": 99,
		"404 0 GET /a HTTP/1.1":    0,
		"400 150 -":                0,
		"400 0 ":                   0,
	} {
		if got, err := loggedBytes(line); err != nil || got != want {
			t.Errorf("%q: want %d, got %d, %v", line, want, got, err)
		}
	}
	for _, line := range []string{"", "200", "200 12", "200 x GET /", "200 -1 GET /"} {
		if got, err := loggedBytes(line); err == nil {
			t.Errorf("%q: want an error, got %d", line, got)
		}
	}
}

func TestServerCountsBytes(t *testing.T) {
	if _, err := nginxPath(); err != nil {
		t.Skip(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), make([]byte, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.TempDir(), root)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) error {
		resp, err := http.Get(s.url() + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	once, err := s.during(t.Context(), func() error { return get("file") })
	if err != nil {
		t.Fatal(err)
	}
	if once.Requests != 1 || once.Bytes < 100_000 || once.Bytes > 101_000 {
		t.Errorf("one request: got %+v", once)
	}
	twice, err := s.during(t.Context(), func() error { return errors.Join(get("file"), get("nothing")) })
	if err != nil {
		t.Fatal(err)
	}
	if twice.Requests != 2 || twice.Bytes <= once.Bytes {
		t.Errorf("the same and one that is not there: got %+v", twice)
	}
	if none, err := s.during(t.Context(), func() error { return nil }); err != nil || none != (report.Transfer{}) {
		t.Errorf("no request: got %+v, %v", none, err)
	}
	if err := get("file"); err == nil {
		t.Error("afterwards: want nobody to answer")
	}
	if _, err := s.during(t.Context(), func() error { return io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("want the error of what ran, got %v", err)
	}
}

// The document in the repository has the markers that the program needs.
func TestReadmeHasMarkers(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", filepath.Base(readme)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Replace(string(b), report.ResultsPart, "x"); err != nil {
		t.Error(err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
