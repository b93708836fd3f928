package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

type object = map[string]any

// repo is a repository that says whatever a test wants, and a client's folders.
type repo struct {
	t       *testing.T
	now     time.Time            // of the client
	docs    map[string]object    // what is signed when a role is published
	signers map[string][]*signer // by role
	digests bool                 // list lengths and digests of metadata
	server  *httptest.Server     // serves what follows
	mu      sync.Mutex
	files   map[string][][]byte // by role: its versions, from 1 on
	targets map[string][]byte   // by path
	asked   []string            // of metadata, such as "2.root" or "timestamp"
	fetched []string            // of targets
	dir     string              // the client's
}

type signer struct {
	id   string
	key  object
	sign func(b []byte) []byte
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	r := &repo{t: t, now: time.Now(), docs: map[string]object{}, signers: map[string][]*signer{}, files: map[string][][]byte{}, targets: map[string][]byte{}, dir: t.TempDir()}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r.docs[role] = r.doc(role)
	}
	r.docs["root"]["consistent_snapshot"] = true
	r.docs["root"]["keys"] = object{}
	r.docs["root"]["roles"] = object{}
	r.docs["timestamp"]["meta"] = object{"snapshot.json": object{"version": 1}}
	r.docs["snapshot"]["meta"] = object{"targets.json": object{"version": 1}}
	r.docs["targets"]["targets"] = object{}
	for role := range maps.Keys(maps.Clone(r.docs)) {
		r.roles()[role] = object{"keyids": []string{}, "threshold": 1}
		r.addKey("root", role, r.signer("ecdsa"))
	}
	r.publish("targets", "snapshot", "timestamp", "root")
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *repo) doc(kind string) object {
	return object{"_type": kind, "spec_version": "1.0.31", "version": 0, "expires": stamp(r.now.Add(30 * 24 * time.Hour))}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (r *repo) roles() object { return r.docs["root"]["roles"].(object) }

func (r *repo) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// signer makes a key of a type and its usual scheme.
func (r *repo) signer(kind string) *signer {
	r.t.Helper()
	var private crypto.Signer
	var err error
	hash, opts := crypto.SHA256, crypto.SignerOpts(crypto.SHA256)
	switch kind {
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
		hash, opts = 0, crypto.Hash(0)
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
		opts = &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 32}
	default:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	r.must(err)
	k, err := metadata.KeyFromPublicKey(private.Public())
	r.must(err)
	s := &signer{sign: func(b []byte) []byte {
		if hash != 0 {
			sum := sha256.Sum256(b)
			b = sum[:]
		}
		sig, err := private.Sign(rand.Reader, b, opts)
		r.must(err)
		return sig
	}}
	raw, err := json.Marshal(k)
	r.must(err)
	r.must(json.Unmarshal(raw, &s.key))
	s.rename()
	return s
}

// rename gives the key the id that its fields ask for.
func (s *signer) rename() {
	b, err := cjson.EncodeCanonical(s.key)
	if err != nil {
		panic(err)
	}
	s.id = fmt.Sprintf("%x", sha256.Sum256(b))
}

// addKey lets a key sign for a role, as the delegator says.
func (r *repo) addKey(delegator, role string, s *signer) {
	r.signers[role] = append(r.signers[role], s)
	keys, of := r.docs["root"]["keys"], r.roles()[role]
	if delegator != "root" {
		d := r.docs[delegator]["delegations"].(object)
		keys = d["keys"]
		for _, x := range d["roles"].([]object) {
			if x["name"] == role {
				of = x
			}
		}
	}
	keys.(object)[s.id] = s.key
	o := of.(object)
	o["keyids"] = append(slices.Clone(o["keyids"].([]string)), s.id)
}

// rotate replaces the keys of a top-level role.
func (r *repo) rotate(role string) {
	r.signers[role] = nil
	r.roles()[role].(object)["keyids"] = []string{}
	r.addKey("root", role, r.signer("ecdsa"))
}

// delegate adds a role, which its keys sign.
func (r *repo) delegate(by, role string, terminating bool, paths ...string) {
	d, _ := r.docs[by]["delegations"].(object)
	if d == nil {
		d = object{"keys": object{}, "roles": []object{}}
		r.docs[by]["delegations"] = d
	}
	d["roles"] = append(d["roles"].([]object), object{"name": role, "keyids": []string{}, "threshold": 1, "terminating": terminating, "paths": paths})
	r.addKey(by, role, r.signer("ecdsa"))
	if r.docs[role] == nil {
		r.docs[role] = r.doc("targets")
		r.docs[role]["targets"] = object{}
	}
}

// artifact lists a target in a role, and serves it.
func (r *repo) artifact(role, name, content string, hashes ...string) {
	sums := object{}
	for _, h := range append(hashes, "sha256")[:max(1, len(hashes))] {
		sum := sha256.Sum256([]byte(content))
		sums[h] = hex.EncodeToString(sum[:])
		if h == "sha512" {
			sum := sha512.Sum512([]byte(content))
			sums[h] = hex.EncodeToString(sum[:])
		}
	}
	r.docs[role]["targets"].(object)[name] = object{"length": len(content), "hashes": sums}
	r.mu.Lock()
	defer r.mu.Unlock()
	dir, base := path.Split(name)
	for _, sum := range sums {
		r.targets[dir+sum.(string)+"."+base] = []byte(content)
	}
}

// publish raises the versions of roles and signs them, in this order, and lists
// what it made where the next ones look.
func (r *repo) publish(roles ...string) {
	r.t.Helper()
	for _, role := range roles {
		doc := r.docs[role]
		doc["version"] = doc["version"].(int) + 1
		b := r.sign(role, doc)
		r.mu.Lock()
		r.files[role] = append(r.files[role], b)
		r.mu.Unlock()
		meta := object{"version": doc["version"]}
		if r.digests {
			sum := sha256.Sum256(b)
			meta["length"], meta["hashes"] = len(b), object{"sha256": hex.EncodeToString(sum[:])}
		}
		switch role {
		case "root", "timestamp":
		case "snapshot":
			r.docs["timestamp"]["meta"].(object)["snapshot.json"] = meta
		default:
			r.docs["snapshot"]["meta"].(object)[role+".json"] = meta
		}
	}
}

func (r *repo) sign(role string, doc object) []byte {
	r.t.Helper()
	payload, err := cjson.EncodeCanonical(doc)
	r.must(err)
	sigs := []object{}
	for _, s := range r.signers[role] {
		if !slices.ContainsFunc(sigs, func(o object) bool { return o["keyid"] == s.id }) {
			sigs = append(sigs, object{"keyid": s.id, "sig": hex.EncodeToString(s.sign(payload))})
		}
	}
	b, err := json.MarshalIndent(object{"signatures": sigs, "signed": doc}, "", " ")
	r.must(err)
	return b
}

// edit changes the newest file of a role after it was signed.
func (r *repo) edit(role string, change func(doc object)) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.files[role]
	var doc object
	dec := json.NewDecoder(bytes.NewReader(all[len(all)-1]))
	dec.UseNumber()
	r.must(dec.Decode(&doc))
	change(doc)
	b, err := json.Marshal(doc)
	r.must(err)
	all[len(all)-1] = b
}

// restart forgets what was published of a role, so that the next one is version 1.
func (r *repo) restart(role string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, role)
	r.docs[role]["version"] = 0
}

// ServeHTTP looks at the path as it was sent, escapes and all.
func (r *repo) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file := req.URL.EscapedPath()
	if name, ok := strings.CutPrefix(file, "/targets/"); ok {
		r.fetched = append(r.fetched, name)
		serve(w, r.targets[name])
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(file, "/metadata/"), ".json")
	r.asked = append(r.asked, name)
	role, n := name, len(r.files[name])
	if version, rest, ok := strings.Cut(name, "."); ok {
		n, _ = strconv.Atoi(version)
		role = strings.NewReplacer("%2F", "/", "%3F", "?", "%23", "#").Replace(rest)
	}
	if all := r.files[role]; 0 < n && n <= len(all) {
		serve(w, all[n-1])
		return
	}
	serve(w, nil)
}

func serve(w http.ResponseWriter, b []byte) {
	if b == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Write(b)
}

// client runs the program as its command line would.
func (r *repo) client(args ...string) error {
	r.t.Helper()
	args = append([]string{"--metadata-dir", filepath.Join(r.dir, "metadata"), "--metadata-url", r.server.URL + "/metadata/"}, args...)
	return run(context.Background(), args, func() time.Time { return r.now })
}

func (r *repo) init() {
	r.t.Helper()
	r.must(r.initWith(r.files["root"][0]))
}

func (r *repo) initWith(root []byte) error {
	r.t.Helper()
	for _, d := range []string{"metadata", "targets"} {
		r.must(os.MkdirAll(filepath.Join(r.dir, d), 0o700))
	}
	file := filepath.Join(r.dir, "root.json")
	r.must(os.WriteFile(file, root, 0o600))
	return r.client("init", file)
}

func (r *repo) refresh(good bool) {
	r.t.Helper()
	if err := r.client("refresh"); (err == nil) != good {
		r.t.Fatalf("refresh: got error %v, want success %t", err, good)
	}
}

func (r *repo) download(name string, good bool) {
	r.t.Helper()
	err := r.client("--target-name", name, "--target-dir", filepath.Join(r.dir, "targets"), "--target-base-url", r.server.URL+"/targets/", "download")
	if (err == nil) != good {
		r.t.Fatalf("download: got error %v, want success %t", err, good)
	}
}

// trusts fails unless these and no others are the trusted files, such as "root 2".
func (r *repo) trusts(want ...string) {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, "metadata", "*.json"))
	r.must(err)
	var got []string
	for _, name := range names {
		role := strings.TrimSuffix(filepath.Base(name), ".json")
		got = append(got, fmt.Sprintf("%s %d", role, r.version(role)))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Fatalf("trusted: got %q, want %q", got, want)
	}
}

// version returns what is trusted of a role, 0 for nothing.
func (r *repo) version(role string) int {
	r.t.Helper()
	b := r.stored(role)
	if b == nil {
		return 0
	}
	var doc struct{ Signed struct{ Version int } }
	r.must(json.Unmarshal(b, &doc))
	return doc.Signed.Version
}

func (r *repo) stored(role string) []byte {
	b, err := os.ReadFile(filepath.Join(r.dir, "metadata", role+".json"))
	if os.IsNotExist(err) {
		return nil
	}
	r.must(err)
	return b
}

// requests returns what was asked for since the last call.
func (r *repo) requests() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := strings.Join(r.asked, " ")
	r.asked = nil
	return asked
}

func (r *repo) wantRequests(want string) {
	r.t.Helper()
	if got := r.requests(); got != want {
		r.t.Fatalf("requests: got %q, want %q", got, want)
	}
}

// downloaded returns the content of all downloaded files, sorted.
func (r *repo) downloaded() []string {
	r.t.Helper()
	all := []string{}
	entries, err := os.ReadDir(filepath.Join(r.dir, "targets"))
	r.must(err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(r.dir, "targets", e.Name()))
		r.must(err)
		all = append(all, string(b))
	}
	slices.Sort(all)
	return all
}

func (r *repo) wantDownloaded(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	if got := r.downloaded(); !slices.Equal(got, want) {
		r.t.Fatalf("downloaded: got %q, want %q", got, want)
	}
}
