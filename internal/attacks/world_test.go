package attacks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

type object = map[string]any

const (
	day       = 24 * time.Hour
	timestamp = "timestamp.json"
)

// world is a repository with 1.0.0 and 1.1.0 of "app", and an install of 1.0.0
// that has not seen 1.1.0 yet.
type world struct {
	t                 *testing.T
	recovery, release *trust.Key
	root              []byte
	repo, tree        string // folders
	old               string // the repository when 1.0.0 was the newest
	good              string // and as the publisher left it
	now               time.Time
	stolen            bool // the release key was used against the owner
	stall             time.Duration

	server *httptest.Server
	hook   atomic.Pointer[http.HandlerFunc] // answers instead of the repository, when not nil
}

func v1() treetest.Tree {
	return treetest.Tree{
		"A1": treetest.File("A\n"), "b1": treetest.File("b\n"), "bin/app": treetest.Exec(text("app", 40)),
		"data/gone": treetest.File("gone\n"), "readme": treetest.File("one\n"), "zlink": treetest.Symlink("bin/app"),
	}
}

func v2() treetest.Tree {
	return v1().Clone(func(t treetest.Tree) {
		t["bin/app"] = treetest.Exec(text("app", 40) + "and more\n")
		t["data/new"] = treetest.File(text("new", 20))
		delete(t, "data/gone")
	})
}

// text is the same on every run, and does not compress away.
func text(seed string, lines int) string {
	var b strings.Builder
	sum := sha256.Sum256([]byte(seed))
	for i := range lines {
		fmt.Fprintf(&b, "%d %x\n", i, sum)
		sum = sha256.Sum256(sum[:])
	}
	return b.String()
}

// newWorld is made once; each attack has a copy of it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, repo: t.TempDir(), tree: t.TempDir(), old: t.TempDir(), now: time.Now()}
	w.recovery, w.release = w.key(trust.Ed25519), w.key(trust.Ed25519)
	s, err := store.OpenDir(w.repo)
	w.must(err)
	w.root, err = publisher.Init(context.Background(), publisher.Options{Store: s, Now: w.clock}, w.recovery, w.release)
	w.must(err)
	w.publish("1.0.0", v1())
	w.serve()
	w.must(second(w.client(nil).Install(context.Background(), client.UpdateOptions{})))
	w.copyTo(w.old)
	w.publish("1.1.0", v2())
	return w
}

func second[T any](_ T, err error) error { return err }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time { return w.now }

func (w *world) key(kind trust.Kind) *trust.Key {
	w.t.Helper()
	k, err := trust.GenerateKey(kind)
	w.must(err)
	return k
}

// clone is the same world in other folders.
func (w *world) clone(t *testing.T) *world {
	t.Helper()
	c := &world{t: t, recovery: w.recovery, release: w.release, root: w.root, repo: t.TempDir(), tree: t.TempDir(),
		old: w.old, good: w.repo, now: time.Now()}
	c.copyFrom(w.repo, c.repo)
	c.copyFrom(w.tree, c.tree)
	c.serve()
	return c
}

func (w *world) copyFrom(from, to string) {
	w.t.Helper()
	w.must(os.RemoveAll(to))
	w.must(os.CopyFS(to, os.DirFS(from)))
	if from == w.repo || from == w.old || from == w.good {
		return
	}
	w.must(filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error { // CopyFS drops modes
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		return errors.Join(err, os.Chmod(filepath.Join(to, rel), info.Mode().Perm()))
	}))
}

func (w *world) copyTo(to string) { w.copyFrom(w.repo, to) }

// serve publishes the folder of the repository.
func (w *world) serve() {
	files := http.FileServer(http.Dir(w.repo))
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h := w.hook.Load(); h != nil {
			(*h)(rw, r)
			return
		}
		files.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(func() {
		w.server.CloseClientConnections() // an endless answer would go on
		w.server.Close()
	})
}

// answer lets h answer for one file, and the repository for all others.
func (w *world) answer(file string, h http.HandlerFunc) {
	files := http.FileServer(http.Dir(w.repo))
	f := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metadata/"+file {
			h(rw, r)
			return
		}
		files.ServeHTTP(rw, r)
	})
	w.hook.Store(&f)
}

// client is the one of the install.
func (w *world) client(edit func(*client.Options)) *client.Client {
	w.t.Helper()
	s, err := store.NewHTTP(w.server.URL, store.HTTPOptions{Retries: -1, Stall: w.stall})
	w.must(err)
	o := client.Options{Dir: w.tree, Store: s, Root: w.root, Product: "app", Platform: manifest.AnyPlatform, Now: w.clock}
	if edit != nil {
		edit(&o)
	}
	c, err := client.New(o)
	w.must(err)
	return c
}

func (w *world) update() error {
	w.t.Helper()
	return second(w.client(nil).Update(context.Background(), client.UpdateOptions{}))
}

// wantTree compares the install with a tree.
func (w *world) wantTree(want treetest.Tree) {
	w.t.Helper()
	if diff := treetest.Diff(want, treetest.Read(w.t, w.tree, atomicfs.StateDir)); diff != "" {
		w.t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func (w *world) publisher(signers ...trust.Signer) *publisher.Publisher {
	w.t.Helper()
	s, err := store.OpenDir(w.repo)
	w.must(err)
	p, err := publisher.New(publisher.Options{Store: s, Root: w.root, Signers: signers, Now: w.clock})
	w.must(err)
	return p
}

func (w *world) publish(version string, t treetest.Tree) {
	w.t.Helper()
	dir := w.t.TempDir()
	t.Write(w.t, dir)
	w.must(second(w.publisher(w.release).Publish(context.Background(), publisher.Release{
		Facts: manifest.Release{Product: "app", Version: version}, Tree: dir, Delta: delta.Options{Level: delta.Fast}})))
}

// rotate replaces the release key, and returns the old one.
func (w *world) rotate() *trust.Key {
	w.t.Helper()
	old := w.release
	w.release = w.key(trust.ECDSA)
	was, err := old.PublicKey()
	w.must(err)
	is, err := w.release.PublicKey()
	w.must(err)
	w.must(second(w.publisher(w.recovery, w.release).ReplaceKey(context.Background(), was, is)))
	return old
}

func (w *world) path(file string) string { return filepath.Join(w.repo, "metadata", file) }

func (w *world) read(file string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(w.path(file))
	w.must(err)
	return b
}

func (w *world) write(file string, b []byte) {
	w.t.Helper()
	w.must(os.WriteFile(w.path(file), b, 0o644))
}

// signedPart returns what is signed of a file of metadata.
func (w *world) signedPart(file string) object {
	w.t.Helper()
	return decode(w.t, w.read(file))["signed"].(object)
}

func decode(t *testing.T, b []byte) object {
	t.Helper()
	var doc object
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// sign writes a file of metadata, signed by these keys and no others.
func (w *world) sign(file string, signed object, keys ...*trust.Key) {
	w.t.Helper()
	payload, err := cjson.EncodeCanonical(signed)
	w.must(err)
	sigs := []any{}
	for _, k := range keys {
		sig, err := k.SignMessage(bytes.NewReader(payload))
		w.must(err)
		sigs = append(sigs, object{"keyid": k.ID(), "sig": hex.EncodeToString(sig)})
	}
	b, err := json.Marshal(object{"signed": signed, "signatures": sigs})
	w.must(err)
	w.write(file, b)
}

// nextRoot publishes root 2, or the one after the newest.
func (w *world) nextRoot(change func(s object), keys ...*trust.Key) {
	w.t.Helper()
	n := w.newest("root")
	s := w.signedPart(fmt.Sprintf("%d.root.json", n))
	s["version"] = n + 1
	change(s)
	w.sign(fmt.Sprintf("%d.root.json", n+1), s, keys...)
}

// newest returns the highest version of a role.
func (w *world) newest(role string) int {
	w.t.Helper()
	for n := 99; n > 0; n-- {
		if _, err := os.Stat(w.path(fmt.Sprintf("%d.%s.json", n, role))); err == nil {
			return n
		}
	}
	w.t.Fatalf("no %s", role)
	return 0
}

// insider publishes a change of one role and whatever must follow: what a thief
// of the release key can do. Key signs the role, the release key the rest.
func (w *world) insider(role string, key *trust.Key, change func(s object)) {
	w.t.Helper()
	w.leap(role, key, 1, change)
}

func (w *world) leap(role string, key *trust.Key, step int64, change func(s object)) {
	w.t.Helper()
	w.stolen = true
	order := []string{role, "snapshot", "timestamp"}
	if role == "snapshot" || role == "timestamp" {
		order = order[slices.Index(order[1:], role)+1:]
	}
	for i, r := range order {
		file := timestamp
		if r != "timestamp" {
			file = fmt.Sprintf("%d.%s.json", w.newest(r), r)
		}
		s := w.signedPart(file)
		v, err := s["version"].(json.Number).Int64()
		w.must(err)
		s["version"] = v + step
		by := w.release
		if i == 0 {
			change(s)
			by = key
		} else {
			w.follow(s, order[i-1], v, step)
		}
		if r != "timestamp" {
			file = fmt.Sprintf("%d.%s.json", v+step, r)
		}
		w.sign(file, s, by)
	}
}

// follow lists in s what was just published of a role.
func (w *world) follow(s object, role string, _ int64, step int64) {
	w.t.Helper()
	meta := s["meta"].(object)
	old, err := meta[role+".json"].(object)["version"].(json.Number).Int64()
	w.must(err)
	b := w.read(fmt.Sprintf("%d.%s.json", old+step, role))
	meta[role+".json"] = object{"version": old + step, "length": len(b), "hashes": object{"sha256": fmt.Sprintf("%x", sha256.Sum256(b))}}
}

// cache returns the name of a file in the client's cache of metadata.
func (w *world) cache(name string) string {
	return filepath.Join(w.tree, atomicfs.StateDir, "products", "app", "trust", name)
}

// glob returns the only file of the repository that fits.
func (w *world) glob(pattern string) string {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.repo, pattern))
	w.must(err)
	if len(names) != 1 {
		w.t.Fatalf("%s fits %q, want one file", pattern, names)
	}
	return names[0]
}

// retarget signs a product's targets anew, after a change of one of them, with
// the release key: other content and other facts.
func (w *world) retarget(prefix string, change func(content []byte, custom object) []byte) {
	w.t.Helper()
	w.stolen = true
	s, err := store.OpenDir(w.repo)
	w.must(err)
	fetch := func(ctx context.Context, name string, max int64) ([]byte, error) {
		return store.ReadAll(ctx, s, name, max)
	}
	e, err := trust.Open(context.Background(), trust.Options{Root: w.root, Fetch: fetch, Now: w.clock},
		trust.EditorOptions{Signers: []trust.Signer{w.release}, Now: w.clock})
	w.must(err)
	targets := e.Targets("app")
	found := false
	for i, t := range targets {
		if !strings.HasPrefix(t.Name, prefix) {
			continue
		}
		found = true
		b, err := os.ReadFile(filepath.Join(w.repo, t.File()))
		w.must(err)
		custom := object{}
		if t.Custom != nil {
			custom = decode(w.t, t.Custom)
		}
		b = change(b, custom)
		var raw []byte
		if t.Custom != nil {
			raw, err = json.Marshal(custom)
			w.must(err)
		}
		targets[i] = trust.NewTarget(t.Name, b, raw)
		w.must(os.WriteFile(filepath.Join(w.repo, targets[i].File()), b, 0o644))
	}
	if !found {
		w.t.Fatalf("no target %s", prefix)
	}
	w.must(e.SetTargets("app", targets))
	files, err := e.Commit(context.Background())
	w.must(err)
	for _, f := range files {
		w.must(os.WriteFile(filepath.Join(w.repo, f.Name), f.Data, 0o644))
	}
}

// kind names the type of an error.
func kind(err error) string {
	var invalid *manifest.InvalidError
	switch {
	case err == nil:
		return ""
	case is[*trust.SignatureError](err):
		return "trust.SignatureError"
	case is[*trust.ExpiredError](err):
		return "trust.ExpiredError"
	case is[*trust.RollbackError](err):
		return "trust.RollbackError"
	case is[*trust.ContentError](err):
		return "trust.ContentError"
	case is[*trust.FormatError](err):
		return "trust.FormatError"
	case is[*store.LimitError](err):
		return "store.LimitError"
	case is[*store.MismatchError](err):
		return "store.MismatchError"
	case is[*store.StatusError](err):
		return "store.StatusError"
	case is[*delta.LimitError](err):
		return "delta.LimitError"
	case is[*delta.FormatError](err):
		return "delta.FormatError"
	case is[*delta.DigestError](err):
		return "delta.DigestError"
	case is[*manifest.ListingError](err):
		return "manifest.ListingError"
	case errors.As(err, &invalid):
		return "manifest.InvalidError"
	case is[*client.DriftError](err):
		return "client.DriftError"
	case is[*client.WithdrawnError](err):
		return "client.WithdrawnError"
	case errors.Is(err, client.ErrDowngrade):
		return "client.ErrDowngrade"
	case errors.Is(err, client.ErrOnline):
		return "client.ErrOnline"
	case errors.Is(err, client.ErrFloor):
		return "client.ErrFloor"
	case is[*atomicfs.LockedError](err):
		return "atomicfs.LockedError"
	case errors.Is(err, store.ErrStalled):
		return "store.ErrStalled"
	}
	return fmt.Sprintf("%T", err)
}

func is[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}
