package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/trust"
)

// The files in a folder of keys.
const (
	releaseName  = "release.key"
	recoveryName = "recovery.key"
	rootName     = "root.json"
)

// The variables that hold passphrases. The recovery key may have one of its
// own: it is put away, and its passphrase with it.
const (
	passphraseName         = "MKRELEASE_PASSPHRASE"
	recoveryPassphraseName = "MKRELEASE_RECOVERY_PASSPHRASE"
)

// keyring is a folder of keys, and where their passphrases come from.
type keyring struct {
	dir                            string
	refs                           []string // of --key
	passphraseFile, recoverySecret string
	known                          map[bool][]byte // passphrases, asked for once: [recovery]
}

func (k *keyring) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.passphraseFile, "passphrase-file", "", "file with the passphrase (default: "+passphraseName+", or the terminal)")
}

func (k *keyring) recoveryFlags(cmd *cobra.Command) {
	k.flags(cmd)
	cmd.Flags().StringVar(&k.recoverySecret, "recovery-passphrase-file", "", "the same for recovery.key (default: "+recoveryPassphraseName+", or the same passphrase)")
}

func (k *keyring) path(name string) string { return filepath.Join(k.dir, name) }

// passphrase returns the passphrase of a key file.
func (k *keyring) passphrase(out *cli.Out, name string, isNew bool) ([]byte, error) {
	recovery := filepath.Base(name) == recoveryName && (k.recoverySecret != "" || cli.HasEnv(recoveryPassphraseName))
	if pass, ok := k.known[recovery]; ok {
		return pass, nil
	}
	p := cli.Passphrase{File: k.passphraseFile, Env: passphraseName, Prompt: "Passphrase for " + cmp.Or(k.dir, name), New: isNew}
	if recovery {
		p = cli.Passphrase{File: k.recoverySecret, Env: recoveryPassphraseName, Prompt: "Passphrase for " + k.path(recoveryName), New: isNew}
	}
	pass, err := out.Passphrase(p)
	if err != nil {
		return nil, err
	}
	if k.known == nil {
		k.known = map[bool][]byte{}
	}
	k.known[recovery] = pass
	return pass, nil
}

// load opens a key file of the folder.
func (k *keyring) load(out *cli.Out, name string) (*trust.Key, error) {
	return trust.LoadKey(k.path(name), func() ([]byte, error) { return k.passphrase(out, name, false) })
}

// create makes a key and writes it to a new file of the folder. Pass names the
// key file whose passphrase it gets.
func (k *keyring) create(out *cli.Out, name, pass string, kind trust.Kind) (*trust.Key, error) {
	secret, err := k.passphrase(out, pass, true)
	if err != nil {
		return nil, err
	}
	key, err := trust.GenerateKey(kind)
	if err != nil {
		return nil, err
	}
	return key, key.WriteFile(k.path(name), secret)
}

// kindFlag adds the choice of a key's algorithm.
func kindFlag(cmd *cobra.Command, kind *string) {
	cmd.Flags().StringVar(kind, "kind", string(trust.Ed25519), fmt.Sprintf("algorithm of the key: %s or %s", trust.Ed25519, trust.ECDSA))
}

func checkKind(kind string) (trust.Kind, error) {
	switch k := trust.Kind(kind); k {
	case trust.Ed25519, trust.ECDSA:
		return k, nil
	}
	return "", &cli.UsageError{Text: fmt.Sprintf("--kind %s: want %s or %s", kind, trust.Ed25519, trust.ECDSA)}
}
