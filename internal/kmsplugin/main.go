// Kmsplugin is a key service for tests: a program that speaks the plugin protocol
// of sigstore, and has its keys in a folder. Built as sigstore-kms-drawer and put
// on the PATH, it signs for
//
//	mkrelease publish --key drawer://FOLDER/NAME …
//
// with the ECDSA P-256 key FOLDER/NAME.pem, which it makes when it is first asked.
// It protects nothing.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

func main() {
	if err := run(os.Args); err != nil {
		_ = handler.WriteErrorResponse(os.Stdout, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	call, err := handler.GetPluginArgs(args)
	if err != nil {
		return err
	}
	if call.InitOptions == nil {
		return errors.New("want init options")
	}
	key, err := open(call.InitOptions.KeyResourceID)
	if err != nil {
		return err
	}
	message := new(bytes.Buffer)
	if _, err := message.ReadFrom(os.Stdin); err != nil {
		return err
	}
	_, err = handler.Dispatch(os.Stdout, message, call, key)
	return err
}

// drawer is a key with the few more methods that the protocol asks for.
type drawer struct{ signature.SignerVerifier }

func open(id string) (drawer, error) {
	name := id + ".pem"
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = create(name)
	}
	if err != nil {
		return drawer{}, err
	}
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(b, nil)
	if err != nil {
		return drawer{}, fmt.Errorf("read %s: %w", name, err)
	}
	sv, err := signature.LoadSignerVerifier(private, crypto.SHA256)
	return drawer{sv}, err
}

func create(name string) ([]byte, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	b, err := cryptoutils.MarshalPrivateKeyToPEM(private)
	if err != nil {
		return nil, err
	}
	return b, os.WriteFile(name, b, 0o600)
}

const algorithm = "ecdsa-p256-sha256"

func (d drawer) CreateKey(context.Context, string) (crypto.PublicKey, error) { return d.PublicKey() }
func (d drawer) SupportedAlgorithms() []string                               { return []string{algorithm} }
func (d drawer) DefaultAlgorithm() string                                    { return algorithm }

func (d drawer) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.ErrUnsupported
}
