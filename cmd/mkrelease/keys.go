package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/trust"
)

// pendingName is a new release key until the repository names it.
const pendingName = "release.key.new"

func keysVerb(out *cli.Out) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, make, replace and rehearse keys",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(keysListVerb(out), keysGenerateVerb(out), keysPublicVerb(out),
		keysRotateVerb(out), keysReplaceVerb(out), keysSetVerb(out), keysSignVerb(out), keysMergeVerb(out), keysRehearseVerb(out))
	return cmd
}

// keyItem is one key: a file, or one that the repository names.
type keyItem struct {
	File  string   `json:"file,omitempty"`
	ID    string   `json:"id,omitempty"`
	Roles []string `json:"roles,omitempty"`
	Error string   `json:"error,omitempty"`
}

func keysListVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	cmd := &cobra.Command{
		Use:   "list [--repo DIR] --keys DIR",
		Short: "List the keys of a folder, and their roles",
		Long: `List shows the keys of a folder, and the roles that its root.json gives them. With
--repo, the roles are those of the repository, products with keys of their own
among them, and keys that sign for it but are not in the folder are listed too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			roles, err := r.keyRoles(cmd.Context())
			if err != nil {
				return err
			}
			all, err := r.keyFiles(roles)
			if err != nil {
				return err
			}
			files := len(all)
			for _, id := range slices.Sorted(maps.Keys(roles)) {
				if r.repo != "" && !slices.ContainsFunc(all, func(it keyItem) bool { return it.ID == id }) {
					all = append(all, keyItem{ID: id, Roles: roles[id]})
				}
			}
			for _, it := range all {
				tellKey(out, it)
			}
			return out.End(cli.OK, map[string]int{"keys": files})
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.repo, "repo", "", "folder of the repository, or s3://BUCKET/PREFIX")
	f.StringVar(&r.keys.dir, "keys", "", "folder with root.json and the keys")
	r.keys.recoveryFlags(cmd)
	cli.Require(cmd, "keys")
	return cmd
}

// keyRoles returns the roles of each key: by the repository, or else by the
// folder's root.json.
func (r *repository) keyRoles(ctx context.Context) (map[string][]string, error) {
	if r.repo == "" {
		return readRoles(r.keys.path(rootName))
	}
	p, err := r.reader(ctx)
	if err != nil {
		return nil, err
	}
	all, err := p.Roles(ctx)
	roles := map[string][]string{}
	for _, role := range all {
		for _, id := range role.Keys {
			roles[id] = append(roles[id], role.Name)
		}
	}
	return roles, err
}

// keyFiles lists the key files of the folder.
func (r *repository) keyFiles(roles map[string][]string) (all []keyItem, err error) {
	names, err := filepath.Glob(r.keys.path("*.key"))
	for _, name := range names {
		it := keyItem{File: name}
		if key, err := r.keys.load(r.out, filepath.Base(name)); err != nil {
			it.Error = err.Error()
		} else {
			it.ID, it.Roles = key.ID(), roles[key.ID()]
		}
		all = append(all, it)
	}
	return all, err
}

func tellKey(out *cli.Out, it keyItem) {
	file := "(not in this folder)"
	if it.File != "" {
		file = filepath.Base(it.File)
	}
	says := "no role"
	if len(it.Roles) > 0 {
		says = strings.Join(it.Roles, ", ")
	}
	if it.Error != "" {
		out.Item("key", it, "%s", it.Error)
		return
	}
	out.Item("key", it, "%.16s  %s  %s", it.ID, file, says)
}

// readRoles returns the roles of each key in a root.json, only to be shown. A
// missing file names none.
func readRoles(name string) (map[string][]string, error) {
	b, err := smallfile.Read(name, cli.MaxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var root struct {
		Signed struct {
			Roles map[string]struct {
				KeyIDs []string `json:"keyids"`
			} `json:"roles"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(b, &root); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	roles := map[string][]string{}
	for role, r := range root.Signed.Roles {
		for _, id := range r.KeyIDs {
			roles[id] = append(roles[id], role)
		}
	}
	for _, list := range roles {
		slices.Sort(list)
	}
	return roles, nil
}

func keysGenerateVerb(out *cli.Out) *cobra.Command {
	keys := keyring{}
	kind := ""
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Make a key that has no role yet, and its folder",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := checkKind(kind)
			if err != nil {
				return err
			}
			keys.dir = filepath.Dir(args[0])
			if err := os.MkdirAll(keys.dir, 0o700); err != nil {
				return err
			}
			key, err := keys.create(out, filepath.Base(args[0]), releaseName, k)
			if err != nil {
				return err
			}
			return out.Done(cli.OK, keyItem{File: args[0], ID: key.ID()}, "made %s: %s", args[0], key.ID())
		},
	}
	keys.flags(cmd)
	kindFlag(cmd, &kind)
	return cmd
}

func keysRotateVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	kind := ""
	cmd := &cobra.Command{
		Use:   "rotate --repo DIR --keys DIR",
		Short: "Put a new release key in the place of the old one",
		Long: `Rotate makes a new release key, has recovery.key sign that it counts from now on,
and signs anew what the old one signed. Installs follow by themselves, and then
take nothing more from the old key. Both keys must be in the folder; the old one
stays there as release.key.old.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := checkKind(kind)
			if err != nil {
				return err
			}
			key, err := rotate(cmd.Context(), &r, k)
			if err != nil {
				return err
			}
			return out.Done(cli.OK, keyItem{File: r.keys.path(releaseName), ID: key.ID()},
				"%s is a new key: %s\nPut %s away again.", r.keys.path(releaseName), key.ID(), r.keys.path(recoveryName))
		},
	}
	r.flags(cmd)
	r.keys.recoveryFlags(cmd)
	kindFlag(cmd, &kind)
	cli.Require(cmd, "keys")
	return cmd
}

// rotate replaces the release key. The new one is on disk before the
// repository names it, so a run that was cut short can be repeated.
func rotate(ctx context.Context, r *repository, kind trust.Kind) (*trust.Key, error) {
	o, err := r.options(ctx)
	if err != nil {
		return nil, err
	}
	recovery, err := r.keys.load(r.out, recoveryName)
	if err != nil {
		return nil, err
	}
	old, err := r.keys.load(r.out, releaseName)
	if err != nil {
		return nil, err
	}
	key, err := r.keys.load(r.out, pendingName)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = r.keys.create(r.out, pendingName, releaseName, kind)
	}
	if err != nil {
		return nil, err
	}
	o.Signers = []trust.Signer{recovery, key}
	root, err := replaceKey(ctx, o, old, key)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(r.keys.path(releaseName), r.keys.path(releaseName+".old")); err != nil {
		return nil, err
	}
	if err := os.Rename(r.keys.path(pendingName), r.keys.path(releaseName)); err != nil {
		return nil, err
	}
	return key, writeFile(r.keys.path(rootName), root)
}

func replaceKey(ctx context.Context, o publisher.Options, old, new *trust.Key) (root []byte, err error) {
	p, err := publisher.New(o)
	if err != nil {
		return nil, err
	}
	oldPublic, err := old.PublicKey()
	if err != nil {
		return nil, err
	}
	newPublic, err := new.PublicKey()
	if err != nil {
		return nil, err
	}
	return p.ReplaceKey(ctx, oldPublic, newPublic)
}
