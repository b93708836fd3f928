// Package client brings an install tree to a release, whole or not at all, and
// can bring it back.
//
//	c, err := client.New(client.Options{Dir: dir, Root: rootJSON, Repository: url, Product: "app"})
//	…
//	result, err := c.Install(ctx, client.UpdateOptions{}) // once
//	…
//	result, err := c.Update(ctx, client.UpdateOptions{})
//
// # The calls
//
// An install remembers what its client was told, so later Options{Dir: dir} is
// enough. [Client.Update] does all that an update takes; [Client.Check],
// [Client.Plan], [Client.Fetch] and [Client.Apply] do it step by step, for a
// program that decides when each may happen. The others, by what they are for:
//
//   - what is there: [Client.Status], [Client.Verify], [Client.History], [Client.Doctor]
//   - back to what was: [Client.Rollback], [Client.Restore], [Client.Repair], [Client.Uninstall]
//   - a release has to prove itself ([UpdateOptions].Probation): [Client.Pending] when
//     the program starts, then [Client.Confirm] or [Client.Reject]
//   - releases with hooks and migrations: [Client.Setup], [Client.Resume], [Client.Abort],
//     [Client.Data], [Client.SetData]
//   - what people decide: [Client.Hold], [Client.Unhold], [Client.Held], [Client.Approve],
//     [Client.SetChannel]
//   - several products in one tree: [Products], [Client.Offers], [Needed]
//   - room on the disk: [Client.Cleanup]
//
// A program that is replaced while it runs has package detach, and one whose
// files must not change under it, package gate. Package lifecycle has the rules.
//
// # Invariants
//
//   - Nothing in the tree changes before everything that the update needs is
//     on the local disk and verified.
//   - No byte from the repository is parsed before it is signed or its digest
//     is known from something signed.
//   - Files that no manifest lists are never touched. A listed file that was
//     changed locally is reported, not overwritten, unless the caller says so;
//     then the local version is kept beside it. Only [Client.Repair] replaces
//     such files without a copy: that is what it is for.
//   - What cannot be made from a delta is fetched whole in the same run, and
//     the result says which file and why.
//
// # Local changes
//
// An update that meets a changed file fails with a *[DriftError] that lists all
// of them. With Force, it moves the local version of FILE to FILE.kept (or
// FILE.kept-2, and so on), which is the user's from then on. [Client.Rollback]
// brings back what was there before that update, so the local version is in
// FILE again, and [Client.Verify] reports it again; FILE.kept stays too.
//
// A repair makes listed files what the release says. It keeps no copy of what
// it replaces, and cannot be rolled back; the way back to the release before
// stays as it was. So look at what Verify reports first.
//
// # State
//
// A client keeps its state in the folder ".treegraft" in the tree: the
// installed manifest, which changes together with the tree; the trusted root
// and a cache of signed metadata; settings; downloads; history. Deleting the
// folder loses the way back and the settings, never the tree.
//
// Every method that reads or writes more than the settings takes the tree's
// lock while it runs, and first finishes what a crash left half-done. In a tree
// that cannot be written to, [Client.Status], [Client.Check] and [Client.Verify]
// take no lock, and fail with [atomicfs.ErrNeedsRecovery] if a crash has left
// something. Methods of one Client may not run at the same time.
package client

import (
	"sync"
	"time"

	"github.com/treegraft-dev/treegraft/lifecycle"
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
	Mirrors    []string      // more places of the repository; a bad or old one does no harm
	Root       []byte        // the trusted root.json; programs should embed it
	Product    string
	Channel    string // default "stable"
	Platform   string // default: the host's, or else "any"

	// AcceptExpired lifts the expiry of timestamp and snapshot, and of nothing
	// else: for a bundle, where nothing newer can come, on explicit demand. It
	// is refused with anything but a folder.
	AcceptExpired bool

	// Floor is a sequence: without an explicit downgrade, no release below it
	// is installed, whatever an old but valid repository says. A program knows
	// the sequence it was released with. The highest one ever given counts.
	Floor uint64

	// TooNew says what becomes of an install that is newer than the release its
	// channel recommends, and Unstable whether it takes unstable ones by itself.
	// An install remembers both.
	TooNew   lifecycle.WhenTooNew
	Unstable bool

	// Strategy says how changes become visible: "inplace" (the default),
	// "exchange" or "versioned", see [atomicfs.Strategy]. An install remembers it.
	Strategy string

	// Snapshots is how many earlier releases an update leaves to go back to; the
	// default is 1. An install remembers it.
	Snapshots int

	// Hold puts updates on hold for this client, and says why.
	Hold string

	// Policy is the file with the administrator's policy, if not that of the
	// machine, /etc/treegraft/policy.json or %ProgramData%\treegraft\policy.json.
	// It is for tests: whoever sets it is not bound by the policy.
	Policy string

	Workers int              // parallel downloads and patches; default: by the number of cores
	Now     func() time.Time // default time.Now
	Built   time.Time        // when the program was built: time is never before that
	Events  func(Event)      // told what happens, from one goroutine at a time; may be nil
}

// Client looks after one install tree. Make one with [New].
type Client struct {
	o        Options
	settings settings
	events   sync.Mutex // held while Options.Events runs

	like         string // product whose settings one that is new to the tree takes; "" for none
	toldReadOnly bool   // that no lock is taken
}

// Result says what an operation did.
type Result struct {
	From, To   *manifest.Release // From is nil for an install
	UpToDate   bool              // nothing was to be done
	Hops       []string          // versions that were gone through, that of To the last
	Changed    int               // files, folders and symlinks written
	Removed    int               // and removed
	Downloaded int64             // bytes of bodies received, metadata included
	Requests   int               // requests made
	Fallbacks  []Fallback        // what could not be made as planned
	Missing    []string          // managed files that were gone and came anew
	Config     []ConfigChange    // what became of settings files that were edited
	Kept       []string          // local versions kept beside the managed files
	Rejected   string            // why the release before was left; "" where that was no failure
	Recovered  string            // what an earlier crash had left, and what became of it; "" for nothing
}

// Fallback says why a file's content did not come the way it was planned.
type Fallback struct {
	Path   string
	Reason string
}
