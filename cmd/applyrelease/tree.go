package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
	"github.com/treegraft-dev/treegraft/internal/cli"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/lifecycle"
)

// tree is what the flags say about the install tree of a verb.
type tree struct {
	out     *cli.Out
	root    string // name of a file
	options client.Options
	update  client.UpdateOptions
}

// remoteFlags are those of verbs that may use the network.
func (t *tree) remoteFlags(f *pflag.FlagSet) {
	f.StringVar(&t.options.Repository, "repo", "", "folder or URL of the repository (default: remembered from the install)")
	f.StringArrayVar(&t.options.Mirrors, "mirror", nil, "another folder or URL of the repository; may be repeated (default: remembered)")
	f.BoolVar(&t.options.AcceptExpired, "accept-expired", false, "from a folder without network: accept that its timestamp has expired")
	f.StringVar(&t.root, "root", "", "trusted root.json (default: remembered from the install)")
	f.IntVar(&t.options.Workers, "workers", 0, "downloads and patches at once (default: by the number of cores)")
}

// releaseFlags are those of verbs that choose a release.
func (t *tree) releaseFlags(f *pflag.FlagSet) {
	f.StringVar(&t.update.Version, "to", "", "version to go to (default: the newest of the channel)")
	f.BoolVar(&t.update.Downgrade, "downgrade", false, "allow a release that is older than the installed one")
	t.fleetFlags(f)
}

// fleetFlags are those of verbs that go by what the publisher says of releases.
func (t *tree) fleetFlags(f *pflag.FlagSet) {
	f.BoolVar(&t.options.Unstable, "unstable", false, "unstable releases will do (default: remembered from the install)")
	f.StringVar((*string)(&t.options.TooNew), "too-new", "", "when newer than the release that the channel recommends: warn, hold or return to it (default: remembered, or else warn)")
}

// installFlags are those of verbs that may install a product.
func (t *tree) installFlags(f *pflag.FlagSet) {
	f.StringVar(&t.options.Channel, "channel", "", "channel to follow (default: that of the tree's other products, or else stable)")
	f.StringVar(&t.options.Platform, "platform", "", "GOOS-GOARCH, or any (default: this machine's)")
	f.Uint64Var(&t.options.Floor, "floor", 0, "sequence below which no release is ever installed without --downgrade")
	f.IntVar(&t.options.Snapshots, "snapshots", 0, "how many earlier releases to keep, to go back to (default 1)")
}

// runFlags are those of verbs that migrate data, or ask programs to leave.
func (t *tree) runFlags(f *pflag.FlagSet) {
	f.BoolVar(&t.update.Evict, "evict", false, "end programs that use the tree and do not leave when asked")
	f.DurationVar(&t.update.Disconnect, "disconnect-time", 0, "how long programs may take to let go of the tree (default 10s)")
	f.DurationVar(&t.update.Down, "down-time", 0, "how long they may take to end, after that (default 20s)")
}

// updateFlags are those of verbs that update.
func (t *tree) updateFlags(f *pflag.FlagSet) {
	t.runFlags(f)
	f.BoolVar(&t.update.Now, "now", false, "outside of the hours for updates too, if the administrator allows that")
	f.BoolVar(&t.update.Defer, "defer-migrations", false, `leave migrations to "setup"; programs cannot start before that`)
}

// dataFlag is for verbs after which data may be of another version than was
// recorded.
func dataFlag(f *pflag.FlagSet, data *string) {
	f.StringVar(data, "data", "", `version that the data has been brought to by hand: a number, or "none"`)
}

// setData records what --data says.
func setData(ctx context.Context, c *client.Client, text string) error {
	if text == "" {
		return nil
	}
	d, err := lifecycle.ParseData(text)
	if err != nil {
		return &cli.UsageError{Text: "--data: " + err.Error()}
	}
	return c.SetData(ctx, d)
}

func (t *tree) forceFlag(f *pflag.FlagSet) {
	f.BoolVar(&t.update.Force, "force", false, "keep local changes beside, as NAME.kept, instead of refusing")
}

func (t *tree) strategyFlag(f *pflag.FlagSet) {
	f.StringVar(&t.options.Strategy, "strategy", "", "how changes become visible: inplace, exchange or versioned (default: remembered from the install)")
}

func (t *tree) offlineFlag(f *pflag.FlagSet) {
	f.BoolVar(&t.update.Offline, "offline", false, "use what has been fetched, make no request")
}

// productFlag is for verbs that can be about one product of several.
func (t *tree) productFlag(f *pflag.FlagSet) {
	f.StringVar(&t.options.Product, "product", "", "product of the tree (default: all of them)")
}

// oneProductFlag is for verbs about one product only.
func (t *tree) oneProductFlag(f *pflag.FlagSet) {
	f.StringVar(&t.options.Product, "product", "", "product of the tree, if it has several")
}

// open returns the client for an install tree.
func (t *tree) open(dir string) (*client.Client, error) {
	if t.root != "" {
		b, err := smallfile.Read(t.root, cli.MaxRoot)
		if err != nil {
			return nil, fmt.Errorf("read trusted root: %w", err)
		}
		t.options.Root = b
	}
	if _, err := atomicfs.ParseStrategy(t.options.Strategy); err != nil {
		return nil, &cli.UsageError{Text: "--" + err.Error()}
	}
	if _, err := lifecycle.ParseTooNew(string(t.options.TooNew)); err != nil {
		return nil, &cli.UsageError{Text: "--too-new: " + err.Error()}
	}
	t.options.Dir = dir
	t.options.Built = built()
	t.options.Policy, t.options.Hold = policy, os.Getenv("APPLYRELEASE_HOLD")
	t.options.Events = func(e client.Event) {
		if e.Note != "" {
			t.out.Note("%s", e.Note)
			return
		}
		t.out.Progress(e.Phase.String(), e.Done, e.Total)
	}
	return client.New(t.options)
}

// notHeld is for verbs that plan before they do what a hold forbids: they make
// no request.
func notHeld(c *client.Client) error {
	h, err := c.Held()
	if err == nil && h != nil {
		err = &client.HeldError{Hold: *h}
	}
	return err
}

// built returns the time of the commit that the program was built from, if its
// build knew that: it cannot be earlier now, whatever the clock says.
func built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value) // a wrong one is as good as none
			return t
		}
	}
	return time.Time{}
}

// oneDir is for verbs with one argument, the install tree.
func oneDir(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one folder, the install tree, got %s", cli.Count(len(args), "argument", "arguments"))
	}
	return nil
}
