package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// edition is one version of a role: which of ten keys it names, how many of them
// must sign, and which ones did.
type edition struct {
	keys      []int
	threshold int
	sigs      []int
}

func (r *repo) give(role string, e edition, keys []*signer) {
	r.signers[role] = nil
	r.roles()[role].(object)["keyids"] = []string{}
	r.roles()[role].(object)["threshold"] = e.threshold
	for _, i := range e.keys {
		r.addKey("root", role, keys[i])
	}
	r.signers[role] = nil
	for _, i := range e.sigs {
		r.signers[role] = append(r.signers[role], keys[i])
	}
}

func (r *repo) tenKeys() (keys []*signer) {
	for range 10 {
		keys = append(keys, r.signer("ecdsa"))
	}
	return keys
}

func TestRootRotation(t *testing.T) {
	five, later, other := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}, []int{5, 6, 7, 8, 9}
	for name, tt := range map[string]struct {
		versions []edition
		bad      bool // the last one
	}{
		"one key":            {[]edition{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 1}}, {[]int{2}, 1, []int{2}}}, false},
		"strangers sign too": {[]edition{{[]int{1}, 1, []int{3, 1, 4}}, {[]int{2}, 1, []int{3, 2, 1, 4}}, {[]int{2}, 1, []int{3, 2, 4}}}, false},
		"any 3 of 5":         {[]edition{{five, 3, []int{0, 2, 4}}, {five, 3, []int{0, 4, 1}}, {five, 3, []int{0, 1, 3}}}, false},
		"one of 5 at once":   {[]edition{{five, 3, []int{0, 2, 4}}, {later, 3, []int{0, 4, 1}}}, false},
		"one of 5":           {[]edition{{five, 3, []int{0, 2, 4}}, {later, 3, []int{0, 2, 4, 5}}, {later, 3, []int{0, 4, 5}}}, false},
		"all 5":              {[]edition{{five, 3, []int{0, 2, 4}}, {other, 3, []int{0, 2, 4, 5, 6, 7}}, {other, 3, []int{5, 6, 7}}}, false},
		"threshold up":       {[]edition{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{1, 2}}}, false},
		"threshold down":     {[]edition{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}, false},
		"a second key":       {[]edition{{[]int{1}, 1, []int{1}}, {[]int{1, 2}, 2, []int{1, 2}}}, false},

		"not signed by the old key":       {[]edition{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 3, 4}}}, true},
		"not signed by the new key":       {[]edition{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{1, 3, 4}}}, true},
		"2 of 3 new signatures":           {[]edition{{five, 3, []int{0, 2, 4}}, {later, 3, []int{0, 2, 4}}}, true},
		"2 of 3 old signatures":           {[]edition{{five, 3, []int{0, 2, 4}}, {later, 3, []int{0, 4, 5}}}, true},
		"threshold up, not reached":       {[]edition{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{2}}}, true},
		"threshold down, old not reached": {[]edition{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			keys := r.tenKeys()
			r.restart("root")
			for _, v := range tt.versions {
				r.give("root", v, keys)
				r.publish("root")
			}
			r.init()
			r.refresh(!tt.bad)
			last := len(tt.versions)
			if tt.bad {
				last--
			}
			if string(r.stored("root")) != string(r.files["root"][last-1]) {
				t.Errorf("trusted root is version %d, want %d", r.version("root"), last)
			}
		})
	}
}

func TestRotationOfOtherRoles(t *testing.T) {
	five, later := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}
	for name, tt := range map[string]struct {
		edition
		good bool
	}{
		"new key":            {edition{[]int{2}, 1, []int{2}}, true},
		"strangers sign too": {edition{[]int{1}, 1, []int{3, 1, 4}}, true},
		"strangers only":     {edition{[]int{2}, 1, []int{1, 3, 4}}, false},
		"2 of 3":             {edition{later, 3, []int{0, 4}}, false},
		"2 of 3, a stranger": {edition{later, 3, []int{0, 2, 4}}, false},
		"3 of 5":             {edition{five, 3, []int{0, 2, 4}}, true},
		"other 3 of 5":       {edition{five, 3, []int{1, 2, 3}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.init()
			keys := r.tenKeys()
			for _, role := range []string{"timestamp", "snapshot", "targets"} {
				r.give(role, tt.edition, keys)
				r.publish("root", "targets", "snapshot", "timestamp")
				r.refresh(tt.good)
				if all := r.files[role]; tt.good && string(r.stored(role)) != string(all[len(all)-1]) {
					t.Errorf("%s %d, want the newest", role, r.version(role))
				}
			}
		})
	}
}

func TestKeyTypes(t *testing.T) {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			r := newRepo(t)
			r.init()
			s := r.signer(kind)
			r.addKey("root", "root", s)
			r.roles()["root"].(object)["threshold"] = 2
			r.publish("root")
			r.refresh(true)
			r.publish("root")
			r.edit("root", func(doc object) {
				for _, sig := range doc["signatures"].([]any) {
					if sig := sig.(object); sig["keyid"] == s.id {
						sig["sig"] = fmt.Sprintf("%x", s.sign([]byte("something else")))
					}
				}
			})
			r.refresh(false)
			if got := r.version("root"); got != 2 {
				t.Errorf("root %d", got)
			}
		})
	}
}

func TestThresholdBelow(t *testing.T) {
	r := newRepo(t)
	r.roles()["snapshot"].(object)["threshold"] = 3
	r.addKey("root", "snapshot", r.signer("ecdsa"))
	r.addKey("root", "snapshot", r.signer("ecdsa"))
	r.publish("root", "targets", "snapshot", "timestamp")
	r.init()
	r.refresh(true)
	r.signers["snapshot"] = r.signers["snapshot"][:2]
	r.publish("targets", "snapshot", "timestamp")
	r.refresh(false)
	if got := r.version("snapshot"); got != 2 {
		t.Errorf("snapshot %d", got)
	}
}

// A root may name fewer keys than it wants. Only that role cannot go on.
func TestThresholdAboveTheKeys(t *testing.T) {
	r := newRepo(t)
	r.init()
	for range 4 {
		r.addKey("root", "snapshot", r.signer("ecdsa"))
	}
	r.roles()["snapshot"].(object)["threshold"] = 6
	r.publish("root", "snapshot", "timestamp")
	r.refresh(false)
	if r.version("root") != 2 || r.version("snapshot") == 2 {
		t.Errorf("root %d, snapshot %d", r.version("root"), r.version("snapshot"))
	}
}

func TestOneKeyManyTimes(t *testing.T) {
	r := newRepo(t)
	r.init()
	s := r.signer("ecdsa")
	for range 9 {
		r.addKey("root", "snapshot", s)
	}
	r.roles()["snapshot"].(object)["threshold"] = 6
	r.publish("root", "snapshot", "timestamp")
	r.edit("snapshot", func(doc object) {
		sigs := doc["signatures"].([]any)
		doc["signatures"] = append(sigs, slices.Repeat(sigs[:1], 8)...)
	})
	r.refresh(false)
	if r.stored("snapshot") != nil {
		t.Error("the snapshot is trusted")
	}
}

func TestDuplicateSignature(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.edit("snapshot", func(doc object) {
		sigs := doc["signatures"].([]any)
		doc["signatures"] = append(sigs, sigs[0])
	})
	r.refresh(false)
	if r.stored("snapshot") != nil {
		t.Error("the snapshot is trusted")
	}
}

func TestRollback(t *testing.T) {
	for _, digests := range []bool{false, true} {
		t.Run(fmt.Sprintf("snapshot/digests=%t", digests), func(t *testing.T) {
			r := newRepo(t)
			r.digests = digests
			r.init()
			r.publish("snapshot", "timestamp")
			r.refresh(true)
			r.requests()
			r.restart("snapshot")
			r.publish("snapshot", "timestamp")
			r.refresh(false)
			r.wantRequests("2.root timestamp")
			r.trusts("root 1", "timestamp 2", "snapshot 2", "targets 1")
		})
		t.Run(fmt.Sprintf("targets/digests=%t", digests), func(t *testing.T) {
			r := newRepo(t)
			r.digests = digests
			r.init()
			r.publish("targets", "snapshot", "timestamp")
			r.refresh(true)
			r.restart("targets")
			r.publish("targets", "snapshot", "timestamp")
			r.refresh(false)
			if r.version("snapshot") != 2 || r.version("targets") != 2 {
				t.Errorf("snapshot %d, targets %d", r.version("snapshot"), r.version("targets"))
			}
		})
	}
	t.Run("timestamp", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.publish("timestamp")
		r.refresh(true)
		r.restart("timestamp")
		r.publish("timestamp")
		r.refresh(false)
		r.trusts("root 1", "timestamp 2", "snapshot 1", "targets 1")
	})
	t.Run("a snapshot that no timestamp names", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.publish("snapshot", "timestamp")
		r.refresh(true)
		r.publish("snapshot")
		r.refresh(true)
		r.trusts("root 1", "timestamp 2", "snapshot 2", "targets 1")
	})
	t.Run("the timestamp names an older snapshot", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.publish("snapshot")
		r.docs["timestamp"]["meta"].(object)["snapshot.json"] = object{"version": 1}
		r.publish("root", "timestamp")
		r.refresh(true)
		r.trusts("root 2", "timestamp 2", "snapshot 1", "targets 1")
	})
}

// Once new keys sign, lower versions count again.
func TestFastForwardRecovery(t *testing.T) {
	forward := func(r *repo, role string) {
		for range 99 {
			r.publish(role)
		}
	}
	t.Run("targets", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		forward(r, "targets")
		r.publish("snapshot", "timestamp")
		r.refresh(true)
		r.rotate("snapshot")
		r.docs["targets"]["version"] = 1
		r.files["targets"] = r.files["targets"][:1]
		r.publish("root", "targets", "snapshot", "timestamp")
		r.refresh(true)
		if got := r.version("targets"); got != 2 {
			t.Errorf("targets %d", got)
		}
	})
	t.Run("snapshot", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		forward(r, "snapshot")
		r.publish("timestamp")
		r.refresh(true)
		r.rotate("snapshot")
		r.rotate("timestamp")
		r.restart("snapshot")
		r.publish("root", "targets", "snapshot", "timestamp")
		r.refresh(true)
		if got := r.version("snapshot"); got != 1 {
			t.Errorf("snapshot %d", got)
		}
	})
	t.Run("timestamp", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		forward(r, "timestamp")
		r.refresh(true)
		r.rotate("timestamp")
		r.restart("timestamp")
		r.publish("root", "targets", "snapshot", "timestamp")
		r.refresh(true)
		if got := r.version("timestamp"); got != 1 {
			t.Errorf("timestamp %d", got)
		}
	})
}

// Without digests a client cannot tell by them that it has what is wanted.
func TestSameVersionWithOtherKeys(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.refresh(true)
	r.rotate("targets")
	r.restart("targets")
	r.publish("targets", "root")
	r.refresh(true)
	var doc struct{ Signatures []struct{ KeyID string } }
	r.must(json.Unmarshal(r.stored("targets"), &doc))
	if doc.Signatures[0].KeyID != r.signers["targets"][0].id {
		t.Error("targets are still those of the old key")
	}
}

// Other tools give keys the older name of their type, and fields of their own to
// keys, roles and files.
func TestFieldsOfOtherTools(t *testing.T) {
	r := newRepo(t)
	s := r.signer("ecdsa")
	s.key["keytype"] = "ecdsa-sha2-nistp256"
	s.key["x-tuf-on-ci-keyowner"] = "@somebody"
	s.id = "0123abcd" // an id need not be a digest
	r.signers["timestamp"] = nil
	r.roles()["timestamp"].(object)["keyids"] = []string{}
	r.addKey("root", "timestamp", s)
	r.roles()["timestamp"].(object)["x-tuf-on-ci-expiry-period"] = 7300
	r.docs["root"]["x-tuf-on-ci-signing-period"] = 60
	r.docs["targets"]["x-tuf-on-ci-signing-period"] = 60
	r.delegate("targets", "below", true, "below/*", "below/*/*")
	r.docs["below"]["x-tuf-on-ci-expiry-period"] = 7300
	r.artifact("below", "below/a/file", "content")
	r.publish("root", "below", "targets", "snapshot", "timestamp")
	r.init()
	r.refresh(true)
	r.download("below/a/file", true)
	r.wantDownloaded("content")
	r.trusts("product.below 1", "root 2", "snapshot 2", "targets 2", "timestamp 2")
}
