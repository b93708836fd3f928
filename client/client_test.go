package client

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// The two releases that most tests go between: an edited large file, a rename
// with an edit, a copy, a deleted and a new file, links and an empty folder.
func releases() (one, two map[string]string) {
	big := lines(1, 4000)
	one = map[string]string{
		"bin/app": big, "lib/a.txt": lines(2, 300), "same.txt": "unchanged\n", "gone/deep/file": "x",
		"current": "->bin/app", "empty/": "", "zero": "",
	}
	two = map[string]string{
		"bin/app": strings.ReplaceAll(big, "line 70 ", "line seventy "), "lib/b.txt": lines(2, 300) + "more\n", "same.txt": "unchanged\n",
		"copy.txt": "unchanged\n", "new.bin": lines(9, 900), "current": "->lib/b.txt", "void/": "",
	}
	return one, two
}

// newPair returns a repository with both releases, and the folder of an install
// of the first.
func newPair(t *testing.T) (r *repo, dir string) {
	t.Helper()
	r = newRepo(t)
	one, two := releases()
	r.publish("1.0.0", one)
	r.publish("1.1.0", two)
	dir = filepath.Join(t.TempDir(), "app")
	_, err := r.client(dir).Install(t.Context(), UpdateOptions{Version: "1.0.0"})
	check(t, err)
	wantTree(t, dir, one)
	return r, dir
}

func (r *repo) client(dir string) *Client {
	r.t.Helper()
	return r.with(Options{Dir: dir, Repository: r.dir})
}

func (r *repo) with(o Options) *Client {
	r.t.Helper()
	o.Root, o.Product = r.root, r.product
	c, err := New(o)
	check(r.t, err)
	return c
}

// wantTree compares a tree with what a release holds, and extra files.
func wantTree(t *testing.T, dir string, want map[string]string, extra ...string) {
	t.Helper()
	want = maps.Collect(maps.All(want))
	for i := 0; i < len(extra); i += 2 {
		want[extra[i]] = extra[i+1]
	}
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		path, _ := filepath.Rel(dir, name)
		path = filepath.ToSlash(path)
		switch {
		case path == atomicfs.StateDir:
			return fs.SkipDir
		case d.IsDir():
			if inside, err := os.ReadDir(name); err != nil || len(inside) > 0 {
				return err
			}
			got[path+"/"] = ""
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(name)
			got[path] = "->" + to
			return err
		default:
			b, err := os.ReadFile(name)
			got[path] = string(b)
			return err
		}
		return nil
	})
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("tree (-want +got):\n%.2000s", diff)
	}
}

func put(t *testing.T, dir, path, content string) {
	t.Helper()
	name := filepath.Join(dir, path)
	check(t, os.MkdirAll(filepath.Dir(name), 0o755))
	check(t, os.WriteFile(name, []byte(content), 0o644))
}

func TestLifeOfAnInstall(t *testing.T) {
	r, dir := newPair(t)
	one, two := releases()
	put(t, dir, "gone/notes.txt", "mine")
	c := r.client(dir)

	a, err := c.Check(t.Context())
	check(t, err)
	if a.Latest == nil || a.Latest.Version != "1.1.0" || a.Installed.Version != "1.0.0" || a.Fetched {
		t.Fatalf("check: got %+v", a)
	}
	res, err := c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	wantTree(t, dir, two, "gone/notes.txt", "mine")
	if len(res.Fallbacks) > 0 || res.UpToDate || res.Requests > 6 || res.Downloaded == 0 {
		t.Errorf("update: got %+v", res)
	}
	res, err = c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	if !res.UpToDate {
		t.Errorf("second update: got %+v", res)
	}
	drift, err := c.Verify(t.Context())
	check(t, err)
	if len(drift) > 0 {
		t.Errorf("verify: got %v", drift)
	}
	st, err := c.Status(t.Context())
	check(t, err)
	if st.Installed.Version != "1.1.0" || st.Rollback != "1.0.0" || st.Busy != "" || st.Repository != r.dir {
		t.Errorf("status: got %+v", st)
	}

	check(t, os.RemoveAll(r.dir)) // a rollback needs no repository
	c, err = New(Options{Dir: dir})
	check(t, err)
	back, err := c.Rollback(t.Context(), false)
	check(t, err)
	wantTree(t, dir, one, "gone/notes.txt", "mine")
	changed, removed := differences(two, one)
	if back.From.Version != "1.1.0" || back.To.Version != "1.0.0" || back.Changed != changed || back.Removed != removed {
		t.Errorf("rollback: got %+v", back)
	}
	again, err := c.Rollback(t.Context(), false)
	check(t, err)
	if !again.UpToDate || again.To.Version != "1.0.0" {
		t.Errorf("second rollback: got %+v", again)
	}
	history, err := c.History()
	check(t, err)
	var verbs []string
	for _, h := range history {
		verbs = append(verbs, h.Verb+" "+h.From+">"+h.To)
	}
	if diff := cmp.Diff([]string{"install >1.0.0", "update 1.0.0>1.1.0", "rollback 1.1.0>1.0.0"}, verbs); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// What tells where a way back has led is no reason not to go back.
func TestRollbackWithBrokenLanding(t *testing.T) {
	r, dir := newPair(t)
	one, _ := releases()
	c := r.with(Options{Dir: dir, Repository: r.dir})
	_, err := c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	check(t, os.WriteFile(c.state(landingName), []byte("{"), 0o644))
	_, err = c.Rollback(t.Context(), false)
	check(t, err)
	wantTree(t, dir, one)
}

func TestDrift(t *testing.T) {
	_, two := releases()
	tests := []struct {
		name, path, content string
		kept                []string // path and content of what is kept with Force
	}{
		{"modified", "bin/app", "edited by hand", []string{"bin/app.kept", "edited by hand"}},
		{"modified, to be deleted", "lib/a.txt", "edited by hand", []string{"lib/a.txt.kept", "edited by hand"}},
		{"unmanaged in the way", "new.bin", "mine", []string{"new.bin.kept", "mine"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, dir := newPair(t)
			one, _ := releases()
			put(t, dir, test.path, test.content)
			c := r.client(dir)
			_, err := c.Update(t.Context(), UpdateOptions{})
			var drift *DriftError
			if !errors.As(err, &drift) || len(drift.Drift) != 1 || drift.Drift[0].Path != test.path {
				t.Fatalf("error: got %v", err)
			}
			wantTree(t, dir, one, test.path, test.content)
			res, err := c.Update(t.Context(), UpdateOptions{Force: true})
			check(t, err)
			wantTree(t, dir, two, test.kept...)
			if diff := cmp.Diff(test.kept[:1], res.Kept); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		r, dir := newPair(t)
		check(t, os.Remove(filepath.Join(dir, "bin", "app")))
		res, err := r.client(dir).Update(t.Context(), UpdateOptions{})
		check(t, err)
		wantTree(t, dir, two)
		if diff := cmp.Diff([]string{"bin/app"}, res.Missing); diff != "" {
			t.Errorf("missing (-want +got):\n%s", diff)
		}
	})
	t.Run("modified where nothing changes", func(t *testing.T) {
		r, dir := newPair(t)
		put(t, dir, "same.txt", "changed by me\n")
		res, err := r.client(dir).Update(t.Context(), UpdateOptions{})
		check(t, err)
		wantTree(t, dir, two, "same.txt", "changed by me\n")
		if len(res.Fallbacks) > 0 && res.Fallbacks[0].Path != "copy.txt" {
			t.Errorf("fallbacks: got %v", res.Fallbacks)
		}
	})
}

func TestRepair(t *testing.T) {
	r, dir := newPair(t)
	one, two := releases()
	c := r.client(dir)
	_, err := c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	put(t, dir, "bin/app", "broken")
	put(t, dir, "mine.txt", "mine")
	check(t, os.Remove(filepath.Join(dir, "copy.txt")))
	check(t, os.Remove(filepath.Join(dir, "void")))
	check(t, os.Chmod(filepath.Join(dir, "same.txt"), 0o600))
	check(t, os.Remove(filepath.Join(dir, "current")))
	check(t, os.Mkdir(filepath.Join(dir, "current"), 0o755))
	drift, err := c.Verify(t.Context())
	check(t, err)
	var paths []string
	for _, d := range drift {
		paths = append(paths, d.Path)
	}
	if diff := cmp.Diff([]string{"bin/app", "copy.txt", "current", "same.txt", "void"}, paths); diff != "" {
		t.Errorf("verify (-want +got):\n%s", diff)
	}
	res, err := c.Repair(t.Context())
	check(t, err)
	wantTree(t, dir, two, "mine.txt", "mine")
	if info, err := os.Stat(filepath.Join(dir, "same.txt")); err != nil || info.Mode() != 0o644 {
		t.Errorf("same.txt: got %v, %v", info.Mode(), err)
	}
	if res.Changed != 5 || len(res.Kept) > 0 {
		t.Errorf("repair: got %+v", res)
	}
	if drift, err := c.Verify(t.Context()); err != nil || len(drift) > 0 {
		t.Errorf("verify after repair: got %v, %v", drift, err)
	}
	_, err = c.Rollback(t.Context(), false)
	check(t, err)
	wantTree(t, dir, one, "mine.txt", "mine")
}

func TestInstallOverFiles(t *testing.T) {
	r := newRepo(t)
	one, _ := releases()
	r.publish("1.0.0", one)
	dir := t.TempDir()
	put(t, dir, "bin/app", one["bin/app"])
	put(t, dir, "mine.txt", "mine")
	put(t, dir, "same.txt", "something else")
	var drift *DriftError
	if _, err := r.client(dir).Install(t.Context(), UpdateOptions{}); !errors.As(err, &drift) || len(drift.Drift) != 1 {
		t.Fatalf("install over another file: got %v", err)
	}
	check(t, os.Remove(filepath.Join(dir, "same.txt")))
	d, err := store.OpenDir(r.dir)
	check(t, err)
	res, err := r.with(Options{Dir: dir, Store: d}).Install(t.Context(), UpdateOptions{})
	check(t, err)
	wantTree(t, dir, one, "mine.txt", "mine")
	if res.Downloaded > int64(len(one["bin/app"])) {
		t.Errorf("downloaded %d bytes, though the largest file was there", res.Downloaded)
	}
}

func TestDowngrade(t *testing.T) {
	r, dir := newPair(t)
	one, _ := releases()
	c := r.client(dir)
	_, err := c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	if _, err := c.Update(t.Context(), UpdateOptions{Version: "1.0.0"}); !errors.Is(err, ErrDowngrade) {
		t.Fatalf("got %v", err)
	}
	res, err := c.Update(t.Context(), UpdateOptions{Version: "1.0.0", Downgrade: true})
	check(t, err)
	wantTree(t, dir, one)
	if res.To.Version != "1.0.0" {
		t.Errorf("got %s", res.To.Version)
	}
}

func TestStalePlan(t *testing.T) {
	r, dir := newPair(t)
	c := r.client(dir)
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	_, err = c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	if _, err := c.Apply(t.Context(), p, UpdateOptions{}); err == nil {
		t.Error("a plan for another tree was applied")
	}
}

func TestNotInstalled(t *testing.T) {
	dir := t.TempDir()
	c, err := New(Options{Dir: dir})
	check(t, err)
	_, checkErr := c.Check(t.Context())
	_, statusErr := c.Status(t.Context())
	_, verifyErr := c.Verify(t.Context())
	_, backErr := c.Rollback(t.Context(), false)
	for i, err := range []error{checkErr, statusErr, verifyErr, backErr} {
		if !errors.Is(err, ErrNotInstalled) {
			t.Errorf("call %d: got %v", i, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was made: %v, %v", left, err)
	}
}

func TestLocked(t *testing.T) {
	r, dir := newPair(t)
	tree, err := atomicfs.Open(dir, atomicfs.Options{})
	check(t, err)
	defer tree.Close()
	c := r.client(dir)
	var locked *atomicfs.LockedError
	if _, err := c.Update(t.Context(), UpdateOptions{}); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("update: got %v", err)
	}
	st, err := c.Status(t.Context())
	check(t, err)
	if st.Busy == "" {
		t.Error("status does not say who is at work")
	}
}

func TestRehearse(t *testing.T) {
	r := newRepo(t)
	one, two := releases()
	r.publish("1.0.0", one)
	r.publish("1.1.0", two)
	d, err := store.OpenDir(r.dir)
	check(t, err)
	seed := func(want manifest.Digest) (delta.File, error) {
		for _, content := range one {
			if manifest.Sum([]byte(content)) == want {
				return memory{bytes.NewReader([]byte(content))}, nil
			}
		}
		return nil, fs.ErrNotExist
	}
	update := Rehearsal{Store: d, Root: r.root, Product: "app", Version: "1.1.0", Channel: defaultChannel,
		Platform: manifest.AnyPlatform, From: r.releases[0].Manifest, Seed: seed}
	install := update
	install.From, install.Seed = nil, nil
	check(t, Rehearse(t.Context(), update))
	check(t, Rehearse(t.Context(), install))

	r.flip("packs/app/any/*", -40)
	if err := Rehearse(t.Context(), update); err == nil {
		t.Error("a broken pack was not found")
	}
	check(t, Rehearse(t.Context(), install))
	r.flip("objects/??/*", 0)
	if err := Rehearse(t.Context(), install); err == nil {
		t.Error("broken objects were not found")
	}
}

func TestSettings(t *testing.T) {
	r, dir := newPair(t)
	c, err := New(Options{Dir: dir})
	check(t, err)
	if c.settings.Repository != r.dir || c.settings.Product != "app" || c.settings.Channel != defaultChannel {
		t.Errorf("remembered %+v", c.settings)
	}
	for _, bad := range []string{"", "{", `{"product":"app","nonsense":1}`, `{"product":"../x","channel":"stable"}`} {
		check(t, os.WriteFile(c.state(settingsName), []byte(bad), 0o600))
		if _, err := New(Options{Dir: dir}); err == nil {
			t.Errorf("settings %q: no error", bad)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no folder: no error")
	}
}

// A release with the tree of the one before changes nothing but what is noted as
// installed, and is no less an update for that.
func TestSameTree(t *testing.T) {
	r := newRepo(t)
	files := map[string]string{"f": "one"}
	r.publish("1.0.0", files)
	dir := filepath.Join(t.TempDir(), "tree")
	c := r.client(dir)
	_, err := c.Install(t.Context(), UpdateOptions{})
	check(t, err)
	p, err := c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	if !p.UpToDate() {
		t.Errorf("nothing new: got %+v", p)
	}
	r.publish("1.1.0", files)
	p, err = c.Plan(t.Context(), UpdateOptions{})
	check(t, err)
	if p.UpToDate() || len(p.Steps) > 0 || p.From.Version != "1.0.0" || p.To.Version != "1.1.0" {
		t.Errorf("a new release: got %+v", p)
	}
	check(t, c.Fetch(t.Context(), p))
	a, err := c.Check(t.Context())
	check(t, err)
	if !a.Fetched {
		t.Errorf("after the fetch: got %+v", a)
	}
	res, err := c.Apply(t.Context(), p, UpdateOptions{Offline: true})
	check(t, err)
	if res.UpToDate || res.To.Version != "1.1.0" {
		t.Errorf("apply: got %+v", res)
	}
	wantTree(t, dir, files)
}

// What is kept beside is told in order of paths, whatever the verb.
func TestKeptInOrder(t *testing.T) {
	names := strings.Split("abcdefghijkl", "")
	files := map[string]string{}
	for _, n := range names {
		files[n] = "shipped"
	}
	r, dir := newRepo(t), filepath.Join(t.TempDir(), "tree")
	r.publish("1.0.0", files)
	c := r.client(dir)
	_, err := c.Install(t.Context(), UpdateOptions{})
	check(t, err)
	for _, n := range names {
		put(t, dir, n, "edited")
	}
	res, err := c.Uninstall(t.Context(), true)
	check(t, err)
	if len(res.Kept) != len(names) || !slices.IsSorted(res.Kept) {
		t.Errorf("want %d paths in order, got %q", len(names), res.Kept)
	}
}
