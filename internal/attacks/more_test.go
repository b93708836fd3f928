package attacks

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/trust"
)

func role(s object, name string) object { return s["roles"].(object)[name].(object) }

// give lets keys sign for a role of a root, and no others.
func give(t *testing.T, s object, name string, threshold int, keys ...*trust.Key) {
	t.Helper()
	ids := []any{}
	for _, k := range keys {
		s["keys"].(object)[k.ID()] = keyObject(t, k)
		ids = append(ids, k.ID())
	}
	s["roles"].(object)[name] = object{"keyids": ids, "threshold": threshold}
}

func keyObject(t *testing.T, k *trust.Key) object {
	t.Helper()
	pub, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	m, err := metadata.KeyFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, encode(t, m))
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// listed is an entry of a snapshot.
func listed(version int, b []byte) object {
	return object{"version": version, "length": len(b), "hashes": object{"sha256": fmt.Sprintf("%x", sha256.Sum256(b))}}
}

// keys: one that is named beside good ones does no harm, and alone does not count.
func keys() []attack {
	pem := func(t *testing.T, pub any) object {
		b, err := cryptoutils.MarshalPublicKeyToPEM(pub)
		if err != nil {
			t.Fatal(err)
		}
		return object{"public": string(b)}
	}
	kinds := map[string]func(t *testing.T) object{
		"unknown key type": func(*testing.T) object {
			return object{"keytype": "ml-dsa-65", "scheme": "ml-dsa-65", "keyval": object{"public": "00"}}
		},
		"3-byte ed25519 key": func(*testing.T) object {
			return object{"keytype": "ed25519", "scheme": "ed25519", "keyval": object{"public": "010203"}}
		},
		"ECDSA key under an ed25519 scheme": func(t *testing.T) object {
			k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return object{"keytype": "ecdsa", "scheme": "ed25519", "keyval": pem(t, k.Public())}
		},
		"RSA-1024": func(t *testing.T) object {
			k, err := rsa.GenerateKey(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			return object{"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": pem(t, k.Public())}
		},
		"ECDSA P-224": func(t *testing.T) object {
			k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			return object{"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": pem(t, k.Public())}
		},
	}
	var all []attack
	for name, key := range kinds {
		add := func(w *world, beside bool) {
			w.nextRoot(func(s object) {
				s["keys"].(object)["bad"] = key(w.t)
				ids := []any{"bad"}
				if beside {
					ids = append(ids, w.release.ID())
				}
				role(s, "timestamp")["keyids"] = ids
			}, w.recovery)
			doc := decode(w.t, w.read(timestamp))
			sigs := doc["signatures"].([]any)
			doc["signatures"] = append(sigs, object{"keyid": "bad", "sig": sigs[0].(object)["sig"]})
			w.write(timestamp, encode(w.t, doc))
		}
		all = append(all,
			attack{name: name, want: "trust.SignatureError", last: true, do: func(w *world) { add(w, false) }},
			attack{name: name + " beside a good key", want: "", do: func(w *world) { add(w, true) }})
	}
	return all
}

func clocks() []attack {
	var all []attack
	for _, role := range []string{"timestamp", "snapshot", "targets", "app"} {
		all = append(all, attack{name: "expired " + role, want: "trust.ExpiredError", do: func(w *world) {
			w.insider(role, w.release, func(s object) { s["expires"] = w.now.Add(-day).UTC().Format(time.RFC3339) })
		}})
	}
	return append(all,
		attack{name: "expired root", want: "trust.ExpiredError", do: func(w *world) { w.now = w.now.Add(6 * 365 * day) }},
		attack{name: "cached expired, then replay", want: "trust.RollbackError", last: true, do: func(w *world) {
			w.must(w.update())
			w.now = w.now.Add(400 * day)
			w.copyFrom(w.old, w.repo)
		}},
		attack{name: "clock back", want: "trust.ExpiredError", last: true, do: func(w *world) {
			w.now = w.now.Add(30 * day)
			w.must(second(w.client(nil).Check(context.Background())))
			w.now = w.now.Add(-29 * day)
			w.insider("timestamp", w.release, func(s object) { s["expires"] = w.now.Add(10 * day).UTC().Format(time.RFC3339) })
		}},
		attack{name: "clock 2099", want: "trust.ExpiredError", do: func(w *world) {
			w.now = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
		}},
	)
}

// contents are attacks below the signatures.
func contents() []attack {
	packs := func(change func(b []byte) []byte) func(w *world) {
		return func(w *world) {
			name := w.glob("packs/*/*/*")
			b, err := os.ReadFile(name)
			w.must(err)
			w.must(os.WriteFile(name, change(b), 0o644))
		}
	}
	install := func(w *world) error {
		dir := w.t.TempDir()
		_, err := w.client(func(o *client.Options) { o.Dir = dir }).Install(context.Background(), client.UpdateOptions{})
		if entries, _ := os.ReadDir(dir); len(entries) > 1 {
			w.t.Errorf("something was installed: %v", entries)
		}
		return err
	}
	return []attack{
		{name: "manifest is not as listed", want: "manifest.ListingError", do: func(w *world) {
			w.retarget("manifests/app/1.1.0", func(b []byte, custom object) []byte { custom["severity"] = "critical"; return b })
		}},
		{name: "withdrawn", want: "client.WithdrawnError", do: func(w *world) {
			w.retarget("manifests/app/1.1.0", func(b []byte, custom object) []byte { custom["withdrawn"] = "bad"; return b })
		}, run: func(w *world) error {
			w.must(w.update()) // stays at 1.0.0
			return second(w.client(nil).Update(context.Background(), client.UpdateOptions{Version: "1.1.0"}))
		}},
		{name: "downgrade", want: "client.ErrDowngrade", last: true, do: func(w *world) { w.must(w.update()) }, run: func(w *world) error {
			return second(w.client(nil).Update(context.Background(), client.UpdateOptions{Version: "1.0.0"}))
		}},
		{name: "swapped object", want: "store.MismatchError", do: func(w *world) {
			names := objects(w)
			a, err := os.ReadFile(names[0])
			w.must(err)
			w.must(os.WriteFile(names[1], a, 0o644))
		}, run: install},
		{name: "missing object", want: "store.StatusError", do: func(w *world) { w.must(os.Remove(objects(w)[0])) }, run: install},
		{name: "object bomb", want: "delta.LimitError", do: bomb, run: install},
		{name: "truncated pack", want: "", do: packs(func(b []byte) []byte { return b[:len(b)/2] })},
		{name: "oversized pack", want: "", do: packs(func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) })},
		{name: "flipped pack", want: "", do: packs(func(b []byte) []byte { b[len(b)-40] ^= 1; return b })},
		{name: "wrong old file", want: "client.DriftError", last: true, do: func(w *world) {
			w.must(os.WriteFile(filepath.Join(w.tree, "bin/app"), []byte("mine"), 0o755))
		}},
		{name: "two processes", want: "atomicfs.LockedError", do: func(w *world) {
			tree, err := atomicfs.Open(w.tree, atomicfs.Options{})
			w.must(err)
			w.t.Cleanup(func() { tree.Close() })
		}, last: true},
	}
}

// objects returns the objects of the repository.
func objects(w *world) (names []string) {
	w.t.Helper()
	all, err := filepath.Glob(filepath.Join(w.repo, "objects/*/*"))
	w.must(err)
	for _, name := range all {
		if filepath.Base(filepath.Dir(name)) != "lists" {
			names = append(names, name)
		}
	}
	return names
}

// bomb puts 64 MiB of zeros, well packed and well signed, in the place of
// every object.
func bomb(w *world) {
	w.t.Helper()
	var stored bytes.Buffer
	_, ref, err := delta.WriteObject(context.Background(), &stored, io.LimitReader(zeros{}, 1<<26), delta.Fast)
	w.must(err)
	var m *manifest.Manifest
	w.retarget("manifests/app/1.1.0", func(b []byte, custom object) []byte {
		size, err := custom["size"].(json.Number).Int64()
		w.must(err)
		var digest manifest.Digest
		w.must(digest.UnmarshalText([]byte(custom["digest"].(string))))
		canonical, err := manifest.Decompress(b, size, digest)
		w.must(err)
		m, err = manifest.Parse(bytes.NewReader(canonical))
		w.must(err)
		return b
	})
	bombs := manifest.Objects{}
	for _, e := range m.Entries {
		if e.Kind == manifest.File {
			bombs[e.Digest] = manifest.Object{Size: ref.Size, Digest: ref.Digest}
			w.must(os.WriteFile(filepath.Join(w.repo, manifest.ObjectName(e.Digest)), stored.Bytes(), 0o644))
		}
	}
	// The encoder knows that no object is so much bigger than its content.
	listing := encodeBombs(bombs)
	sum := manifest.Sum(listing)
	w.must(os.WriteFile(filepath.Join(w.repo, manifest.ObjectsName(sum)), listing, 0o644))
	w.retarget("indexes/app/1.1.0", func(b []byte, _ object) []byte {
		x, err := manifest.ParseIndex(b)
		w.must(err)
		x.Objects, x.Packs = manifest.ObjectsFile{Size: int64(len(listing)), Digest: sum}, nil
		b, err = x.Encode()
		w.must(err)
		return b
	})
}

func encodeBombs(bombs manifest.Objects) (b []byte) {
	order := slices.SortedFunc(maps.Keys(bombs), func(a, b manifest.Digest) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range order {
		b = binary.AppendUvarint(b, uint64(bombs[d].Size))
		sum := bombs[d].Digest
		b = append(b, sum[:]...)
	}
	return b
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// trees are manifests, well signed, that would reach outside the tree.
func trees() []attack {
	edit := func(old, new string) func(w *world) {
		return func(w *world) {
			w.retarget("manifests/app/1.1.0", func(b []byte, custom object) []byte {
				size, err := custom["size"].(json.Number).Int64()
				w.must(err)
				var digest manifest.Digest
				w.must(digest.UnmarshalText([]byte(custom["digest"].(string))))
				canonical, err := manifest.Decompress(b, size, digest)
				w.must(err)
				canonical = rewrite(w.t, canonical, old, new)
				custom["size"], custom["digest"] = len(canonical), manifest.Sum(canonical).String()
				b, err = manifest.Compress(canonical)
				w.must(err)
				return b
			})
		}
	}
	return []attack{
		{name: "traversal", want: "manifest.InvalidError", do: edit("A1", "..")},
		{name: "symlink out of the tree", want: "manifest.InvalidError", do: edit("bin/app", "../evil")},
		{name: "case-fold collision", want: "manifest.InvalidError", do: edit("b1", "a1")},
		{name: "control character in a path", want: "manifest.InvalidError", do: edit("A1", "A\n")},
	}
}

// rewrite replaces a text of the entries of a canonical manifest, and corrects
// the digest at its end.
func rewrite(t *testing.T, canonical []byte, old, new string) []byte {
	t.Helper()
	head := bytes.IndexByte(canonical, '\n') + 1
	n, used := binary.Uvarint(canonical[head:])
	head += used + int(n)
	entries := string(canonical[head : len(canonical)-32])
	if strings.Count(entries, old) != 1 || len(old) != len(new) {
		t.Fatalf("%q is %d times in %q", old, strings.Count(entries, old), entries)
	}
	entries = strings.Replace(entries, old, new, 1)
	sum := manifest.Sum([]byte(entries))
	return append(append(bytes.Clone(canonical[:head]), entries...), sum[:]...)
}
