package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Fetch reads one published file, such as "metadata/timestamp.json". A file
// that is not there gives an error that is [fs.ErrNotExist] (HTTP 404), one that
// may not be read [fs.ErrPermission] (403). It never returns more than max bytes:
// a longer file is an error. All errors tell the name. It is called from several
// goroutines at once.
type Fetch func(ctx context.Context, name string, max int64) ([]byte, error)

// A Cache keeps verified metadata from one run to the next. It is never an
// anchor: what it gives back is verified again. Names are flat, such as
// "2.root.json" and "product.app.json".
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

	// Foreign also takes repositories that other TUF tools made: see the package
	// comment. What products and their targets mean is then up to the caller.
	Foreign bool

	// Warn is told of faults that do no harm, such as a damaged file in the
	// cache. May be nil.
	Warn func(error)

	// liftAll accepts anything expired: for the Editor, who is about to renew it.
	liftAll bool
}

// A Client believes metadata. Its methods may be called from several goroutines.
type Client struct {
	opt    Options
	anchor *rootMeta // the embedded root, verified by itself

	mu      sync.Mutex
	trusted *trusted // of the last Refresh that succeeded; nil before
}

// New returns a client that trusts opt.Root and nothing else yet.
func New(opt Options) (*Client, error) {
	if opt.Fetch == nil {
		return nil, errors.New("new trust client: no Fetch")
	}
	if opt.Cache == nil {
		opt.Cache = memory{}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Warn == nil {
		opt.Warn = func(error) {}
	}
	anchor, err := opt.dialect().firstRoot(opt.Root)
	if err != nil {
		return nil, err
	}
	return &Client{opt: opt, anchor: anchor}, nil
}

// Refresh brings the client up to date with the repository, or leaves it as it
// was. With nothing new it makes two requests, both at once.
func (c *Client) Refresh(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := newTrusted(c.opt, c.anchor)
	if err := t.refresh(ctx); err != nil {
		return err
	}
	c.trusted = t
	return nil
}

// Products returns the names of all products, sorted. It is empty before the
// first Refresh.
func (c *Client) Products() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trusted == nil {
		return nil
	}
	return c.trusted.products()
}

// Targets returns the files that a product signs, sorted by name. The error is
// [fs.ErrNotExist] if there is no such product. It needs a Refresh before, and
// answers as of that one.
func (c *Client) Targets(ctx context.Context, product string) ([]Target, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trusted == nil {
		return nil, errNoRefresh("list targets")
	}
	m, err := c.trusted.product(ctx, product)
	if err != nil {
		return nil, err
	}
	return targetsOf(m), nil
}

// Find looks for one target by its name, as TUF says: in targets, and from there
// in the roles that may sign that name, the first ones first and each with all
// below it before the next. The error is [fs.ErrNotExist] if none lists it. It
// needs a Refresh before, and answers as of that one.
func (c *Client) Find(ctx context.Context, name string) (Target, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trusted == nil {
		return Target{}, errNoRefresh("find target")
	}
	return c.trusted.find(ctx, name)
}

func errNoRefresh(verb string) error { return errors.New(verb + ": no refresh has succeeded yet") }

func targetsOf(m *targetsMeta) []Target {
	list := make([]Target, 0, len(m.Signed.Targets))
	for name, t := range m.Signed.Targets {
		list = append(list, targetOf(name, t))
	}
	slices.SortFunc(list, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func rootFile(version int64) string { return metaFile(version, metadata.ROOT) }

func metaFile(version int64, role string) string {
	return fmt.Sprintf("metadata/%d.%s.json", version, role)
}

const timestampFile = "metadata/timestamp.json"

// memory is the cache of a client that has none.
type memory map[string][]byte

func (m memory) Read(name string, _ int64) ([]byte, error) {
	if b, ok := m[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Write(name string, b []byte) error {
	m[name] = b
	return nil
}
