// Package publisher turns release trees into objects, packs and signed
// metadata in a store.
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
	"crypto"
	"errors"
	"io"
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
	// Rehearse tries a release before it goes live. May be nil.
	Rehearse func(ctx context.Context, r Rehearsal) error
	Now      func() time.Time // default time.Now
	Workers  int              // default: the number of cores
	Temp     string           // folder for temporary files; default os.TempDir
	Events   func(Event)      // told what happens, from one goroutine at a time; may be nil
}

// Publisher writes releases to one repository. Make one with [New].
type Publisher struct{ o Options }

var errTODO = errors.New("not yet")

// New returns a publisher for the repository in o.Store.
func New(o Options) (*Publisher, error) { return &Publisher{o}, nil }

// Init makes an empty repository in o.Store, which must be empty, and returns
// its root.json, which clients embed. The root is signed by recovery, all else
// by release. Root and Signers of o are not used.
func Init(ctx context.Context, o Options, recovery, release trust.Signer) (root []byte, err error) {
	return nil, errTODO
}

// Release is what is to be published.
type Release struct {
	Facts   manifest.Release               // Sequence may be 0: the product's highest and one more
	Tree    string                         // folder with the release's files
	Channel string                         // default "stable"
	Old     []string                       // folders where old releases may be, to save reading them from the store
	Packs   int                            // make packs from so many earlier releases of the channel; default 3, negative: none
	Delta   delta.Options                  // how; its Level is that of objects too
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
	Already     bool // it was published on the channel before: nothing was done
	Files       int
	Content     int64 // bytes of the tree
	Objects     int   // written now; others were there
	ObjectBytes int64
	Packs       []PackReport
	Written     int64 // bytes written to the store
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
	Phase       string // "scan", "objects", "pack from 1.2.3", "sign", "rehearse", "upload"
	Done, Total int64
	Note        string
}

// Publish makes and publishes a release. One that is published already, with
// the same tree and facts, is put on the channel if it is not there, and is
// otherwise left alone; with another tree or other facts it is an
// [*ExistsError].
func (p *Publisher) Publish(ctx context.Context, r Release) (*Report, error) { return nil, errTODO }

// ReplaceKey puts a new key in the place of an old one, wherever the metadata
// names it, signs anew what the old one signed, and returns the new root.json.
// It needs the recovery key and the new key among the signers.
func (p *Publisher) ReplaceKey(ctx context.Context, old, new crypto.PublicKey) (root []byte, err error) {
	return nil, errTODO
}

// Refresh renews the timestamp, and what else will expire before long.
func (p *Publisher) Refresh(ctx context.Context) error { return errTODO }

// Item is one published release.
type Item struct {
	manifest.Listing
	Index *manifest.Index
}

// List returns the published releases of a product, or of all with "", in
// order of product, platform and sequence.
func (p *Publisher) List(ctx context.Context, product string) ([]Item, error) { return nil, errTODO }

// Details is all there is to say about a published release.
type Details struct {
	Item
	Manifest *manifest.Manifest
	Objects  int64 // stored bytes of all its objects: what an install downloads
}

// Inspect returns the releases of a version, one for each platform.
func (p *Publisher) Inspect(ctx context.Context, product, version string) ([]Details, error) {
	return nil, errTODO
}

// Verify reads everything that the repository's metadata names, and returns
// all faults: what is missing, and what is not what was signed. If decode is
// set, it also checks that each object makes the content it stands for.
func (p *Publisher) Verify(ctx context.Context, decode bool) ([]manifest.Fault, error) {
	return nil, errTODO
}

// DiffTrees writes to w one pack that makes the tree newDir out of the tree
// oldDir, for client.PatchTree. It needs no repository.
func DiffTrees(ctx context.Context, w io.Writer, oldDir, newDir string, o delta.Options) (*Report, error) {
	return nil, errTODO
}

// ExistsError says that a version is published already, and not the same.
type ExistsError struct {
	Product, Version, Platform string
	Facts                      bool              // the facts differ
	Changes                    []manifest.Change // how the tree differs from the published one
}

// Error names the release and the first difference.
func (e *ExistsError) Error() string { panic("todo") }

// SequenceError says that a release's sequence does not rise.
type SequenceError struct {
	Product, Version string
	Sequence         uint64 // the one asked for
	Highest          uint64 // of the product's other releases
}

// Error names both sequences.
func (e *SequenceError) Error() string { panic("todo") }
