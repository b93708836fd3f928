// Package client brings an install tree to a release, whole or not at all, and
// can bring it back.
//
// The way of an update is: check what is published, plan, fetch what is
// missing, stage the new content, commit it. The steps are separate calls, so
// that a program decides when each may happen; [Client.Update] does them all.
//
//	c, err := client.New(client.Options{Dir: dir, Root: rootJSON, Repository: url, Product: "app"})
//	…
//	result, err := c.Update(ctx, client.UpdateOptions{})
//
// # Invariants
//
//   - Nothing in the tree changes before everything that the update needs is
//     on the local disk and verified.
//   - No byte from the repository is parsed before it is signed or its digest
//     is known from something signed.
//   - Files that no manifest lists are never touched. A listed file that was
//     changed locally is reported, not overwritten, unless the caller says so;
//     then the local version is kept beside it.
//   - What cannot be made from a delta is fetched whole in the same run, and
//     the result says which file and why.
//
// # State
//
// A client keeps its state in the folder ".treegraft" in the tree: the
// installed manifest, which changes together with the tree; the trusted root
// and a cache of signed metadata; settings; downloads; history. Deleting the
// folder loses the way back and the settings, never the tree.
//
// Every method that reads or writes more than the settings takes the tree's
// lock while it runs, and first finishes what a crash left half-done. Methods
// of one Client may not run at the same time.
package client

import (
	"context"
	"time"

	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// Options says which tree a client looks after, and where its releases come
// from. What is empty is taken from the settings that an install left in the
// tree.
type Options struct {
	Dir        string        // the install tree
	Repository string        // folder, file:// or http(s):// URL
	Store      store.Fetcher // instead of Repository, for a program with a transport of its own
	Root       []byte        // the trusted root.json; programs should embed it
	Product    string
	Channel    string // default "stable"
	Platform   string // default: the host's, or else "any"

	Workers int              // parallel downloads and patches; default: by the number of cores
	Now     func() time.Time // default time.Now
	Built   time.Time        // when the program was built: time is never before that
	Events  func(Event)      // told what happens, from one goroutine at a time; may be nil
}

// Client looks after one install tree. Make one with [New].
type Client struct {
	o        Options
	settings settings
}

// Availability is the answer of [Client.Check].
type Availability struct {
	Installed *manifest.Release // nil when nothing is installed
	Latest    *manifest.Listing // head of the channel; nil when it is empty
	Newer     bool              // Latest is newer than what is installed
	Severity  manifest.Severity // the most urgent severity among the newer releases
}

// Result says what an operation did.
type Result struct {
	From, To   *manifest.Release // From is nil for an install
	UpToDate   bool              // nothing was to be done
	Changed    int               // files, folders and symlinks written
	Removed    int               // and removed
	Downloaded int64             // bytes of bodies received, metadata included
	Requests   int               // requests made
	Fallbacks  []Fallback        // what could not be made as planned
	Missing    []string          // managed files that were gone and came anew
	Kept       []string          // local versions kept beside the managed files
	Recovered  string            // what an earlier crash had left, and what became of it; "" for nothing
}

// Fallback says why a file's content did not come the way it was planned.
type Fallback struct {
	Path   string
	Reason string
}

// Check refreshes the signed metadata and reports what the channel holds.
func (c *Client) Check(ctx context.Context) (*Availability, error) { panic("todo") }

// Plan works out how to bring the tree to a version of the channel, or to its
// head if version is "". It downloads what planning needs: metadata, the
// release's index, and its manifest.
func (c *Client) Plan(ctx context.Context, o UpdateOptions) (*Plan, error) { panic("todo") }

// Fetch downloads everything that p needs and is not here yet. A broken
// download is resumed, also by a later run.
func (c *Client) Fetch(ctx context.Context, p *Plan) error { panic("todo") }

// Apply stages and commits p. Content that turns out to be missing is fetched,
// unless o.Offline is set.
func (c *Client) Apply(ctx context.Context, p *Plan, o UpdateOptions) (*Result, error) { panic("todo") }

// UpdateOptions says how far an update may go. The zero value brings the tree
// to the head of its channel.
type UpdateOptions struct {
	Version   string // default: the head of the channel
	Force     bool   // keep local changes aside instead of refusing
	Offline   bool   // use what has been fetched; make no request
	Downgrade bool   // allow an older release than the installed one
}

// Update plans, fetches and applies. A tree that is at the release already is
// left alone.
func (c *Client) Update(ctx context.Context, o UpdateOptions) (*Result, error) { panic("todo") }

// Install brings an empty folder, or one whose files are in no release's way,
// to a release, and remembers the client's options as the tree's settings.
func (c *Client) Install(ctx context.Context, o UpdateOptions) (*Result, error) { panic("todo") }

// Drift is one managed path that is not what the installed manifest says.
type Drift struct {
	Path string
	Want string // "file 1234 bytes mode 0644 blake3:…", or "nothing"
	Got  string
}

// Verify compares the whole tree with the installed manifest, without network.
func (c *Client) Verify(ctx context.Context) ([]Drift, error) { panic("todo") }

// Repair makes the tree what the installed manifest says, with content from
// other local files where it is there, and else from the repository.
func (c *Client) Repair(ctx context.Context) (*Result, error) { panic("todo") }

// Rollback brings back the release before the last update. It needs no network
// and no space. With force, local changes are kept aside instead of refused.
func (c *Client) Rollback(ctx context.Context, force bool) (*Result, error) { panic("todo") }

// Status is what can be said of a tree without network and without the lock.
type Status struct {
	Dir, Repository, Product, Channel, Platform string

	Installed *manifest.Release
	Fetched   string            // version of a release whose download is complete
	Rollback  *manifest.Release // what Rollback would bring back
	Busy      string            // who holds the lock, "" for nobody
}

// Status reports the state of the tree.
func (c *Client) Status(ctx context.Context) (*Status, error) { panic("todo") }

// HistoryEntry is one thing that happened to a tree.
type HistoryEntry struct {
	Time time.Time `json:"time"`
	Verb string    `json:"verb"` // install, update, repair, rollback
	From string    `json:"from,omitempty"`
	To   string    `json:"to"`
}

// History returns what happened to the tree, oldest first.
func (c *Client) History() ([]HistoryEntry, error) { panic("todo") }

// Cleanup removes downloads, and all snapshots but the newest keep. It returns
// the number of bytes freed.
func (c *Client) Cleanup(ctx context.Context, keep int) (int64, error) { panic("todo") }
