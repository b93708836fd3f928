package trust

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

func pass(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

func TestKeyFilesRoundTrip(t *testing.T) {
	for _, kind := range []Kind{Ed25519, ECDSA} {
		for _, secret := range [][]byte{nil, []byte("open sesame")} { // stretching costs a tenth of a second each
			k, err := GenerateKey(kind)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "release.key")
			if err := k.WriteFile(path, secret); err != nil {
				t.Fatal(err)
			}
			asked := false
			got, err := LoadKey(path, func() ([]byte, error) { asked = true; return secret, nil })
			if err != nil {
				t.Fatal(err)
			}
			if asked != (secret != nil) {
				t.Errorf("%s: asked for a passphrase: %v", kind, asked)
			}
			if got.ID() != k.ID() || len(k.ID()) != 64 {
				t.Errorf("%s: got id %s, want %s", kind, got.ID(), k.ID())
			}
			signs(t, got, k)
			if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode() != 0o600 {
				t.Errorf("%s: mode %v", kind, info.Mode())
			}
		}
	}
}

// signs fails unless a signature by a counts as one by b.
func signs(t *testing.T, a, b *Key) {
	t.Helper()
	e, err := Create(context.Background(), b, must(GenerateKey(Ed25519)), EditorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hold(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	e.keys[0] = h
	if _, err := e.Commit(context.Background()); err != nil {
		t.Error(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWrongPassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	k := must(GenerateKey(Ed25519))
	if err := k.WriteFile(path, []byte("right")); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []func() ([]byte, error){pass("wrong"), func() ([]byte, error) { return nil, nil }} {
		if _, err := LoadKey(path, wrong); !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := LoadKey(path, nil); err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("no passphrase: got %v", err)
	}
	interrupted := errors.New("interrupted")
	if _, err := LoadKey(path, func() ([]byte, error) { return nil, interrupted }); !errors.Is(err, interrupted) {
		t.Errorf("got %v", err)
	}
}

func TestWriteFileKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	k := must(GenerateKey(Ed25519))
	if err := k.WriteFile(path, []byte{}); err == nil {
		t.Error("empty passphrase: want an error")
	}
	if err := os.WriteFile(path, []byte("another key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteFile(path, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "another key" {
		t.Errorf("the file became %.20q", b)
	}
	if _, err := GenerateKey("rsa"); err == nil {
		t.Error("kind rsa: want an error")
	}
}

func TestDamagedKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if err := must(GenerateKey(Ed25519)).WriteFile(path, []byte("right")); err != nil {
		t.Fatal(err)
	}
	good := must(os.ReadFile(path))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	der := must(x509.MarshalPKCS8PrivateKey(p384))
	block := func(kind string, b []byte, headers map[string]string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b, Headers: headers})
	}
	for name, b := range map[string][]byte{
		"empty":                nil,
		"not PEM":              []byte("hello"),
		"truncated":            good[:len(good)/2],
		"two blocks":           append(bytes.Clone(good), good...),
		"too large":            append(bytes.Clone(good), bytes.Repeat([]byte("\n"), maxKeyFile)...),
		"public key":           must(cryptoutils.MarshalPublicKeyToPEM(p384.Public())),
		"wrong curve":          block(pemPlain, der, nil),
		"plain but not PKCS 8": block(pemPlain, []byte("x"), nil),
		"not JSON":             block(pemEncrypted, []byte("x"), nil),
		"costly to open":       block(pemEncrypted, []byte(`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}`), nil),
		"old encryption":       block(pemPlain, der, map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-CBC,00"}),
		"headers":              block(pemPlain, plainDER(t), map[string]string{"Comment": "x"}),
		"PKCS 8 encryption":    block("ENCRYPTED PRIVATE KEY", der, nil),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path, pass("right")); err == nil || errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// A flipped bit of the ciphertext cannot be told from a wrong passphrase.
	bad := bytes.Clone(good)
	i := bytes.Index(bad, []byte("-----END")) - 40
	bad[i] ^= 1
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path, pass("right")); err == nil {
		t.Error("flipped bit: want an error")
	}
	if _, err := LoadKey(filepath.Join(dir, "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v", err)
	}
}

func plainDER(t *testing.T) []byte {
	_, der, err := must(GenerateKey(Ed25519)).encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func FuzzParseKey(f *testing.F) {
	k := must(GenerateKey(Ed25519))
	for _, secret := range [][]byte{nil, []byte("x")} {
		kind, der, err := k.encode(secret)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := parseKey(b, pass("x")); err == nil && len(k.ID()) != 64 {
			t.Errorf("got a key with id %q", k.ID())
		}
	})
}
