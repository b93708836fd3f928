package trust

import (
	"crypto"
	"io"

	"github.com/sigstore/sigstore/pkg/signature"
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

// A Key is a private key in memory.
type Key struct{ signer signature.Signer }

// GenerateKey makes a new key.
func GenerateKey(kind Kind) (*Key, error) { panic("todo") }

// LoadKey reads a key file. passphrase is only called if the file is encrypted;
// a wrong one gives [ErrPassphrase].
func LoadKey(path string, passphrase func() ([]byte, error)) (*Key, error) { panic("todo") }

// WriteFile writes the key to a new file, PKCS #8 in PEM, encrypted in the form
// of sigstore. A nil passphrase writes it in the clear, for files that go
// straight into a secret store; an empty one is an error.
func (k *Key) WriteFile(path string, passphrase []byte) error { panic("todo") }

// ID returns the name of the key in metadata: 64 hexadecimal digits.
func (k *Key) ID() string { panic("todo") }

// PublicKey returns the public half.
func (k *Key) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return k.signer.PublicKey(opts...)
}

// SignMessage signs what it reads from message.
func (k *Key) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	return k.signer.SignMessage(message, opts...)
}
