package attacks

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/trust"
)

// attack is a row of the table. While it lasts the client gives the wanted error
// and leaves the tree alone; afterwards the update goes through.
type attack struct {
	name string
	do   func(w *world)
	want string // type of the error; "" for none: then the tree is at 1.1.0 or stays

	stays bool                 // no error, and no update either
	last  bool                 // the attack leaves no way on
	run   func(w *world) error // instead of an update
}

// table is all of them.
func table() (all []attack) {
	for _, part := range [][]attack{signatures(), rollbacks(), bodies(), documents(), keys(), clocks(), contents(), trees(), mirrors(), bundles()} {
		all = append(all, part...)
	}
	return all
}

// TestPromise9Attacks tries them all.
func TestPromise9Attacks(t *testing.T) {
	first := newWorld(t)
	seen := map[string]bool{}
	for _, a := range table() {
		if seen[a.name] {
			t.Errorf("two rows are named %s", a.name)
		}
		seen[a.name] = true
		t.Run(a.name, func(t *testing.T) { a.test(first.clone(t)) })
	}
}

func (a *attack) test(w *world) {
	w.t.Helper()
	a.do(w)
	before := treetest.Read(w.t, w.tree, ".treegraft")
	err := w.run(a)
	if got := kind(err); got != a.want {
		w.t.Fatalf("got %s (%v), want %q", got, err, a.want)
	}
	if a.want == "" && !a.stays {
		w.wantTree(v2())
		return
	}
	w.wantTree(before)
	if a.last {
		return
	}
	w.hook.Store(nil)
	w.stall = 0
	w.now = time.Now()
	w.copyFrom(w.good, w.repo)
	if w.stolen {
		w.rotate() // without that, the owner's versions may be lower than the thief's
	}
	w.must(w.update())
	w.wantTree(v2())
}

func (w *world) run(a *attack) error {
	if a.run != nil {
		return a.run(w)
	}
	return w.update()
}

// flip changes one byte in the middle of a file.
func (w *world) flip(path string) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	w.must(err)
	b[len(b)/2] ^= 1
	w.must(os.WriteFile(path, b, 0o644))
}

func signatures() []attack {
	nothing := func(object) {}
	all := []attack{
		{name: "tampered target", want: "trust.ContentError", do: func(w *world) { w.flip(w.glob("indexes/app/1.1.0/*")) }},
		{name: "duplicate signature", want: "trust.FormatError", do: func(w *world) {
			w.sign(timestamp, w.signedPart(timestamp), w.release, w.release)
		}},
		{name: "threshold 0", want: "trust.FormatError", do: func(w *world) {
			w.nextRoot(func(s object) { role(s, "timestamp")["threshold"] = 0 }, w.recovery)
			w.sign(timestamp, w.signedPart(timestamp))
		}},
		{name: "unsigned timestamp", want: "trust.SignatureError", do: func(w *world) { w.sign(timestamp, w.signedPart(timestamp)) }},
		{name: "root with 1 of 2", want: "trust.SignatureError", do: func(w *world) {
			second := w.key(trust.ECDSA)
			w.nextRoot(func(s object) { give(w.t, s, "root", 2, w.recovery, second) }, w.recovery, second)
			w.nextRoot(nothing, w.recovery)
		}},
		{name: "root with new keys only", want: "trust.SignatureError", do: func(w *world) {
			thief := w.key(trust.Ed25519)
			w.nextRoot(func(s object) { give(w.t, s, "root", 1, thief) }, thief)
		}},
		{name: "two key ids of one key", want: "trust.SignatureError", last: true, do: twoIDs},
		{name: "wrong key for root", want: "trust.SignatureError", do: func(w *world) { w.nextRoot(nothing, w.release) }},
		{name: "wrong key for timestamp: that of the root", want: "trust.SignatureError", do: func(w *world) {
			w.sign(timestamp, w.signedPart(timestamp), w.recovery)
		}},
	}
	for _, role := range []string{"timestamp", "snapshot", "targets", "app"} {
		all = append(all, attack{name: "wrong key for " + role, want: "trust.SignatureError", do: func(w *world) {
			w.insider(role, w.key(trust.Ed25519), nothing)
		}})
	}
	return all
}

func twoIDs(w *world) {
	k := w.key(trust.ECDSA)
	w.nextRoot(func(s object) {
		give(w.t, s, "timestamp", 2, k)
		twin := keyObject(w.t, k)
		twin["keytype"] = "ecdsa-sha2-nistp256"
		s["keys"].(object)["twin"] = twin
		role(s, "timestamp")["keyids"] = []any{k.ID(), "twin"}
	}, w.recovery)
	w.sign(timestamp, w.signedPart(timestamp), k)
	doc := decode(w.t, w.read(timestamp))
	sig := doc["signatures"].([]any)[0].(object)["sig"]
	doc["signatures"] = []any{object{"keyid": k.ID(), "sig": sig}, object{"keyid": "twin", "sig": sig}}
	w.write(timestamp, encode(w.t, doc))
}

func rollbacks() []attack {
	mixed := func(from, to string) func(w *world) {
		return func(w *world) { w.write(to, w.read(from)) }
	}
	return []attack{
		{name: "version skip", want: "trust.FormatError", do: func(w *world) {
			w.nextRoot(func(s object) { s["version"] = 3 }, w.recovery)
		}},
		{name: "root rollback after restart", want: "trust.SignatureError", last: true, do: hiddenRoot},
		{name: "poisoned root history in the cache", want: "trust.SignatureError", do: poisonedHistory},
		{name: "poisoned timestamp in the cache", want: "", do: func(w *world) {
			s := w.signedPart(timestamp)
			s["version"] = int64(1) << 52
			w.must(os.WriteFile(w.cache(timestamp), encode(w.t, object{"signed": s, "signatures": []any{}}), 0o600))
		}},
		{name: "timestamp replay with cache", want: "trust.RollbackError", last: true, do: func(w *world) {
			w.must(w.update())
			w.copyFrom(w.old, w.repo)
		}},
		{name: "timestamp replay without cache", stays: true, last: true, do: func(w *world) {
			w.must(w.update())
			w.must(os.RemoveAll(w.cache("")))
			w.copyFrom(w.old, w.repo) // in which 1.1.0 is not
		}},
		{name: "first run below the floor", want: "client.ErrFloor", do: func(w *world) { w.copyFrom(w.old, w.repo) }, run: func(w *world) error {
			dir := w.t.TempDir()
			_, err := w.client(func(o *client.Options) { o.Dir, o.Floor = dir, 2 }).Install(context.Background(), client.UpdateOptions{})
			if got := treetest.Read(w.t, dir, ".treegraft"); len(got) > 0 {
				w.t.Errorf("something was installed: %v", got)
			}
			return err
		}},
		{name: "mix and match of products", want: "trust.ContentError", do: mixed("1.app.json", "2.app.json")},
		{name: "mix and match of snapshots", want: "trust.ContentError", do: mixed("2.snapshot.json", "3.snapshot.json")},
		{name: "snapshot version below the cached one", want: "trust.RollbackError", do: func(w *world) {
			w.insider("timestamp", w.release, func(s object) { s["meta"].(object)["snapshot.json"].(object)["version"] = 1 })
		}},
		{name: "product version below the cached one", want: "trust.RollbackError", do: func(w *world) {
			w.must(w.update()) // has seen version 2
			w.insider("snapshot", w.release, func(s object) { s["meta"].(object)["app.json"] = listed(1, w.read("1.app.json")) })
		}, last: true},
		{name: "role dropped from snapshot", want: "trust.RollbackError", do: func(w *world) {
			w.insider("snapshot", w.release, func(s object) { delete(s["meta"].(object), "app.json") })
		}},
		{name: "fast-forward, then key rotation", want: "", do: fastForward},
	}
}

func hiddenRoot(w *world) {
	before := w.t.TempDir()
	w.copyTo(before)
	stolen := w.rotate()
	w.must(w.update())
	w.copyFrom(before, w.repo) // without root 2
	w.release = stolen
	w.insider("app", stolen, func(s object) { s["targets"] = object{} })
}

func poisonedHistory(w *world) {
	thief := w.key(trust.Ed25519)
	w.nextRoot(func(s object) {
		for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
			give(w.t, s, role, 1, thief)
		}
	}, thief)
	w.must(os.Rename(w.path("2.root.json"), w.cache("2.root.json")))
	w.sign(timestamp, w.signedPart(timestamp), thief)
}

func fastForward(w *world) {
	before := w.t.TempDir()
	w.copyTo(before)
	w.must(w.update())
	w.must(second(w.client(nil).Rollback(context.Background(), false)))
	w.leap("app", w.release, 1<<51, func(object) {})
	w.must(second(w.client(nil).Check(context.Background()))) // believes it
	w.copyFrom(before, w.repo)
	if got := kind(w.update()); got != "trust.RollbackError" {
		w.t.Errorf("before the rotation: got %s", got)
	}
	w.rotate()
}

func bodies() []attack {
	endless := func(w *world, length string) {
		w.answer(timestamp, func(rw http.ResponseWriter, r *http.Request) {
			if length != "" {
				rw.Header().Set("Content-Length", length)
			}
			chunk := []byte(strings.Repeat(" ", 32<<10))
			for r.Context().Err() == nil {
				if _, err := rw.Write(chunk); err != nil {
					return
				}
			}
		})
	}
	status := func(code int) func(w *world) {
		return func(w *world) {
			w.answer("2.root.json", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) })
		}
	}
	return []attack{
		{name: "endless body", want: "store.LimitError", do: func(w *world) { endless(w, "") }},
		{name: "endless body with Content-Length", want: "store.LimitError", do: func(w *world) { endless(w, "1099511627776") }},
		{name: "slow drip", want: "store.ErrStalled", do: func(w *world) {
			w.stall = 2 * time.Second // or a busy machine looks like an attacker
			w.answer(timestamp, func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Length", "1000")
				for r.Context().Err() == nil {
					rw.Write([]byte(" "))
					rw.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}},
		{name: "403 on the next root", want: "", do: status(http.StatusForbidden)},
		{name: "500 on the next root", want: "store.StatusError", do: status(http.StatusInternalServerError)},
	}
}

func documents() []attack {
	text := func(old, new string) func(w *world) {
		return func(w *world) {
			b := strings.Replace(string(w.read(timestamp)), old, new, 1)
			if b == string(w.read(timestamp)) {
				w.t.Fatalf("no %s in the timestamp", old)
			}
			w.write(timestamp, []byte(b))
		}
	}
	all := []attack{
		{name: "duplicate JSON key", do: text(`"_type"`, `"version":9,"_type"`)},
		{name: "odd-case JSON key", do: text(`"_type"`, `"Version":9,"_type"`)},
		{name: "huge number", do: text(`"version":3`, `"version":9007199254740993`)},
		{name: "non-integer number", do: text(`"version":3`, `"version":3.5`)},
		{name: "negative number", do: text(`"version":3`, `"version":-3`)},
		{name: "deep nesting", do: text(`"_type"`, `"x":`+strings.Repeat("[", 7000)+strings.Repeat("]", 7000)+`,"_type"`)},
		{name: "truncated JSON", do: func(w *world) { w.write(timestamp, w.read(timestamp)[:100]) }},
	}
	all = append(append(all, nulls()...), roles()...)
	for i := range all {
		all[i].want = "trust.FormatError"
	}
	return all
}

func nulls() (all []attack) {
	for _, field := range []string{"signed", "signatures"} {
		all = append(all, attack{name: "null " + field, do: func(w *world) {
			doc := decode(w.t, w.read(timestamp))
			doc[field] = nil
			w.write(timestamp, encode(w.t, doc))
		}})
	}
	for _, field := range []string{"meta", "version", "expires", "spec_version", "_type"} {
		all = append(all, attack{name: "null " + field, do: func(w *world) {
			w.insider("timestamp", w.release, func(s object) { s[field] = nil })
		}})
	}
	for _, field := range []string{"targets", "expires"} {
		all = append(all, attack{name: "null " + field + " of a product", do: func(w *world) {
			w.insider("app", w.release, func(s object) { s[field] = nil })
		}})
	}
	return all
}

func roles() []attack {
	delegated := func(name string, change func(r object)) attack {
		return attack{name: name, do: func(w *world) {
			w.insider("targets", w.release, func(s object) {
				change(s["delegations"].(object)["roles"].([]any)[0].(object))
			})
		}}
	}
	return []attack{
		{name: "cyclic delegation", do: func(w *world) {
			w.insider("app", w.release, func(s object) {
				s["delegations"] = object{"keys": object{w.release.ID(): keyObject(w.t, w.release)}, "roles": []any{object{
					"name": "app", "keyids": []any{w.release.ID()}, "threshold": 1, "terminating": false, "paths": []any{"*"}}}}
			})
		}},
		delegated("role name with ../", func(r object) { r["name"] = "../../app" }),
		delegated("role name of a top-level role", func(r object) { r["name"] = "snapshot" }),
		delegated("threshold above the keys", func(r object) { r["threshold"] = 2 }),
		{name: "timestamp without a snapshot", do: func(w *world) {
			w.insider("timestamp", w.release, func(s object) { s["meta"] = object{} })
		}},
	}
}
