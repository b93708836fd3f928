// Package publisher turns release trees into objects, packs and signed
// metadata in a store.
//
// # Invariants
//
//   - A release goes live with one write: metadata/timestamp.json, the last.
//     Whatever stops a publish before that leaves the repository as clients saw
//     it before; a rerun uses what is there already.
//   - One publish at a time: the store's lock is held from beginning to end.
//   - The same inputs give the same bytes.
//   - Before the last write, the release is read back and tried with the
//     caller's Rehearse function, which is the real client.
//   - What is read from the store is verified as a client would verify it.
package publisher

import (
	"context"
	"time"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// Options says where a publisher writes.
type Options struct {
	Store store.Store
	Root  []byte // the repository's trusted root.json
	// Rehearse tries a release before it goes live. May be nil.
	Rehearse func(ctx context.Context, r Rehearsal) error
	Now      func() time.Time // default time.Now
	Workers  int              // default: the number of cores
	Events   func(Event)      // may be nil
}

// Publisher writes releases to one repository. Make one with [New].
type Publisher struct{ o Options }

// New returns a publisher for the repository in o.Store.
func New(o Options) (*Publisher, error) { panic("todo") }

// Release is what is to be published.
type Release struct {
	Facts   manifest.Release // Sequence may be 0: the next one is taken
	Tree    string           // folder with the release's files
	Channel string           // default "stable"
	Old     []string         // folders where content of old releases may be found without the store
	Packs   int              // make packs from so many earlier releases of the channel; default 3, negative: none
	Delta   delta.Options
	Config  map[string]manifest.ConfigRule // by path
}

// Rehearsal is a release about to go live.
type Rehearsal struct {
	Store   store.Fetcher // the repository as it will be
	Root    []byte
	Release *manifest.Release
	Channel string
	From    *manifest.Manifest                        // the release a pack starts from; nil: an install
	Seed    func(manifest.Digest) (delta.File, error) // opens content of that release
}

// Report says what a publish did.
type Report struct {
	Release     *manifest.Release
	Files       int
	Content     int64 // bytes of the tree
	Objects     int   // written now; others were there
	ObjectBytes int64
	Packs       []PackReport
	Written     int64 // bytes written to the store
}

// PackReport describes one pack.
type PackReport struct {
	From  string // version
	Size  int64
	Files []delta.BlobReport
}

// Event tells how far a publish is; Done and Total are bytes.
type Event struct {
	Phase       string // "scan", "objects", "pack from 1.2.3", "sign", "rehearse", "upload"
	Done, Total int64
	Note        string
}

// Publish makes and publishes a release.
func (p *Publisher) Publish(ctx context.Context, r Release) (*Report, error) { panic("todo") }

// Item is one published release in a listing.
type Item struct {
	manifest.Listing
	Index *manifest.Index
}

// List returns the published releases of a product, or of all with "".
func (p *Publisher) List(ctx context.Context, product string) ([]Item, error) { panic("todo") }

// Verify reads everything that the repository's metadata names, and returns
// all faults: what is missing, and what is not what was signed.
func (p *Publisher) Verify(ctx context.Context) ([]manifest.Fault, error) { panic("todo") }
