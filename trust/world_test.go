package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a repository with its publisher, and a client's machine: a clock, a
// cache folder and the root that the program embeds.
type world struct {
	t        testing.TB
	recovery *Key
	release  *Key
	editor   *Editor
	embedded []byte
	now      time.Time // of publisher and client
	cache    folder
	step     int64 // by which insider raises versions

	mu      sync.Mutex
	files   map[string][]byte // what the mirror serves
	genuine map[string]bool   // SHA-256 of all the editor ever published
	asked   []string          // requests since the last forget
	fetch   Fetch             // instead of files, when not nil
}

// newWorld publishes product "app" with one target.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: start, files: map[string][]byte{}, genuine: map[string]bool{}, cache: folder(t.TempDir()), step: 1}
	w.recovery, w.release = w.key(Ed25519), w.key(Ed25519)
	e, err := Create(context.Background(), w.recovery, w.release, EditorOptions{Now: w.clock})
	w.must(err)
	w.editor = e
	w.publish(target("1.0.0"))
	w.embedded = e.Root()
	return w
}

func target(version string) Target {
	return NewTarget("manifests/app/"+version+"/any.zst", []byte("manifest "+version), json.RawMessage(`{"sequence":1}`))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) key(kind Kind) *Key {
	k, err := GenerateKey(kind)
	w.must(err)
	return k
}

func (w *world) clock() time.Time { return w.now }

// publish lets app sign targets, and serves the result.
func (w *world) publish(targets ...Target) {
	w.t.Helper()
	w.must(w.editor.SetTargets("app", targets))
	w.commit()
}

func (w *world) commit() []File {
	w.t.Helper()
	files, err := w.editor.Commit(context.Background())
	w.must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range files {
		w.files[f.Name] = f.Data
		w.genuine[digest(f.Data)] = true
	}
	return files
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Fetch serves files as a careful store does.
func (w *world) Fetch(ctx context.Context, name string, max int64) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, name)
	b, ok := w.files[name]
	if !ok {
		return nil, fmt.Errorf("fetch %s: %w", name, fs.ErrNotExist)
	}
	if int64(len(b)) > max {
		return nil, fmt.Errorf("fetch %s: longer than %d bytes", name, max)
	}
	return b, ctx.Err()
}

// requests returns what was asked for since the last call, sorted.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	slices.Sort(asked)
	return asked
}

func (w *world) options() Options {
	opt := Options{Root: w.embedded, Fetch: w.fetch, Cache: w.cache, Now: w.clock}
	if opt.Fetch == nil {
		opt.Fetch = w.Fetch
	}
	return opt
}

// client starts the program anew: with the same cache and the same embedded root.
func (w *world) client() *Client {
	w.t.Helper()
	c, err := New(w.options())
	w.must(err)
	return c
}

// update does what a program does at every start.
func (w *world) update() ([]Target, error) {
	w.t.Helper()
	c := w.client()
	if err := c.Refresh(context.Background()); err != nil {
		return nil, err
	}
	return c.Targets(context.Background(), "app")
}

func (w *world) mustUpdate() []Target {
	w.t.Helper()
	targets, err := w.update()
	w.must(err)
	return targets
}

// forge changes the signed part of a served file and signs it with the given
// keys only. It may become a file of another name.
func (w *world) forge(from, to string, keys []*Key, change func(signed map[string]any)) {
	w.t.Helper()
	doc := decode(w.t, w.files[from])
	signed := doc["signed"].(map[string]any)
	if change != nil {
		change(signed)
	}
	w.files[to] = w.signed(signed, keys...)
}

func (w *world) signed(signed map[string]any, keys ...*Key) []byte {
	w.t.Helper()
	payload, err := cjson.EncodeCanonical(signed)
	w.must(err)
	sigs := []any{}
	for _, k := range keys {
		sig, err := k.SignMessage(bytes.NewReader(payload))
		w.must(err)
		sigs = append(sigs, map[string]any{"keyid": k.ID(), "sig": hex.EncodeToString(sig)})
	}
	b, err := json.Marshal(map[string]any{"signed": signed, "signatures": sigs})
	w.must(err)
	return b
}

func decode(t testing.TB, b []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// newest returns the served file of a role with the highest version.
func (w *world) newest(role string) string {
	w.t.Helper()
	for v := int64(99); v > 0; v-- {
		if w.files[metaFile(v, role)] != nil {
			return metaFile(v, role)
		}
	}
	w.t.Fatalf("no file of role %s", role)
	return ""
}

// insider publishes a change of one role, and whatever must then follow, all
// signed with the release key: what a thief of that key can do.
func (w *world) insider(role string, change func(signed map[string]any)) {
	w.t.Helper()
	by := []*Key{w.release}
	raise := func(signed map[string]any) int64 {
		v, err := signed["version"].(json.Number).Int64()
		w.must(err)
		signed["version"] = json.Number(fmt.Sprint(v + w.step))
		return v + w.step
	}
	snapshot := func(signed map[string]any) { change(signed) }
	if role != metadata.SNAPSHOT && role != metadata.TIMESTAMP {
		var v int64
		old := w.newest(role)
		w.forge(old, "forged", by, func(s map[string]any) {
			v = raise(s)
			change(s)
		})
		file := metaFile(v, role)
		w.files[file] = w.files["forged"]
		snapshot = func(s map[string]any) { s["meta"].(map[string]any)[role+".json"] = entry(v, w.files[file]) }
	}
	timestamp := change
	if role != metadata.TIMESTAMP {
		var v int64
		w.forge(w.newest(metadata.SNAPSHOT), "forged", by, func(s map[string]any) {
			v = raise(s)
			snapshot(s)
		})
		file := metaFile(v, metadata.SNAPSHOT)
		w.files[file] = w.files["forged"]
		timestamp = func(s map[string]any) { s["meta"].(map[string]any)["snapshot.json"] = entry(v, w.files[file]) }
	}
	w.forge(timestampFile, timestampFile, by, func(s map[string]any) {
		raise(s)
		timestamp(s)
	})
}

func entry(version int64, b []byte) map[string]any {
	return map[string]any{
		"version": json.Number(fmt.Sprint(version)),
		"length":  json.Number(fmt.Sprint(len(b))),
		"hashes":  map[string]any{"sha256": digest(b)},
	}
}

// folder is a cache on disk.
type folder string

func (f folder) Read(name string, max int64) ([]byte, error) {
	r, err := os.Open(filepath.Join(string(f), name))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, max+1))
}

func (f folder) Write(name string, b []byte) error {
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return errors.New("not a flat name: " + name)
	}
	return os.WriteFile(filepath.Join(string(f), name), b, 0o600)
}

// content returns all files of the cache.
func (f folder) content(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(string(f))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(string(f), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// checkUnpoisoned fails unless all the cache holds comes from the publisher.
func (w *world) checkUnpoisoned() {
	w.t.Helper()
	all := w.cache.content(w.t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "time" && !w.genuine[digest([]byte(all[name]))] {
			w.t.Errorf("cache holds a forged %s", name)
		}
	}
}

func wantError[E error](t testing.TB, err error) (e E) {
	t.Helper()
	if !errors.As(err, &e) {
		t.Fatalf("got error %v (%T), want a %T", err, err, e)
	}
	return e
}
