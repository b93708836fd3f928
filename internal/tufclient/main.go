// Tufclient is package trust as a bare TUF client. The conformance suite of The
// Update Framework drives it, to judge the workflow that applyrelease uses.
//
//	tufclient --metadata-dir DIR init ROOT.json
//	tufclient --metadata-dir DIR --metadata-url URL refresh
//	tufclient --metadata-dir DIR --metadata-url URL \
//	    --target-name NAME --target-base-url URL --target-dir DIR download
//
// Several --target-name are looked for one after the other, by one client.
// It exits with 0 or, whatever went wrong, with 1. The metadata folder shows what
// is trusted, under names without versions; what the workflow needs besides is in
// the folder "history" there:
//
//	root.json          the newest root, a copy for whoever looks
//	timestamp.json …   as signed
//	product.ROLE.json  a role that targets delegates to, its name escaped
//	history/root.json  what init was given, the only anchor
//	history/N.root.json and history/time
//
// A downloaded target is one file in the target folder, named after the target,
// escaped. One that is there and has the right digest is not fetched again.
//
// The clock obeys FAKETIME, which the faketime program sets: a Go program asks
// the kernel for the time, and never meets the library that faketime loads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/trust"
)

func main() {
	now, err := clock(os.Getenv("FAKETIME"))
	if err == nil {
		err = run(context.Background(), os.Args[1:], now)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tufclient:", err)
		os.Exit(1)
	}
}

// maxFile bounds a root file and a target.
const maxFile = 64 << 20

// options are the flags.
type options struct {
	metadataDir, metadataURL string
	targetBase, targetDir    string
	targetNames              []string
	now                      func() time.Time
}

func run(ctx context.Context, args []string, now func() time.Time) error {
	o := options{now: now}
	f := flag.NewFlagSet("tufclient", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.metadataDir, "metadata-dir", "", "folder of trusted metadata")
	f.StringVar(&o.metadataURL, "metadata-url", "", "where metadata is published")
	f.Func("target-name", "name of a target, may be repeated", func(name string) error {
		o.targetNames = append(o.targetNames, name)
		return nil
	})
	f.StringVar(&o.targetBase, "target-base-url", "", "where targets are published")
	f.StringVar(&o.targetDir, "target-dir", "", "folder for targets")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.metadataDir == "" {
		return errors.New("want --metadata-dir")
	}
	switch verb := f.Arg(0); {
	case verb == "init" && f.NArg() == 2:
		return o.init(f.Arg(1))
	case verb == "refresh" && f.NArg() == 1:
		_, err := o.refresh(ctx)
		return err
	case verb == "download" && f.NArg() == 1:
		return o.download(ctx)
	}
	return fmt.Errorf("want init ROOT.json, refresh or download, got %q", f.Args())
}

func (o *options) init(root string) error {
	b, err := smallfile.Read(root, maxFile)
	if err != nil {
		return err
	}
	if _, err := trust.New(trust.Options{Root: b, Fetch: noFetch, Foreign: true}); err != nil {
		return err
	}
	c := cache(o.metadataDir)
	if err := os.MkdirAll(filepath.Dir(c.anchor()), 0o700); err != nil {
		return err
	}
	return errors.Join(atomicfs.WriteFile(c.anchor(), b, 0o600), atomicfs.WriteFile(c.path("root.json"), b, 0o600))
}

func noFetch(context.Context, string, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

func (o *options) refresh(ctx context.Context) (*trust.Client, error) {
	c := cache(o.metadataDir)
	root, err := smallfile.Read(c.anchor(), maxFile)
	if err != nil {
		return nil, fmt.Errorf("no init was done: %w", err)
	}
	f := newFetcher(o.metadataURL)
	client, err := trust.New(trust.Options{Root: root, Fetch: f.metadata, Cache: c, Now: o.now, Foreign: true})
	if err != nil {
		return nil, err
	}
	return client, client.Refresh(ctx)
}

func (o *options) download(ctx context.Context) error {
	if len(o.targetNames) == 0 || o.targetBase == "" || o.targetDir == "" {
		return errors.New("want --target-name, --target-base-url and --target-dir")
	}
	client, err := o.refresh(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.targetDir, 0o700); err != nil {
		return err
	}
	for _, name := range o.targetNames {
		if err := o.downloadOne(ctx, client, name); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) downloadOne(ctx context.Context, client *trust.Client, name string) error {
	target, err := client.Find(ctx, name)
	if err != nil {
		return err
	}
	if target.Length > maxFile {
		return fmt.Errorf("target of %d bytes, at most %d", target.Length, maxFile)
	}
	file := flatName(name)
	if !filepath.IsLocal(file) {
		return fmt.Errorf("cannot store a target named %q", name)
	}
	path := filepath.Join(o.targetDir, file)
	if b, err := smallfile.Read(path, target.Length); err == nil && target.Check(b) == nil {
		return nil
	}
	b, err := get(ctx, join(o.targetBase, escapePath(target.File())), target.Length)
	if err != nil {
		return err
	}
	if err := target.Check(b); err != nil {
		return err
	}
	return atomicfs.WriteFile(path, b, 0o600)
}
