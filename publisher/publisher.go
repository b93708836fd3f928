// Package publisher turns release trees into objects, packs and signed
// metadata in a store.
//
//	root, err := publisher.Init(ctx, publisher.Options{Store: s}, recovery, release) // once
//	…
//	p, err := publisher.New(publisher.Options{Store: s, Root: root, Signers: []trust.Signer{release}, Rehearse: …})
//	report, err := p.Publish(ctx, publisher.Release{Facts: facts, Tree: dir})
//
// # The calls
//
//   - releases go out: [Publisher.Publish], [Publisher.Promote], [Publisher.Rollout],
//     [Publisher.Mark], [Publisher.Withdraw]
//   - what is there: [Publisher.List], [Publisher.Inspect], [Publisher.Extra], [Publisher.Costs]
//   - is it well: [Publisher.Verify], [Publisher.Examine]
//   - from time to time: [Publisher.Refresh], [Publisher.Prune], [Publisher.Collect], [Publisher.Bundle]
//   - keys: [Publisher.SetKeys], [Publisher.ReplaceKey], [Publisher.Merge], [Publisher.RehearseKeys]
//   - without a repository: [DiffTrees]
//
// # Order of writes
//
//	objects/aa/<content>      full content of each file that no release had before
//	objects/lists/<listing>   how big each of a release's objects is, and its digest
//	packs/…                   deltas from the last releases of the channel
//	manifests/…, indexes/…    the release: its files, and which packs there are
//	metadata/N.<role>.json    the signatures
//	metadata/timestamp.json   the one file that is ever replaced, the last
//
// # Invariants
//
//   - A release goes live with one write, that of metadata/timestamp.json.
//     Whatever stops a publish before that leaves the repository as clients saw
//     it before; a rerun uses what is there already, after it has verified it.
//   - One publish at a time: the store's lock is held from beginning to end,
//     and the timestamp is replaced only if it is still the one that was read
//     at the beginning.
//   - The same inputs, clock and ed25519 keys give the same bytes.
//   - Before the metadata is written, the release is tried with the caller's
//     Rehearse function, which is the real client; afterwards the timestamp is
//     read back.
//   - What is read from the store is verified as a client would verify it.
//
// # Limits
//
// A file is read twice, once for its digest and once to compress it, and again
// for each pack; a tree that changes meanwhile is an error, never a wrong
// release. Old content that is in none of the folders the caller names is
// brought from the store into a temporary folder, so that needs space for the
// old files that changed. Manifests are held in memory.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Options says where a publisher writes, and what it signs with.
type Options struct {
	Store    store.Store
	Root     []byte         // the repository's trusted root.json
	Signers  []trust.Signer // keys at hand; none are needed to read
	Lifetime trust.Lifetime // of what is signed
	Holder   string         // who publishes, for those who find the store locked; default host and process
	// Propose takes changes of the metadata that lack signatures, instead of
	// making them live: for thresholds, and for those who only have the key of a
	// product. Others add theirs with trust.Countersign, and [Publisher.Merge]
	// makes it live. Nil makes everything live at once.
	Propose func(proposal []byte) error
	// Rehearse tries a release before it goes live. May be nil.
	Rehearse func(ctx context.Context, r Rehearsal) error
	Now      func() time.Time // default time.Now
	Workers  int              // default: the number of cores
	Temp     string           // folder for temporary files; default os.TempDir
	Events   func(Event)      // told what happens, from one goroutine at a time; may be nil
}

// Publisher writes releases to one repository. Make one with [New].
type Publisher struct {
	o  Options
	mu sync.Mutex // held while an event is told
}

// New returns a publisher for the repository in o.Store.
func New(o Options) (*Publisher, error) {
	if o.Store == nil || len(o.Root) == 0 {
		return nil, errors.New("open publisher: want a store and its root.json")
	}
	return newPublisher(o), nil
}

func newPublisher(o Options) *Publisher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Holder == "" {
		host, _ := os.Hostname()
		o.Holder = fmt.Sprintf("process %d on %s", os.Getpid(), host)
	}
	return &Publisher{o: o}
}

// Release is what is to be published.
type Release struct {
	Facts   manifest.Release               // Sequence may be 0: the product's highest and one more
	Tree    string                         // folder with the release's files
	Channel string                         // default "stable"
	Old     []string                       // folders where old releases may be, to save reading them from the store
	Packs   int                            // make packs from so many earlier releases of the channel; default 3, negative: none
	Keep    int                            // list so many releases for each channel and platform, as Prune does; 0: all
	Delta   delta.Options                  // how; its Level is that of objects too, its Events are not used
	Config  map[string]manifest.ConfigRule // by path, or by a pattern as that of path.Match
	Rollout *manifest.Rollout              // on the channel; nil: for all
	Extras  []Extra                        // signed along with it
}

// Rehearsal is a release about to go live.
type Rehearsal struct {
	Store   store.Fetcher // the repository as it will be
	Root    []byte
	Release *manifest.Release
	Channel string
	From    *manifest.Manifest                        // the release a pack starts from; nil: an install
	Seed    func(manifest.Digest) (delta.File, error) // opens content of that release; nil for an install
}

// Report says what a publish did.
type Report struct {
	Release     *manifest.Release
	Already     bool // it was on the channel before: nothing was done
	Files       int
	Content     int64 // bytes of the tree
	Objects     int   // written now; others were there
	ObjectBytes int64
	Packs       []PackReport
	Written     int64  // bytes written to the store
	Recommended string // version that the channel recommends: installs go no further by themselves; "" for none
}

// PackReport describes one pack.
type PackReport struct {
	From    string // version
	Size    int64
	Skipped string // why it was not published; "" if it was
	Files   []delta.BlobReport
}

// Event tells how far a publish is. Done and Total are bytes; Total is 0 where
// it is not known.
type Event struct {
	Phase       string // such as "scan", "objects", "pack from 1.2.3", "rehearse", "sign" or "upload"
	Done, Total int64
	Note        string
}

func (p *Publisher) event(e Event) {
	if p.o.Events == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Events(e)
}

// counter tells events of one phase as bytes are done, from several goroutines.
type counter struct {
	p           *Publisher
	phase       string
	mu          sync.Mutex
	done, total int64
}

func (c *counter) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	c.p.event(Event{Phase: c.phase, Done: c.done, Total: c.total})
}
