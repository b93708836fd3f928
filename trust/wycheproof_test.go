package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
)

// vectors are groups of signatures by one key.
type vectors []struct {
	Key   string
	Tests [][]any // number, message, signature, result
}

// TestWycheproof verifies known good and cleverly bad signatures as metadata is
// verified: the key goes into metadata and out again, past the checks of keys,
// and to the verifier that go-tuf loads for it.
func TestWycheproof(t *testing.T) {
	b, err := os.ReadFile("testdata/wycheproof/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Ed25519 vectors `json:"ed25519"`
		ECDSA   vectors `json:"ecdsa-p256-sha256"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	t.Run("ed25519", func(t *testing.T) {
		all.Ed25519.test(t, 150, func(key []byte) crypto.PublicKey { return ed25519.PublicKey(key) })
	})
	t.Run("ecdsa", func(t *testing.T) {
		all.ECDSA.test(t, 400, func(key []byte) crypto.PublicKey {
			return must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key))
		})
	})
}

func (v vectors) test(t *testing.T, least int, public func(key []byte) crypto.PublicKey) {
	t.Helper()
	count := map[string]int{}
	for _, group := range v {
		verifier := verifierOf(t, public(unhex(t, group.Key)))
		for _, test := range group.Tests {
			result := test[3].(string)
			count[result]++
			err := verifier.VerifySignature(bytes.NewReader(unhex(t, test[2].(string))), bytes.NewReader(unhex(t, test[1].(string))))
			if (err == nil) != (result == "valid") {
				t.Errorf("test %v of key %s: got %v, want %s", test[0], group.Key, err, result)
			}
		}
	}
	if n := count["valid"] + count["invalid"]; n < least || len(count) != 2 {
		t.Errorf("ran %v, want at least %d", count, least)
	}
}

func verifierOf(t *testing.T, pub crypto.PublicKey) signature.Verifier {
	t.Helper()
	k, _, err := publicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.usableKey(k); err != nil {
		t.Fatal(err)
	}
	back, err := k.ToPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signature.LoadVerifier(back, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
