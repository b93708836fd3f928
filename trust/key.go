package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// A Signer signs metadata. A [Key] is one; so is every key of a key service
// that sigstore/pkg/signature/kms opens.
type Signer = signature.Signer

// Kind is an algorithm of keys.
type Kind string

// The kinds of keys whose signatures count.
const (
	Ed25519 Kind = "ed25519"
	ECDSA   Kind = "ecdsa-p256"
)

const maxKeyFile = 64 << 10

// The forms of key files that LoadKey reads. Others of sigstore let the file
// choose how long its passphrase is stretched, so they could stall the reader.
const (
	pemPlain     = string(cryptoutils.PrivateKeyPEMType)
	pemEncrypted = string(cryptoutils.EncryptedSigstorePrivateKeyPEMType)
	pemCosign    = "ENCRYPTED COSIGN PRIVATE KEY" // the older name of the same
)

// A Key is a private key in memory.
type Key struct {
	private crypto.Signer
	signer  signature.Signer
	id      string
}

// GenerateKey makes a new key.
func GenerateKey(kind Kind) (*Key, error) {
	var private crypto.Signer
	var err error
	switch kind {
	case Ed25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case ECDSA:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("unknown kind %.40q, want %q or %q", kind, Ed25519, ECDSA)
	}
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newKey(private)
}

func newKey(private any) (*Key, error) {
	s, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key of type %T, want ed25519 or ecdsa", private)
	}
	_, id, err := publicKey(s.Public())
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return &Key{private: s, signer: signer, id: id}, nil
}

// publicKey returns a public key as metadata has it, and its id there.
func publicKey(pub crypto.PublicKey) (*metadata.Key, string, error) {
	if err := usablePublicKey(pub); err != nil {
		return nil, "", err
	}
	k, err := metadata.KeyFromPublicKey(pub)
	if err != nil {
		return nil, "", err
	}
	id, err := k.ID()
	return k, id, err
}

// LoadKey reads a key file. passphrase is only called if the file is encrypted;
// a wrong one gives [ErrPassphrase].
func LoadKey(path string, passphrase func() ([]byte, error)) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(b) > maxKeyFile {
		err = fmt.Errorf("more than %d bytes", maxKeyFile)
	}
	var k *Key
	if err == nil {
		k, err = parseKey(b, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", path, err)
	}
	return k, nil
}

func parseKey(b []byte, passphrase func() ([]byte, error)) (*Key, error) {
	block, rest := pem.Decode(b)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || len(block.Headers) > 0 {
		return nil, errors.New("want one PEM block without headers")
	}
	var secret []byte
	switch block.Type {
	case pemPlain:
	case pemEncrypted, pemCosign:
		if passphrase == nil {
			return nil, errors.New("encrypted, and no passphrase given")
		}
		var err error
		if secret, err = passphrase(); err != nil {
			return nil, fmt.Errorf("ask for passphrase: %w", err)
		}
		if secret == nil { // for cryptoutils this means: not encrypted
			secret = []byte{}
		}
	default:
		return nil, fmt.Errorf("PEM type %.40q, want %q or %q", block.Type, pemEncrypted, pemPlain)
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(pem.EncodeToMemory(block), cryptoutils.StaticPasswordFunc(secret))
	if err != nil && strings.Contains(err.Error(), "decryption failed") {
		return nil, ErrPassphrase // or a flipped bit: the cipher cannot tell
	}
	if err != nil {
		return nil, err
	}
	return newKey(private)
}

// WriteFile writes the key to a new file, PKCS #8 in PEM, encrypted in the form
// of sigstore. A nil passphrase writes it in the clear, for files that go
// straight into a secret store; an empty one is an error.
func (k *Key) WriteFile(path string, passphrase []byte) error {
	kind, der, err := k.encode(passphrase)
	if err == nil {
		err = writeNew(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

func (k *Key) encode(passphrase []byte) (kind string, der []byte, err error) {
	switch {
	case passphrase == nil:
		der, err = cryptoutils.MarshalPrivateKeyToDER(k.private)
		return pemPlain, der, err
	case len(passphrase) == 0:
		return "", nil, errors.New("empty passphrase")
	}
	der, err = cryptoutils.MarshalPrivateKeyToEncryptedDER(k.private, cryptoutils.StaticPasswordFunc(passphrase))
	return pemEncrypted, der, err
}

// writeNew makes a file that only its owner may read, and sees it to the disk.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path) // half a key is of no use
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // fails on Windows, where it is not needed
		dir.Close()
	}
	return nil
}

// ID returns the name of the key in metadata: 64 hexadecimal digits.
func (k *Key) ID() string { return k.id }

// PublicKey returns the public half.
func (k *Key) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return k.signer.PublicKey(opts...)
}

// SignMessage signs what it reads from message.
func (k *Key) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	return k.signer.SignMessage(message, opts...)
}

// held is a signer whose public key has been asked for: key services answer that
// over the network.
type held struct {
	Signer
	key *metadata.Key
	id  string
}

func hold(ctx context.Context, s Signer) (held, error) {
	pub, err := s.PublicKey(options.WithContext(ctx))
	if err != nil {
		return held{}, fmt.Errorf("ask signer for its public key: %w", err)
	}
	k, id, err := publicKey(pub)
	if err != nil {
		return held{}, fmt.Errorf("use signer: %w", err)
	}
	return held{s, k, id}, nil
}

// sign returns a signature of what is signed in metadata.
func (h held) sign(ctx context.Context, signed any) (metadata.Signature, error) {
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return metadata.Signature{}, err
	}
	sig, err := h.SignMessage(bytes.NewReader(payload), options.WithContext(ctx))
	if err != nil {
		return metadata.Signature{}, fmt.Errorf("key %s: %w", h.id, err)
	}
	return metadata.Signature{KeyID: h.id, Signature: sig}, nil
}
