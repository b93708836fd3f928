package trust

import (
	"context"
	"time"
)

// Fetch reads one published file, such as "metadata/timestamp.json". A file
// that is not there gives an error that is [fs.ErrNotExist] (HTTP 404), one that
// may not be read [fs.ErrPermission] (403). It never returns more than max bytes:
// a longer file is an error. It is called from several goroutines at once.
type Fetch func(ctx context.Context, name string, max int64) ([]byte, error)

// A Cache keeps verified metadata from one run to the next. It is never an
// anchor: what it gives back is verified again.
type Cache interface {
	// Read returns a file that was written before, of at most max bytes. Any
	// error means that there is no such file.
	Read(name string, max int64) ([]byte, error)
	// Write replaces a file: durably, and whole or not at all.
	Write(name string, b []byte) error
}

// Options say what a [Client] starts from.
type Options struct {
	Root  []byte // the embedded root.json, the only anchor
	Fetch Fetch
	Cache Cache // nil: remember in memory only

	Now        func() time.Time // nil: time.Now
	BuildTime  time.Time        // it cannot be earlier than this
	LiftExpiry bool             // accept expired timestamp and snapshot: for offline bundles, on explicit demand

	// Warn is told of faults that do no harm, such as a damaged file in the
	// cache. May be nil.
	Warn func(error)
}

// A Client believes metadata. Its methods may be called from several goroutines.
type Client struct{ opt Options }

// New returns a client that trusts opt.Root and nothing else yet.
func New(opt Options) (*Client, error) { panic("todo") }

// Refresh brings the client up to date with the repository, or leaves it as it
// was. With nothing new it makes two requests, both at once.
func (c *Client) Refresh(ctx context.Context) error { panic("todo") }

// Products returns the names of all products, sorted. It needs a Refresh before.
func (c *Client) Products() []string { panic("todo") }

// Targets returns the files that a product signs, sorted by name. The error is
// [fs.ErrNotExist] if there is no such product. It needs a Refresh before.
func (c *Client) Targets(ctx context.Context, product string) ([]Target, error) { panic("todo") }
