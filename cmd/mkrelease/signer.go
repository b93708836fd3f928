package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/trust"
)

// keyFlags adds the choice of keys that sign.
func (k *keyring) keyFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&k.refs, "key", nil,
		"key that signs: a file, or NAME://ID of a key service (default: the ones in --keys); may be repeated")
}

// signer opens a key: a file, or NAME://ID, which the program sigstore-kms-NAME
// on the PATH has the key for.
func (k *keyring) signer(ctx context.Context, out *cli.Out, ref string) (trust.Signer, error) {
	if !strings.Contains(ref, "://") {
		return trust.LoadKey(ref, func() ([]byte, error) { return k.passphrase(out, ref, false) })
	}
	s, err := kms.Get(ctx, ref, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", ref, err)
	}
	return s, nil
}

// signers returns the keys of --key, or else those of the folder that are there
// by the given names.
func (k *keyring) signers(ctx context.Context, out *cli.Out, names ...string) (all []trust.Signer, err error) {
	for _, ref := range k.refs {
		s, err := k.signer(ctx, out, ref)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(k.refs) > 0 {
		return all, nil
	}
	for _, name := range names {
		key, err := k.load(out, name)
		if errors.Is(err, fs.ErrNotExist) && len(names) > 1 {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	return all, nil
}

// public returns a public key: of a PEM file, or of a key that could sign.
func (k *keyring) public(ctx context.Context, out *cli.Out, ref string) (crypto.PublicKey, error) {
	if !strings.Contains(ref, "://") {
		b, err := smallfile.Read(ref, cli.MaxRoot)
		if err != nil {
			return nil, err
		}
		if pub, err := cryptoutils.UnmarshalPEMToPublicKey(b); err == nil {
			return pub, nil
		}
	}
	s, err := k.signer(ctx, out, ref)
	if err != nil {
		return nil, err
	}
	return s.PublicKey()
}

func (k *keyring) publics(ctx context.Context, out *cli.Out, refs []string) (all []crypto.PublicKey, err error) {
	for _, ref := range refs {
		pub, err := k.public(ctx, out, ref)
		if err != nil {
			return nil, err
		}
		all = append(all, pub)
	}
	return all, nil
}

func keysPublicVerb(out *cli.Out) *cobra.Command {
	keys := keyring{}
	cmd := &cobra.Command{
		Use:   "public KEY",
		Short: "Print the public half of a key, as PEM",
		Long: `Public prints what others need to name a key in "keys set" and "keys replace". KEY
is a file, or NAME://ID of a key service.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			pub, err := keys.public(cmd.Context(), out, args[0])
			if err != nil {
				return err
			}
			pem, err := cryptoutils.MarshalPublicKeyToPEM(pub)
			if err != nil {
				return err
			}
			return out.Done(cli.OK, map[string]string{"public": string(pem)}, "%s", strings.TrimSpace(string(pem)))
		},
	}
	keys.flags(cmd)
	return cmd
}
