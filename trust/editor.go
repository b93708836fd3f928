package trust

import (
	"context"
	"crypto"
	"time"
)

// EditorOptions are what an [Editor] signs with. The zero value signs nothing.
type EditorOptions struct {
	Signers  []Signer         // private keys at hand; each signs the roles that name it
	Now      func() time.Time // nil: time.Now
	Lifetime Lifetime
}

// Lifetime says how long after signing metadata expires. Zero stands for the
// default.
type Lifetime struct {
	Root      time.Duration // 5 years
	Targets   time.Duration // 1 year; also of products
	Snapshot  time.Duration // 90 days
	Timestamp time.Duration // 90 days
}

// A File is metadata to be published.
type File struct {
	Name string // such as "metadata/timestamp.json"
	Data []byte
}

// An Editor makes the next version of a repository's metadata. Nothing is
// published until its caller writes what [Editor.Commit] returns. It is not
// safe for concurrent use.
type Editor struct{ opt EditorOptions }

// Create begins a new repository whose root is signed by recovery and everything
// else by release. The first Commit returns its first metadata.
func Create(ctx context.Context, recovery, release Signer, opt EditorOptions) (*Editor, error) {
	panic("todo")
}

// Open reads the metadata of a repository, verified as a [Client] verifies it,
// except that expired metadata is welcome: it is about to be renewed.
func Open(ctx context.Context, client Options, opt EditorOptions) (*Editor, error) { panic("todo") }

// Root returns the current root, signed: what a client embeds. It is nil before
// the first Commit of a new repository.
func (e *Editor) Root() []byte { panic("todo") }

// Products returns the names of all products, sorted.
func (e *Editor) Products() []string { panic("todo") }

// Targets returns the files that a product signs, sorted by name; none if there
// is no such product.
func (e *Editor) Targets(product string) []Target { panic("todo") }

// SetTargets replaces the files that a product signs. A new product is signed by
// the keys that sign targets. All faults of the targets are reported, joined.
func (e *Editor) SetTargets(product string, targets []Target) error { panic("todo") }

// SetKeys says whose signatures a role needs from now on, and how many of them.
// The role is "root", "timestamp", "snapshot", "targets" or a product.
func (e *Editor) SetKeys(role string, threshold int, keys ...crypto.PublicKey) error { panic("todo") }

// ReplaceKey puts a new key in the place of an old one, in every role that names
// it: the answer to a stolen or lost key. All that the old key signed is signed
// anew.
func (e *Editor) ReplaceKey(old, new crypto.PublicKey) error { panic("todo") }

// Commit signs what has changed, renews what has less than half of its lifetime
// left (if the keys are at hand), and returns the new files in the order in which
// they must be published. The timestamp is always among them, and last.
func (e *Editor) Commit(ctx context.Context) ([]File, error) { panic("todo") }
