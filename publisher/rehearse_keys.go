package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// A Drill is one trouble with keys, gone through on a copy of the metadata.
type Drill struct {
	Name string // "release key stolen", …
	Says string // what was shown
	Err  error  // what did not work
}

// RehearseKeys goes through the loss and the theft of keys, with the keys that
// are at hand, and shows that clients follow. It changes nothing: what would be
// published stays in memory.
func (p *Publisher) RehearseKeys(ctx context.Context, recovery, release trust.Signer) ([]Drill, error) {
	r := &rehearsal{Publisher: p, recovery: recovery, release: release}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	all := []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"release key stolen", r.stolen},
		{"release key lost", r.lost},
		{"recovery key lost", r.withoutRecovery},
		{"both lost", func(context.Context) (string, error) {
			return "no way back: every install needs a new root.json by another way. Keep two copies of each key apart", nil
		}},
	}
	var drills []Drill
	for _, d := range all {
		says, err := d.do(ctx)
		drills = append(drills, Drill{d.name, says, err})
	}
	return drills, ctx.Err()
}

// rehearsal is a copy of the metadata, and a client that has seen the original.
type rehearsal struct {
	*Publisher
	recovery, release trust.Signer
	seen              map[string][]byte // the client's cache after the original
}

// start is an ordinary client's last day before the trouble.
func (r *rehearsal) start(ctx context.Context) error {
	r.seen = map[string][]byte{}
	if err := r.client(ctx, nil, r.seen); err != nil {
		return fmt.Errorf("rehearse keys: before any trouble: %w", err)
	}
	return nil
}

// client refreshes one that has the cache, from the store with files laid over
// it, and looks at all products.
func (r *rehearsal) client(ctx context.Context, over map[string][]byte, cache memory) error {
	c, err := trust.New(trust.Options{Root: r.o.Root, Cache: cache, Now: r.o.Now, Fetch: r.fetch(over)})
	if err != nil {
		return err
	}
	if err := c.Refresh(ctx); err != nil {
		return err
	}
	for _, product := range c.Products() {
		if _, err := c.Targets(ctx, product); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) fetch(over map[string][]byte) trust.Fetch {
	return func(ctx context.Context, name string, max int64) ([]byte, error) {
		if b, ok := over[name]; ok {
			return b, nil
		}
		return store.ReadAll(ctx, r.o.Store, name, max)
	}
}

// commit opens an Editor on the copy, changes it and lays the result over.
func (r *rehearsal) commit(ctx context.Context, over map[string][]byte, change func(*trust.Editor) error, signers ...trust.Signer) error {
	e, err := trust.Open(ctx, trust.Options{Root: r.o.Root, Fetch: r.fetch(over), Now: r.o.Now},
		trust.EditorOptions{Signers: signers, Now: r.o.Now, Lifetime: r.o.Lifetime})
	if err != nil {
		return err
	}
	if err := change(e); err != nil {
		return err
	}
	files, err := e.Commit(ctx)
	for _, f := range files {
		over[f.Name] = f.Data
	}
	return err
}

// replace is what the owner does: a new release key, by the recovery key.
func (r *rehearsal) replace(ctx context.Context, over map[string][]byte) (*trust.Key, error) {
	key, err := trust.GenerateKey(trust.Ed25519)
	if err != nil {
		return nil, err
	}
	old, err := r.release.PublicKey()
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	return key, r.commit(ctx, over, func(e *trust.Editor) error { return e.ReplaceKey(old, public) }, r.recovery, key)
}

func nothing(*trust.Editor) error { return nil }

// stolen: the thief publishes, the owner replaces the key, and what the thief
// publishes then reaches nobody who has seen that.
func (r *rehearsal) stolen(ctx context.Context) (string, error) {
	thiefs, owners := map[string][]byte{}, map[string][]byte{}
	if err := r.commit(ctx, thiefs, nothing, r.release); err != nil {
		return "", err
	}
	cache := memory(maps.Clone(r.seen))
	if err := r.client(ctx, thiefs, cache); err != nil {
		return "", fmt.Errorf("before the key is replaced, the thief is believed: %w", err)
	}
	if _, err := r.replace(ctx, owners); err != nil {
		return "", err
	}
	if err := r.client(ctx, owners, cache); err != nil {
		return "", fmt.Errorf("clients do not follow the new key: %w", err)
	}
	if err := r.commit(ctx, thiefs, nothing, r.release); err != nil {
		return "", err
	}
	var unsigned *trust.SignatureError
	if err := r.client(ctx, thiefs, cache); !errors.As(err, &unsigned) {
		return "", fmt.Errorf("the stolen key still counts: got %v, want a wrong signature", err)
	}
	return "the recovery key signs a new root, clients follow it, and believe the stolen key no more, even from a mirror that hides the new root", nil
}

func (r *rehearsal) lost(ctx context.Context) (string, error) {
	over := map[string][]byte{}
	key, err := r.replace(ctx, over)
	if err != nil {
		return "", err
	}
	if err := r.commit(ctx, over, nothing, key); err != nil {
		return "", fmt.Errorf("the new key cannot publish: %w", err)
	}
	if err := r.client(ctx, over, maps.Clone(r.seen)); err != nil {
		return "", err
	}
	return "the recovery key signs a new root with another release key, which publishes at once; clients follow", nil
}

// withoutRecovery shows how long releases go on.
func (r *rehearsal) withoutRecovery(ctx context.Context) (string, error) {
	over := map[string][]byte{}
	if err := r.commit(ctx, over, nothing, r.release); err != nil {
		return "", err
	}
	if err := r.client(ctx, over, maps.Clone(r.seen)); err != nil {
		return "", err
	}
	e, err := r.open(ctx, r.o.Store, r.o.Root)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("releases go on until the root expires on %s; a release key stolen until then could not be shut out",
		e.RootExpires().UTC().Format(time.DateOnly)), nil
}

// memory is a cache of metadata.
type memory map[string][]byte

func (m memory) Read(name string, max int64) ([]byte, error) {
	if b, ok := m[name]; ok && int64(len(b)) <= max {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Write(name string, b []byte) error {
	m[name] = slices.Clone(b)
	return nil
}
