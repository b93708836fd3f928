package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/publisher"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/store/s3"
	"github.com/treegraft-dev/treegraft/trust"
)

// epochName is the variable that sets the clock of what is signed, so that
// the same inputs give the same bytes (reproducible-builds.org).
const epochName = "SOURCE_DATE_EPOCH"

// repository is what the flags say about the repository of a verb.
type repository struct {
	out  *cli.Out
	repo string
	keys keyring
	root string // name of a file
	work int

	export   string // name of a file for a proposal
	lifetime trust.Lifetime
}

// flags adds those of verbs that only read.
func (r *repository) flags(cmd *cobra.Command) {
	r.optionalFlags(cmd)
	cli.Require(cmd, "repo")
}

// optionalFlags is flags for a verb that can do without a repository.
func (r *repository) optionalFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.repo, "repo", "", "folder of the repository, or s3://BUCKET/PREFIX")
	f.StringVar(&r.keys.dir, "keys", "", "folder with root.json and the keys")
	f.StringVar(&r.root, "root", "", "trusted root.json (default: the one in --keys)")
	f.IntVar(&r.work, "workers", 0, "files at once (default: by the number of cores)")
}

// signFlags adds those of verbs that sign.
func (r *repository) signFlags(cmd *cobra.Command) {
	r.flags(cmd)
	r.keys.flags(cmd)
	r.keys.keyFlags(cmd)
	cli.Require(cmd, "keys")
}

// options returns what a Publisher needs, but for keys.
func (r *repository) options(ctx context.Context) (publisher.Options, error) {
	now, err := clock()
	if err != nil {
		return publisher.Options{}, err
	}
	s, err := openStore(r.repo)
	if err != nil {
		return publisher.Options{}, err
	}
	root, err := r.readRoot(ctx, s)
	if err != nil {
		return publisher.Options{}, fmt.Errorf("read trusted root: %w", err)
	}
	return publisher.Options{
		Store: s, Root: root, Rehearse: rehearse, Now: now, Workers: r.work, Events: events(r.out),
		Propose: r.propose(), Lifetime: r.lifetime,
	}, nil
}

// reader returns a Publisher that has no keys.
func (r *repository) reader(ctx context.Context) (*publisher.Publisher, error) {
	o, err := r.options(ctx)
	if err != nil {
		return nil, err
	}
	return publisher.New(o)
}

// signer returns a Publisher with the key that signs from day to day.
func (r *repository) signer(ctx context.Context) (*publisher.Publisher, error) {
	return r.with(ctx, releaseName)
}

// keySigner returns a Publisher with all the keys that may sign a change of keys.
func (r *repository) keySigner(ctx context.Context) (*publisher.Publisher, error) {
	return r.with(ctx, recoveryName, releaseName)
}

// with returns a Publisher with the keys of --key, or else with those of the
// folder that are there by the given names.
func (r *repository) with(ctx context.Context, names ...string) (*publisher.Publisher, error) {
	o, err := r.options(ctx)
	if err != nil {
		return nil, err
	}
	if o.Signers, err = r.keys.signers(ctx, r.out, names...); err != nil {
		return nil, err
	}
	return publisher.New(o)
}

// readRoot returns the trusted root: from a file, or else, for those who only
// look, from the repository itself.
func (r *repository) readRoot(ctx context.Context, s store.Fetcher) ([]byte, error) {
	switch {
	case r.root != "":
		return smallfile.Read(r.root, cli.MaxRoot)
	case r.keys.dir != "":
		return smallfile.Read(r.keys.path(rootName), cli.MaxRoot)
	}
	r.out.Note("Without --root or --keys, the repository's own first root is believed.")
	return store.ReadAll(ctx, s, "metadata/1.root.json", cli.MaxRoot)
}

// writeFile puts bytes into a file, or in the place of one.
func writeFile(name string, b []byte) error {
	return cli.WriteFile(name, 0o644, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
}

// openStore returns the store that a repository is published to.
func openStore(location string) (store.Store, error) {
	if strings.HasPrefix(location, "s3://") {
		return s3.Open(location)
	}
	if strings.Contains(location, "://") {
		return nil, &cli.UsageError{Text: fmt.Sprintf("--repo %s: want a folder, or s3://BUCKET/PREFIX", location)}
	}
	s, err := store.OpenDir(location)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no repository in %s: mkrelease init makes one: %w", location, err)
	}
	return s, err
}

// clock returns the time that signatures carry: nil for now.
func clock() (func() time.Time, error) {
	v := os.Getenv(epochName)
	if v == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(v, 10, 64)
	if err != nil || seconds < 0 {
		return nil, &cli.UsageError{Text: fmt.Sprintf("%s=%q: want seconds since 1970", epochName, v)}
	}
	return func() time.Time { return time.Unix(seconds, 0).UTC() }, nil
}

func events(out *cli.Out) func(publisher.Event) {
	return func(e publisher.Event) {
		if e.Note != "" {
			out.Note("%s: %s", e.Phase, e.Note)
			return
		}
		out.Progress(e.Phase, e.Done, e.Total)
	}
}

// rehearse tries a release with the real client before it goes live.
func rehearse(ctx context.Context, r publisher.Rehearsal) error {
	return client.Rehearse(ctx, client.Rehearsal{
		Store: r.Store, Root: r.Root,
		Product: r.Release.Product, Version: r.Release.Version, Platform: r.Release.Platform,
		Channel: r.Channel, From: r.From, Seed: r.Seed,
	})
}
