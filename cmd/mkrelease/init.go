package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/trust"
)

func initVerb(out *cli.Out) *cobra.Command {
	var repo, kind string
	keys := keyring{}
	cmd := &cobra.Command{
		Use:   "init --repo DIR --keys DIR",
		Short: "Make an empty repository and the keys for it",
		Long: `Init makes two keys and a repository that is signed by them. It never replaces a
key, and refuses a repository that holds something. The root.json that clients
start from is put beside the keys, and into the repository.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := initRepository(cmd.Context(), out, repo, &keys, kind)
			if err != nil {
				return err
			}
			tellKeys(out, &keys)
			return out.Done(cli.OK, map[string]string{
				"repo": repo, "release_key": keys.path(releaseName),
				"recovery_key": keys.path(recoveryName), "root": keys.path(rootName),
			}, "Created an empty repository in %s.", repo)
		},
	}
	f := cmd.Flags()
	f.StringVar(&repo, "repo", "", "folder for the repository, made if it is missing, or s3://BUCKET/PREFIX")
	f.StringVar(&keys.dir, "keys", "", "folder for the keys; made if it is missing")
	keys.recoveryFlags(cmd)
	kindFlag(cmd, &kind)
	cli.Require(cmd, "repo", "keys")
	return cmd
}

func initRepository(ctx context.Context, out *cli.Out, repo string, keys *keyring, kind string) error {
	k, err := checkKind(kind)
	if err != nil {
		return err
	}
	now, err := clock()
	if err != nil {
		return err
	}
	for _, name := range []string{recoveryName, releaseName, rootName} {
		if _, err := os.Lstat(keys.path(name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists: a key is never replaced", keys.path(name))
		}
	}
	if !strings.Contains(repo, "://") {
		if err := os.MkdirAll(repo, 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(keys.dir, 0o700); err != nil {
		return err
	}
	s, err := openStore(repo)
	if err != nil {
		return err
	}
	root, err := makeKeys(ctx, publisher.Options{Store: s, Now: now, Events: events(out)}, out, keys, k)
	if err != nil {
		return err
	}
	// A copy goes along with the repository, for whoever gets that by a way they
	// trust, such as a stick.
	if err := s.Push(ctx, rootName, bytes.NewReader(root), int64(len(root))); err != nil {
		return err
	}
	return writeFile(keys.path(rootName), root)
}

// makeKeys makes two keys and the repository that they sign. Keys come first: a
// repository without its keys would be of no use. Those of a repository that
// could not be made are of no use either.
func makeKeys(ctx context.Context, o publisher.Options, out *cli.Out, keys *keyring, kind trust.Kind) (root []byte, err error) {
	var made []trust.Signer
	var names []string
	defer func() {
		for _, name := range names {
			if err != nil {
				_ = os.Remove(keys.path(name))
			}
		}
	}()
	for _, name := range []string{recoveryName, releaseName} {
		key, err := keys.create(out, name, name, kind)
		if err != nil {
			return nil, err
		}
		made, names = append(made, key), append(names, name)
	}
	return publisher.Init(ctx, o, made[0], made[1])
}

// tellKeys says what to do with the keys, and what is lost without them. It is
// the one moment to hear that.
func tellKeys(out *cli.Out, keys *keyring) {
	out.Say(`%s
  signs every release. Keep it where you publish, and a copy elsewhere.
%s
  signs nothing but a new release key. Take it off this machine now, and keep
  two copies in different places, with the passphrase.
%s
  is no secret: embed it in your program, or hand it to applyrelease install.

If release.key is lost or stolen: "mkrelease keys rotate" makes a new one, with
recovery.key, and installs follow by themselves.
If recovery.key is lost: releases go on, but a stolen release key could then
only be shut out by giving every install a new root.json.
If both are lost, no install can ever be updated again: everybody must install
anew.
`, keys.path(releaseName), keys.path(recoveryName), keys.path(rootName))
}
