package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// kind names the type of an error.
func kind(err error) string {
	for _, k := range []struct {
		name string
		is   bool
	}{
		{"signature", errors.As(err, new(*SignatureError))},
		{"expired", errors.As(err, new(*ExpiredError))},
		{"rollback", errors.As(err, new(*RollbackError))},
		{"content", errors.As(err, new(*ContentError))},
		{"format", errors.As(err, new(*FormatError))},
	} {
		if k.is {
			return k.name
		}
	}
	return fmt.Sprintf("%T", err)
}

// The mirror is hostile but has no key. All it may reach is a typed error: the
// cache stays as it was, and a good mirror afterwards finds nothing amiss.
func TestHostileMirror(t *testing.T) {
	flip := func(file, old, new string) func(w *world) {
		return func(w *world) {
			b := bytes.Replace(w.files[file], []byte(old), []byte(new), 1)
			if bytes.Equal(b, w.files[file]) {
				w.t.Fatalf("%s has no %s", file, old)
			}
			w.files[file] = b
		}
	}
	move := func(from, to string) func(w *world) { return func(w *world) { w.files[to] = w.files[from] } }
	mallory := func(from, to string) func(w *world) {
		return func(w *world) { w.forge(from, to, []*Key{w.key(Ed25519)}, nil) }
	}
	for _, tt := range []struct {
		name   string
		attack func(w *world)
		want   string
	}{
		{"tampered timestamp", flip(timestampFile, `"version":3`, `"version":4`), "signature"},
		{"tampered snapshot", flip("metadata/2.snapshot.json", `"version":2`, `"version":9`), "content"},
		{"tampered targets", flip("metadata/1.targets.json", "indexes/app", "indexes/*"), "content"},
		{"tampered product", flip("metadata/2.app.json", "1.1.0", "6.6.6"), "content"},
		{"timestamp by a stranger", mallory(timestampFile, timestampFile), "signature"},
		{"snapshot by a stranger", mallory("metadata/2.snapshot.json", "metadata/2.snapshot.json"), "content"},
		{"product by a stranger", mallory("metadata/2.app.json", "metadata/2.app.json"), "content"},
		{"root by a stranger", mallory("metadata/2.root.json", "metadata/3.root.json"), "signature"},
		{"unsigned timestamp", func(w *world) { w.forge(timestampFile, timestampFile, nil, nil) }, "signature"},
		{"timestamp by the recovery key", func(w *world) { w.forge(timestampFile, timestampFile, []*Key{w.recovery}, nil) }, "signature"},
		{"snapshot in the place of the timestamp", move("metadata/2.snapshot.json", timestampFile), "format"},
		{"timestamp in the place of the next root", move(timestampFile, "metadata/3.root.json"), "format"},
		{"old root as the next one", move("metadata/2.root.json", "metadata/3.root.json"), "rollback"},
		{"first root as the next one", move("metadata/1.root.json", "metadata/3.root.json"), "signature"},
		{"old snapshot with the new timestamp", move("metadata/1.snapshot.json", "metadata/2.snapshot.json"), "content"},
		{"old product with the new snapshot", move("metadata/1.app.json", "metadata/2.app.json"), "content"},
		{"product in place of targets", move("metadata/2.app.json", "metadata/1.targets.json"), "content"},
		{"timestamp replay", move("old timestamp", timestampFile), "rollback"},
		{"empty timestamp", func(w *world) { w.files[timestampFile] = nil }, "format"},
		{"endless timestamp", func(w *world) { w.files[timestampFile] = make([]byte, maxTimestamp+1) }, "format"},
		{"endless root", func(w *world) { w.files["metadata/3.root.json"] = make([]byte, maxRoot+1) }, "format"},
		{"endless snapshot", func(w *world) {
			w.files["metadata/2.snapshot.json"] = append(w.files["metadata/2.snapshot.json"], ' ')
		}, "format"},
		{"truncated snapshot", func(w *world) {
			w.files["metadata/2.snapshot.json"] = w.files["metadata/2.snapshot.json"][:100]
		}, "content"},
		{"more after the end", func(w *world) { w.files[timestampFile] = append(w.files[timestampFile], "{}"...) }, "format"},
		{"duplicate name", flip(timestampFile, `"_type"`, `"version":4,"_type"`), "format"},
		{"odd-case name", flip(timestampFile, `"_type"`, `"Version":4,"_type"`), "format"},
		{"name that folds to another", flip(timestampFile, `"_type"`, `"ver\u017fion":4,"_type"`), "format"},
		{"not UTF-8", flip(timestampFile, `"_type"`, "\"a\xff\":1,\"_type\""), "format"},
		{"huge number", flip(timestampFile, `"version":3`, `"version":9007199254740992`), "format"},
		{"fraction", flip(timestampFile, `"version":3`, `"version":3.5`), "format"},
		{"exponent", flip(timestampFile, `"version":3`, `"version":3e300`), "format"},
		{"negative number", flip(timestampFile, `"version":3`, `"version":-3`), "format"},
		{"deep nesting", flip(timestampFile, `"_type"`, `"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`,"_type"`), "format"},
		{"duplicate signature", func(w *world) {
			doc := decode(w.t, w.files[timestampFile])
			sigs := doc["signatures"].([]any)
			doc["signatures"] = append(sigs, sigs[0])
			w.files[timestampFile], _ = json.Marshal(doc)
		}, "format"},
		{"thousands of signatures", func(w *world) {
			doc := decode(w.t, w.files["metadata/2.root.json"])
			for i := range 5000 {
				doc["signatures"] = append(doc["signatures"].([]any), map[string]any{"keyid": fmt.Sprint(i), "sig": ""})
			}
			w.files["metadata/3.root.json"], _ = json.Marshal(doc)
		}, "format"},
	} {
		for _, warm := range []bool{false, true} {
			if tt.name == "timestamp replay" && !warm {
				continue // nothing is known yet that it could be older than: see the limits
			}
			if warm && strings.HasSuffix(tt.name, "targets") {
				continue // what the cache has is what the snapshot names: nothing is fetched
			}
			t.Run(fmt.Sprintf("%s/warm=%v", tt.name, warm), func(t *testing.T) {
				w := newWorld(t)
				w.files["old timestamp"] = w.files[timestampFile]
				w.rotateRecovery()
				if warm {
					w.mustUpdate()
				}
				w.publish(target("1.1.0"))
				if tt.name == "timestamp replay" {
					w.mustUpdate()
				}
				good, before := maps.Clone(w.files), w.cache.content(t)
				tt.attack(w)
				w.fetch = w.careless
				_, err := w.update()
				if got := kind(err); got != tt.want {
					t.Fatalf("got %s (%v), want %s", got, err, tt.want)
				}
				w.checkUnpoisoned()
				if after := w.cache.content(t); strings.Contains(err.Error(), "timestamp.json") && warm && !reflect.DeepEqual(after, before) {
					t.Error("the cache changed")
				}
				w.files = good
				if got := w.mustUpdate(); len(got) != 1 || got[0].Name != target("1.1.0").Name {
					t.Errorf("afterwards: got %+v", got)
				}
			})
		}
	}
}

// careless is a fetcher that does not keep the promise about max.
func (w *world) careless(ctx context.Context, name string, _ int64) ([]byte, error) {
	return w.Fetch(ctx, name, math.MaxInt64)
}

// rotateRecovery publishes root 2 with a new recovery key.
func (w *world) rotateRecovery() {
	w.t.Helper()
	next := w.key(ECDSA)
	was, _ := w.recovery.PublicKey()
	is, _ := next.PublicKey()
	e, err := Open(context.Background(), Options{Root: w.embedded, Fetch: w.Fetch, Now: w.clock},
		EditorOptions{Now: w.clock, Signers: []Signer{w.recovery, next, w.release}})
	w.must(err)
	w.must(e.ReplaceKey(was, is))
	w.editor, w.recovery = e, next
	w.commit()
}

func TestNullEverywhere(t *testing.T) {
	w := newWorld(t)
	for _, file := range []string{timestampFile, "metadata/1.root.json", "metadata/1.snapshot.json", "metadata/1.targets.json", "metadata/1.app.json"} {
		role := strings.Split(strings.TrimPrefix(file, "metadata/"), ".")[len(strings.Split(file, "."))-2]
		n := 0
		doc := decode(t, w.files[file])
		eachValue(doc, func(set func(any), old any) {
			n++
			set(nil)
			b, err := json.Marshal(doc)
			w.must(err)
			set(old)
			if err := parseRole(file, role, b); kind(err) != "format" {
				t.Errorf("%s: value %d is null: got %v", file, n, err)
			}
		})
		if n < 12 {
			t.Errorf("%s: only %d values tried", file, n)
		}
		if b, _ := json.Marshal(doc); parseRole(file, role, b) != nil {
			t.Errorf("%s: not good without the nulls", file)
		}
	}
}

// eachValue calls f for every value in v, with a function that replaces it.
func eachValue(v any, f func(set func(any), old any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, old := range v {
			f(func(x any) { v[k] = x }, old)
			eachValue(old, f)
		}
	case []any:
		for i, old := range v {
			f(func(x any) { v[i] = x }, old)
			eachValue(old, f)
		}
	}
}

func parseRole(file, role string, b []byte) (err error) {
	switch role {
	case metadata.ROOT:
		_, err = parse[metadata.RootType](file, role, b, maxRoot)
	case metadata.TIMESTAMP:
		_, err = parse[metadata.TimestampType](file, role, b, maxTimestamp)
	case metadata.SNAPSHOT:
		_, err = parse[metadata.SnapshotType](file, role, b, maxSnapshot)
	default:
		_, err = parse[metadata.TargetsType](file, role, b, maxTargets)
	}
	return err
}

type object = map[string]any

// The thief has the release key, so all is well signed. What it says must still
// be sound.
func TestHostileReleaseKey(t *testing.T) {
	meta := func(s object, name string) object { return s["meta"].(object)[name].(object) }
	delegations := func(s object) object { return s["delegations"].(object) }
	role := func(s object) object { return delegations(s)["roles"].([]any)[0].(object) }
	for _, tt := range []struct {
		name   string
		role   string
		change func(s object)
		want   string
	}{
		{"timestamp without a snapshot", "timestamp", func(s object) { s["meta"] = object{} }, "format"},
		{"snapshot goes back", "timestamp", func(s object) { meta(s, "snapshot.json")["version"] = 1 }, "rollback"},
		{"snapshot without digest", "timestamp", func(s object) { delete(meta(s, "snapshot.json"), "hashes") }, "format"},
		{"snapshot without length", "timestamp", func(s object) { delete(meta(s, "snapshot.json"), "length") }, "format"},
		{"snapshot with a short digest", "timestamp", func(s object) { meta(s, "snapshot.json")["hashes"] = object{"sha256": "00"} }, "format"},
		{"snapshot version 0", "timestamp", func(s object) { meta(s, "snapshot.json")["version"] = 0 }, "format"},
		{"snapshot too long", "timestamp", func(s object) { meta(s, "snapshot.json")["length"] = maxSnapshot + 1 }, "format"},
		{"product goes back", "snapshot", func(s object) { meta(s, "app.json")["version"] = 1 }, "rollback"},
		{"targets go back", "snapshot", func(s object) { meta(s, "targets.json")["version"] = 1 }, "rollback"},
		{"product dropped", "snapshot", func(s object) { delete(s["meta"].(object), "app.json") }, "rollback"},
		{"targets dropped", "snapshot", func(s object) { delete(s["meta"].(object), "targets.json") }, "format"},
		{"name of a role outside", "snapshot", func(s object) { s["meta"].(object)["../app.json"] = meta(s, "app.json") }, "format"},
		{"product version not as listed", "app", func(s object) { s["version"] = 1 }, "format"},
		{"snapshot version not as listed", "snapshot", func(s object) { s["version"] = 1 }, "format"},
		{"product signs outside its paths", "app", func(s object) {
			s["targets"].(object)["manifests/other/1.0.0/any.zst"] = s["targets"].(object)["manifests/app/1.1.0/any.zst"]
		}, "format"},
		{"product signs outside the repository", "app", func(s object) {
			s["targets"].(object)["manifests/app/../any.zst"] = s["targets"].(object)["manifests/app/1.1.0/any.zst"]
		}, "format"},
		{"target without digest", "app", func(s object) {
			s["targets"].(object)["manifests/app/1.1.0/any.zst"].(object)["hashes"] = object{"md5": "00"}
		}, "format"},
		{"role outside", "targets", func(s object) { role(s)["name"] = "../../app" }, "format"},
		{"role named as another", "targets", func(s object) { role(s)["name"] = "snapshot" }, "format"},
		{"role twice", "targets", func(s object) { delegations(s)["roles"] = []any{role(s), role(s)} }, "format"},
		{"threshold 0", "targets", func(s object) { role(s)["threshold"] = 0 }, "format"},
		{"threshold above the keys", "targets", func(s object) { role(s)["threshold"] = 2 }, "format"},
		{"unlisted key", "targets", func(s object) { delegations(s)["keys"] = object{} }, "format"},
		{"no paths", "targets", func(s object) { role(s)["paths"] = []any{} }, "format"},
		{"hash prefixes", "targets", func(s object) { delete(role(s), "paths"); role(s)["path_hash_prefixes"] = []any{"00"} }, "format"},
		{"succinct roles", "targets", func(s object) {
			delete(delegations(s), "roles")
			delegations(s)["succinct_roles"] = object{"keyids": []any{}, "threshold": 1, "bit_length": 8, "name_prefix": "app"}
		}, "format"},
		{"targets of another type", "targets", func(s object) { s["_type"] = "snapshot" }, "format"},
		{"product of another type", "app", func(s object) { s["_type"] = "root" }, "format"},
		{"snapshot of another type", "snapshot", func(s object) { s["_type"] = "timestamp" }, "format"},
		{"timestamp of another type", "timestamp", func(s object) { s["_type"] = "snapshot" }, "format"},
		{"other specification", "targets", func(s object) { s["spec_version"] = "2.0.0" }, "format"},
		{"product without targets", "app", func(s object) { delete(s, "targets") }, "format"},
		{"cyclic delegation", "app", func(s object) {
			s["delegations"] = object{"keys": object{}, "roles": []any{
				object{"name": "app", "keyids": []any{}, "threshold": 1, "terminating": false, "paths": []any{"*"}},
			}}
		}, "format"},
		{"delegations without keys", "targets", func(s object) { s["delegations"] = object{"roles": []any{}} }, "format"},
		{"no expiry", "app", func(s object) { delete(s, "expires") }, "format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish(target("1.1.0"))
			w.must(w.editor.SetKeys("app", 1, public(w.release))) // targets 2
			w.commit()
			w.mustUpdate()
			w.insider(tt.role, tt.change)
			_, err := w.update()
			if got := kind(err); got != tt.want {
				t.Fatalf("got %s (%v), want %s", got, err, tt.want)
			}
			// The owner takes the repository back: the thief's versions are below.
			w.restore()
			w.mustUpdate()
		})
	}
}

func public(k *Key) any {
	pub, _ := k.PublicKey()
	return pub
}

// restore publishes the editor's view of things again, above what a thief made.
func (w *world) restore() {
	w.t.Helper()
	for range 3 {
		w.editor.changed["app"] = true
		w.editor.changed[metadata.TARGETS] = true
		w.commit()
	}
}

// A mirror that hides the new root cannot bring back the revoked key, though the
// program starts from the old root every time.
func TestHiddenRootDoesNotBringBackTheStolenKey(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	before := maps.Clone(w.files)
	stolen := w.rotate()
	w.mustUpdate()
	cache := w.cache.content(t)

	w.files = before // without 2.root.json
	w.release = stolen
	w.insider("app", func(s object) { s["targets"] = object{} })
	e := wantError[*SignatureError](t, second(w.update()))
	if e.File != timestampFile || e.Role != "timestamp" {
		t.Errorf("got %+v", e)
	}
	if !reflect.DeepEqual(cache, w.cache.content(t)) {
		t.Error("the cache changed")
	}
}

// The thief signs versions as high as they go. Once the key is replaced, lower
// ones count again.
func TestFastForwardEndsWithTheKey(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	good := maps.Clone(w.files)
	w.step = 1 << 52
	w.insider("app", func(object) {})
	w.mustUpdate()
	w.files = good
	wantError[*RollbackError](t, second(w.update()))

	w.rotate()
	w.publish(target("1.2.0"))
	if got := w.mustUpdate(); got[0].Name != target("1.2.0").Name {
		t.Errorf("got %+v", got)
	}
}

func TestReplayIsSeenWithoutTheCachedTimestamp(t *testing.T) {
	w := newWorld(t)
	old := w.files[timestampFile]
	w.publish(target("1.1.0"))
	w.mustUpdate()
	w.must(w.cache.Write("timestamp.json", []byte("damaged")))
	w.files[timestampFile] = old
	e := wantError[*RollbackError](t, second(w.update()))
	if e.Have != 2 || e.Got != 1 || e.File != "metadata/1.snapshot.json" {
		t.Errorf("got %+v", e)
	}
}

func TestReplayIsSeenWhenAllHasExpired(t *testing.T) {
	w := newWorld(t)
	old := w.files[timestampFile]
	w.publish(target("1.1.0"))
	w.mustUpdate()
	w.now = start.Add(400 * day)
	w.files[timestampFile] = old
	wantError[*RollbackError](t, second(w.update()))
}

func TestErrorsSayWhatWasWantedAndGot(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&SignatureError{timestampFile, "timestamp", errors.New("none")}, "verify metadata/timestamp.json: signatures of role timestamp: none"},
		{&ExpiredError{timestampFile, start, start.Add(time.Hour)}, "verify metadata/timestamp.json: expired on 2026-03-01T12:00:00Z, and it is 2026-03-01T13:00:00Z"},
		{&RollbackError{timestampFile, 5, 3}, "verify metadata/timestamp.json: got version 3, want at least 5"},
		{&RollbackError{"metadata/app.json", 5, 0}, "verify metadata/app.json: version 5 was listed before and is not any more"},
		{&FormatError{timestampFile, errors.New("null")}, "read metadata/timestamp.json: null"},
		{&ContentError{File: "x", WantLength: 5, GotLength: 3}, "verify x: got 3 bytes, want 5"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestTargetCheck(t *testing.T) {
	tg := target("1.0.0")
	if err := tg.Check([]byte("manifest 1.0.0")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"manifest 1.0.1", "manifest 1.0.0 ", ""} {
		wantError[*ContentError](t, tg.Check([]byte(bad)))
	}
	if got, want := tg.File(), "manifests/app/1.0.0/"+digest([]byte("manifest 1.0.0"))+".any.zst"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// In foreign repositories a target may have any digests. Those that mean
// nothing to us fit no content, and break nothing.
func TestForeignTargetsWithOddDigests(t *testing.T) {
	for _, hashes := range []object{{"sha256": "00"}, {"sha512": "00"}, {"md5": "00"}} {
		w := newWorld(t)
		name := target("1.0.0").Name
		w.insider("app", func(s object) { s["targets"].(object)[name].(object)["hashes"] = hashes })
		opt := w.options()
		opt.Foreign = true
		c, err := New(opt)
		w.must(err)
		w.must(c.Refresh(context.Background()))
		list, err := c.Targets(context.Background(), "app")
		w.must(err)
		if err := list[0].Check([]byte("manifest 1.0.0")); err == nil {
			t.Errorf("%v: content fits", hashes)
		}
		if _, err := c.Find(context.Background(), name); kind(err) != "format" {
			t.Errorf("%v: found: %v", hashes, err)
		}
		if _, err := w.update(); kind(err) != "format" {
			t.Errorf("%v: taken as one of ours: %v", hashes, err)
		}
	}
}
