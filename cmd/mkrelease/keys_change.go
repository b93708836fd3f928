package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/trust"
)

// maxProposal bounds the bytes of a proposal, as package trust does.
const maxProposal = 64 << 20

// exportFlag adds the way out for whoever has not all keys at hand.
func (r *repository) exportFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.export, "export", "", "write a proposal for others to sign to this file, and change nothing")
}

// propose returns what a Publisher does with a proposal: nil without --export.
func (r *repository) propose() func([]byte) error {
	if r.export == "" {
		return nil
	}
	return func(b []byte) error { return writeFile(r.export, b) }
}

// tellRoot ends a verb that changed keys: with the new root, or a proposal.
func (r *repository) tellRoot(root []byte, text string, args ...any) error {
	if r.export != "" {
		return r.out.Done(cli.OK, map[string]string{"proposal": r.export},
			"Wrote %s: have it signed with \"mkrelease keys sign\", and then \"mkrelease keys merge\".", r.export)
	}
	if err := writeFile(r.keys.path(rootName), root); err != nil {
		return err
	}
	return r.out.Done(cli.OK, map[string]string{"root": r.keys.path(rootName)}, text, args...)
}

func keysSetVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	var public []string
	change := publisher.KeyChange{}
	cmd := &cobra.Command{
		Use:   "set --repo DIR --keys DIR --role ROLE --public KEY... [--threshold N]",
		Short: "Say which keys sign a role, and how many of them must",
		Long: `Set names the keys of a role: root, timestamp, snapshot, targets or a product. A
public key is a PEM file, a key file, or NAME://ID of a key service. Where not all
keys that must sign this are at hand, --export writes a proposal instead.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			p, err := r.keySigner(cmd.Context())
			if err != nil {
				return err
			}
			if change.Keys, err = r.keys.publics(cmd.Context(), out, public); err != nil {
				return err
			}
			root, err := p.SetKeys(cmd.Context(), change)
			if err != nil {
				return err
			}
			return r.tellRoot(root, "%s is signed by %d of %s now.", change.Role, change.Threshold, cli.Count(len(public), "key", "keys"))
		},
	}
	r.changeFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&change.Role, "role", "", "root, timestamp, snapshot, targets or a product")
	f.StringArrayVar(&public, "public", nil, "a key of the role; may be repeated")
	f.IntVar(&change.Threshold, "threshold", 1, "how many of the keys must sign")
	cli.Require(cmd, "role", "public")
	return cmd
}

// changeFlags adds those of verbs that change keys.
func (r *repository) changeFlags(cmd *cobra.Command) {
	r.flags(cmd)
	r.keys.recoveryFlags(cmd)
	r.keys.keyFlags(cmd)
	r.exportFlag(cmd)
	cli.Require(cmd, "keys")
}

func keysReplaceVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	old, new := "", ""
	cmd := &cobra.Command{
		Use:   "replace --repo DIR --keys DIR --old KEY --new KEY",
		Short: "Put one key in the place of another, in all roles",
		Long: `Replace is for any key what "keys rotate" is for release.key: the recovery key
itself, a key of a product, one of several. What the old key signed is signed
anew, so the new key must be at hand, or sign the proposal that --export writes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := r.keySigner(cmd.Context())
			if err != nil {
				return err
			}
			keys, err := r.keys.publics(cmd.Context(), out, []string{old, new})
			if err != nil {
				return err
			}
			root, err := p.ReplaceKey(cmd.Context(), keys[0], keys[1])
			if err != nil {
				return err
			}
			return r.tellRoot(root, "%s is in the place of %s now.", new, old)
		},
	}
	r.changeFlags(cmd)
	cmd.Flags().StringVar(&old, "old", "", "key to be replaced: a PEM file, a key file, or NAME://ID")
	cmd.Flags().StringVar(&new, "new", "", "key that takes its place")
	cli.Require(cmd, "old", "new")
	return cmd
}

func keysSignVerb(out *cli.Out) *cobra.Command {
	keys := keyring{}
	cmd := &cobra.Command{
		Use:   "sign [--keys DIR | --key KEY...] PROPOSAL",
		Short: "Look at a proposal, and sign it",
		Long: `Sign shows what a proposal would change, and adds signatures to it by those of
the given keys that it asks for. Without keys it only shows. It needs no
repository and no network, so it runs where the key is. Compare the digests with
those of the others who sign.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := smallfile.Read(args[0], maxProposal)
			if err != nil {
				return err
			}
			var signers []trust.Signer
			if keys.dir != "" || len(keys.refs) > 0 {
				if signers, err = keys.signers(cmd.Context(), out, recoveryName, releaseName); err != nil {
					return err
				}
			}
			signed, files, err := trust.Countersign(cmd.Context(), b, signers...)
			if err != nil {
				return err
			}
			missing := tellPending(out, files)
			if len(signers) > 0 {
				if err := writeFile(args[0], signed); err != nil {
					return err
				}
			}
			return out.Done(cli.OK, map[string]int{"missing": missing}, "%s", tellMissing(missing))
		},
	}
	keys.recoveryFlags(cmd)
	keys.keyFlags(cmd)
	cmd.Flags().StringVar(&keys.dir, "keys", "", "folder with the keys that sign")
	return cmd
}

func tellPending(out *cli.Out, files []trust.Pending) (missing int) {
	for _, f := range files {
		out.Item("file", f, "%s %d, good until %s\n  sha256 %s\n  signed by %s\n  %s", f.Role, f.Version, f.Expires.UTC().Format("2006-01-02"),
			f.SHA256, strings.Join(append(f.Signed, "nobody")[:max(1, len(f.Signed))], ", "), strings.Join(f.Roles, "\n  "))
		missing = max(missing, f.Missing)
	}
	return missing
}

func tellMissing(n int) string {
	if n > 0 {
		return fmt.Sprintf("It wants %s more.", cli.Count(n, "signature", "signatures"))
	}
	return "It has all signatures: \"mkrelease keys merge\" makes it live."
}

func keysMergeVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	cmd := &cobra.Command{
		Use:   "merge --repo DIR --keys DIR PROPOSAL...",
		Short: "Make signed proposals live",
		Long: `Merge takes one or more copies of a proposal, with all its signatures between
them, signs snapshot and timestamp, and makes it live. A proposal is for one state
of the repository: after another publish it has to be made anew.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var proposals [][]byte
			for _, name := range args {
				b, err := smallfile.Read(name, maxProposal)
				if err != nil {
					return err
				}
				proposals = append(proposals, b)
			}
			p, err := r.signer(cmd.Context())
			if err != nil {
				return err
			}
			root, err := p.Merge(cmd.Context(), proposals...)
			if err != nil {
				return err
			}
			return r.tellRoot(root, "The proposal is live.")
		},
	}
	r.signFlags(cmd)
	return cmd
}

func keysRehearseVerb(out *cli.Out) *cobra.Command {
	r := repository{out: out}
	cmd := &cobra.Command{
		Use:   "rehearse --repo DIR --keys DIR",
		Short: "Go through the loss and theft of keys, on a copy",
		Long: `Rehearse replaces keys as one would after a theft or a loss, on a copy of the
metadata in memory, and shows that a client follows. It publishes nothing. It
needs recovery.key and release.key, so it also shows that both can be read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			recovery, err := r.keys.load(out, recoveryName)
			if err != nil {
				return err
			}
			release, err := r.keys.load(out, releaseName)
			if err != nil {
				return err
			}
			p, err := r.reader(cmd.Context())
			if err != nil {
				return err
			}
			drills, err := p.RehearseKeys(cmd.Context(), recovery, release)
			if err != nil {
				return err
			}
			return tellDrills(out, drills)
		},
	}
	r.flags(cmd)
	r.keys.recoveryFlags(cmd)
	cli.Require(cmd, "keys")
	return cmd
}

func tellDrills(out *cli.Out, drills []publisher.Drill) error {
	var failed error
	for _, d := range drills {
		item := struct {
			Name  string `json:"name"`
			Says  string `json:"says,omitempty"`
			Error string `json:"error,omitempty"`
		}{d.Name, d.Says, ""}
		says := d.Says
		if d.Err != nil {
			failed = fmt.Errorf("%s: %w", d.Name, d.Err)
			item.Error = d.Err.Error()
			says = "does not work: " + item.Error
		}
		out.Item("drill", item, "%-18s  %s", d.Name, says)
	}
	if failed != nil {
		return failed
	}
	return out.End(cli.OK, map[string]int{"drills": len(drills)})
}
