package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// nextRoot publishes root 2 with a change of root 1.
func (w *world) nextRoot(keys []*Key, change func(s object)) {
	w.t.Helper()
	w.forge("metadata/1.root.json", "metadata/2.root.json", keys, func(s object) {
		s["version"] = json.Number("2")
		if change != nil {
			change(s)
		}
	})
}

func rootKeys(s object) object           { return s["keys"].(object) }
func rootRole(s object, n string) object { return s["roles"].(object)[n].(object) }

func asObject(t testing.TB, v any) object {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, b)
}

func (w *world) keyObject(k *Key) object {
	w.t.Helper()
	m, _, err := publicKey(public(k))
	w.must(err)
	return asObject(w.t, m)
}

func TestRootThresholds(t *testing.T) {
	w := newWorld(t)
	a, b := w.recovery, w.key(ECDSA)
	w.must(w.editor.SetKeys("root", 2, public(a), public(b)))
	if _, err := w.editor.Commit(context.Background()); err == nil || !strings.Contains(err.Error(), "wants 2") {
		t.Fatalf("commit with one of two keys: got %v", err)
	}
	change := func(s object) {
		rootKeys(s)[b.ID()] = w.keyObject(b)
		rootRole(s, "root")["keyids"] = []any{a.ID(), b.ID()}
		rootRole(s, "root")["threshold"] = 2
	}
	refused := func(what string) {
		t.Helper()
		if _, err := w.update(); kind(err) != "signature" {
			t.Errorf("%s: got %v", what, err)
		}
	}
	w.nextRoot([]*Key{a}, change)
	refused("one of two")
	w.nextRoot([]*Key{b}, change)
	refused("the new key only")
	w.nextRoot([]*Key{a, b}, change)
	w.mustUpdate()

	// From here two signatures of the old root are needed as well.
	w.forge("metadata/2.root.json", "metadata/3.root.json", []*Key{a}, func(s object) {
		s["version"] = json.Number("3")
		rootRole(s, "root")["keyids"] = []any{a.ID()}
		rootRole(s, "root")["threshold"] = 1
	})
	refused("one of two, going back to one")
}

// Even well signed, a root must make sense, and come right after the last one.
func TestHostileRoots(t *testing.T) {
	for name, change := range map[string]func(s object){
		"version skipped":        func(s object) { s["version"] = json.Number("3") },
		"version 0":              func(s object) { s["version"] = json.Number("0") },
		"no consistent snapshot": func(s object) { s["consistent_snapshot"] = false },
		"role missing":           func(s object) { delete(s["roles"].(object), "snapshot") },
		"threshold 0":            func(s object) { rootRole(s, "timestamp")["threshold"] = 0 },
		"threshold above keys":   func(s object) { rootRole(s, "timestamp")["threshold"] = 2 },
		"keys missing":           func(s object) { delete(s, "keys") },
		"no keys for a role":     func(s object) { rootRole(s, "timestamp")["keyids"] = []any{} },
	} {
		w := newWorld(t)
		w.mustUpdate()
		before := w.cache.content(t)
		w.nextRoot([]*Key{w.recovery}, change)
		if _, err := w.update(); kind(err) != "format" || !strings.Contains(err.Error(), "2.root.json") {
			t.Errorf("%s: got %v", name, err)
		}
		if !reflect.DeepEqual(before, w.cache.content(t)) {
			t.Errorf("%s: the cache changed", name)
		}
	}
}

// One refresh follows 256 new roots, the next one goes on from there.
func TestEndlessRoots(t *testing.T) {
	w := newWorld(t)
	for v := int64(1); v <= maxRootSteps; v++ {
		w.forge(rootFile(v), rootFile(v+1), []*Key{w.recovery}, func(s object) { s["version"] = json.Number(fmt.Sprint(v + 1)) })
	}
	if _, err := w.update(); err == nil || !strings.Contains(err.Error(), "256") {
		t.Fatalf("got %v", err)
	}
	w.mustUpdate()
}

// One key under two ids is one signature.
func TestTwoIDsOfOneKeyCountOnce(t *testing.T) {
	w := newWorld(t)
	k := w.key(ECDSA)
	w.nextRoot([]*Key{w.recovery}, func(s object) {
		rootKeys(s)[k.ID()] = w.keyObject(k)
		twin := w.keyObject(k)
		twin["keytype"] = metadata.KeyTypeECDSA_SHA2_P256_COMPAT
		rootKeys(s)["twin"] = twin
		rootRole(s, "timestamp")["keyids"] = []any{k.ID(), "twin"}
		rootRole(s, "timestamp")["threshold"] = 2
	})
	w.forge(timestampFile, timestampFile, []*Key{k}, nil)
	doc := decode(t, w.files[timestampFile])
	sig := doc["signatures"].([]any)[0].(object)["sig"]
	doc["signatures"] = []any{object{"keyid": k.ID(), "sig": sig}, object{"keyid": "twin", "sig": sig}}
	w.files[timestampFile], _ = json.Marshal(doc)
	if _, err := w.update(); kind(err) != "signature" {
		t.Errorf("got %v", err)
	}
}

// badKeys are keys that must neither count nor spoil anything.
func badKeys(w *world) map[string]object {
	w.t.Helper()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	w.must(err)
	weakPEM, err := cryptoutils.MarshalPublicKeyToPEM(weak.Public())
	w.must(err)
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	w.must(err)
	smallPEM, err := cryptoutils.MarshalPublicKeyToPEM(small.Public())
	w.must(err)
	good := w.keyObject(w.key(ECDSA))["keyval"]
	key := func(kind, scheme string, value any) object {
		return object{"keytype": kind, "scheme": scheme, "keyval": value}
	}
	pem := func(b []byte) any { return object{"public": string(b)} }
	return map[string]object{
		"unknown type":           key("ml-dsa-65", "ml-dsa-65", object{"public": "00"}),
		"unknown scheme":         key("ed25519", "ed25519ph", object{"public": strings.Repeat("00", 32)}),
		"3-byte ed25519":         key("ed25519", "ed25519", object{"public": "010203"}),
		"not hexadecimal":        key("ed25519", "ed25519", object{"public": "xyz"}),
		"no public key":          key("ed25519", "ed25519", object{"public": ""}),
		"ecdsa called ed25519":   key("ecdsa", "ed25519", good),
		"ed25519 with ecdsa key": key("ed25519", "ed25519", good),
		"rsa 1024":               key("rsa", "rsassa-pss-sha256", pem(weakPEM)),
		"rsa called ecdsa":       key("ecdsa", "ecdsa-sha2-nistp256", pem(weakPEM)),
		"ecdsa P-224":            key("ecdsa", "ecdsa-sha2-nistp256", pem(smallPEM)),
		"broken PEM":             key("ecdsa", "ecdsa-sha2-nistp256", object{"public": "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"}),
	}
}

func TestKeysThatDoNotCount(t *testing.T) {
	for name, bad := range badKeys(newWorld(t)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			add := func(s object) {
				rootKeys(s)["bad"] = bad
				for role := range s["roles"].(object) {
					rootRole(s, role)["keyids"] = append([]any{"bad"}, rootRole(s, role)["keyids"].([]any)...)
				}
			}
			w.nextRoot([]*Key{w.recovery}, add)
			w.mustUpdate() // beside a good key it does no harm

			w.insider("targets", func(s object) {
				d := s["delegations"].(object)
				d["keys"].(object)["bad"] = bad
				role := d["roles"].([]any)[0].(object)
				role["keyids"] = append([]any{"bad"}, role["keyids"].([]any)...)
			})
			w.mustUpdate()

			// Its holder signs like everyone else, and does not count.
			w.forge("metadata/2.root.json", "metadata/3.root.json", []*Key{w.recovery}, func(s object) {
				s["version"] = json.Number("3")
				rootRole(s, "timestamp")["keyids"] = []any{"bad"}
			})
			doc := decode(t, w.files[timestampFile])
			doc["signatures"].([]any)[0].(object)["keyid"] = "bad"
			w.files[timestampFile], _ = json.Marshal(doc)
			if _, err := w.update(); kind(err) != "signature" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The keys of a delegation bind: the release key cannot sign for a product that
// has its own.
func TestProductWithItsOwnKey(t *testing.T) {
	w := newWorld(t)
	own := w.key(ECDSA)
	e, err := Open(context.Background(), w.options(), EditorOptions{Now: w.clock, Signers: []Signer{w.release, own}})
	w.must(err)
	w.editor = e
	w.must(e.SetKeys("app", 1, public(own)))
	w.commit()
	w.mustUpdate()
	w.insider("app", func(s object) { s["targets"] = object{} }) // with the release key
	se := wantError[*SignatureError](t, second(w.update()))
	if se.Role != "app" {
		t.Errorf("got %+v", se)
	}
}

func TestECDSARepository(t *testing.T) {
	w := newWorld(t)
	w.recovery, w.release = w.key(ECDSA), w.key(ECDSA)
	e, err := Create(context.Background(), w.recovery, w.release, EditorOptions{Now: w.clock})
	w.must(err)
	w.editor, w.files = e, map[string][]byte{}
	w.publish(target("1.0.0"))
	w.embedded = e.Root()
	w.mustUpdate()
	w.rotate()
	w.mustUpdate()
}

func TestSignersThatAreRefused(t *testing.T) {
	w := newWorld(t)
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	w.must(err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	w.must(err)
	for _, private := range []crypto.Signer{strong, p384} {
		s, err := signature.LoadSigner(private, crypto.SHA256)
		w.must(err)
		if _, err := Create(context.Background(), s, w.release, EditorOptions{}); err == nil {
			t.Errorf("%T: want an error", private)
		}
		if err := w.editor.SetKeys("app", 1, private.Public()); err == nil {
			t.Errorf("SetKeys %T: want an error", private)
		}
	}
	if _, err := Create(context.Background(), w.release, w.release, EditorOptions{}); err == nil {
		t.Error("one key twice: want an error")
	}
	broken := errors.New("no such key")
	if _, err := Create(context.Background(), w.recovery, service{w.release, broken, nil}, EditorOptions{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// service is a signer that can fail, as those over a network do.
type service struct {
	Signer
	public, sign error
}

func (s service) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	if s.public != nil {
		return nil, s.public
	}
	ctx := context.Background()
	for _, o := range opts {
		o.ApplyContext(&ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.Signer.PublicKey(opts...)
}

func (s service) SignMessage(m io.Reader, opts ...signature.SignOption) ([]byte, error) {
	if s.sign != nil {
		return nil, s.sign
	}
	ctx := context.Background()
	for _, o := range opts {
		o.ApplyContext(&ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.Signer.SignMessage(m, opts...)
}

// A signature that verifies does not count either, if it is by a key of a kind
// that does not count.
func TestGoodSignaturesOfBadKeys(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	pss := &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 32}
	for _, tt := range []struct {
		name, kind, scheme string
		private            crypto.Signer
		opts               crypto.SignerOpts
	}{
		{"ecdsa called ed25519", "ecdsa", "ed25519", p256, crypto.SHA256},
		{"ecdsa without a scheme", "ecdsa", "", p256, crypto.SHA256},
		{"ecdsa P-384", "ecdsa", "ecdsa-sha2-nistp256", p384, crypto.SHA256},
		{"rsa", "rsa", "rsassa-pss-sha256", strong, pss},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			pem, err := cryptoutils.MarshalPublicKeyToPEM(tt.private.Public())
			check(t, err)
			w.nextRoot([]*Key{w.recovery}, func(s object) {
				rootKeys(s)["bad"] = object{"keytype": tt.kind, "scheme": tt.scheme, "keyval": object{"public": string(pem)}}
				rootRole(s, "timestamp")["keyids"] = []any{"bad"}
			})
			doc := decode(t, w.files[timestampFile])
			payload, err := cjson.EncodeCanonical(doc["signed"])
			check(t, err)
			sum := sha256.Sum256(payload)
			sig, err := tt.private.Sign(rand.Reader, sum[:], tt.opts)
			check(t, err)
			doc["signatures"] = []any{object{"keyid": "bad", "sig": hex.EncodeToString(sig)}}
			w.files[timestampFile], err = json.Marshal(doc)
			check(t, err)
			if _, err := w.update(); kind(err) != "signature" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Any role can get another key: clients follow, and take nothing more from the
// old one.
func TestRotationOfEveryRole(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "app"} {
		t.Run(role, func(t *testing.T) {
			w := newWorld(t)
			w.mustUpdate()
			fresh := w.key(ECDSA)
			w.editor = w.open(w.recovery, w.release, fresh)
			w.must(w.editor.SetKeys(role, 1, public(fresh)))
			w.commit()
			w.mustUpdate()
			if role == "root" {
				v, err := decode(t, w.editor.Root())["signed"].(object)["version"].(json.Number).Int64()
				check(t, err)
				w.forge(rootFile(v), rootFile(v+1), []*Key{w.recovery}, func(s object) { s["version"] = json.Number(fmt.Sprint(v + 1)) })
			} else {
				w.insider(role, func(object) {}) // with the old release key
			}
			if e := wantError[*SignatureError](t, second(w.update())); e.Role != role {
				t.Errorf("got %+v", e)
			}
		})
	}
}
