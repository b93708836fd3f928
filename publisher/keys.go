package publisher

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// Refresh renews the timestamp, and what else will expire before long.
func (p *Publisher) Refresh(ctx context.Context) (err error) {
	s, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer s.end(&err)
	return s.live(ctx, nil)
}

// ReplaceKey puts a new key in the place of an old one, wherever the metadata
// names it, signs anew what the old one signed, and returns the new root.json.
// It needs the recovery key and the new key among the signers.
//
// Clients that ask between the last two writes, of the new root and of the
// timestamp, are told that the timestamp is not signed as it should be, and ask
// again later. If it is stopped just there, everybody is told so until it has
// been called again.
func (p *Publisher) ReplaceKey(ctx context.Context, old, new crypto.PublicKey) (root []byte, err error) {
	return p.edit(ctx, func(e *trust.Editor) error { return e.ReplaceKey(old, new) })
}

// A KeyChange says whose signatures a role needs from now on, and how many.
type KeyChange struct {
	Role      string // "root", "timestamp", "snapshot", "targets" or a product
	Threshold int
	Keys      []crypto.PublicKey
}

// SetKeys changes the keys of roles, signs anew what they sign, and returns the
// new root.json.
func (p *Publisher) SetKeys(ctx context.Context, changes ...KeyChange) (root []byte, err error) {
	return p.edit(ctx, func(e *trust.Editor) error {
		for _, c := range changes {
			if err := e.SetKeys(c.Role, c.Threshold, c.Keys...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Merge makes live what was proposed, once the proposals have all signatures
// between them, and returns the root.json. The keys at hand sign the rest. The
// files of releases that are new must be in the store.
func (p *Publisher) Merge(ctx context.Context, proposals ...[]byte) (root []byte, err error) {
	var editor *trust.Editor
	before := map[string][]trust.Target{}
	adopt := func(e *trust.Editor) error {
		editor = e
		for _, product := range e.Products() {
			before[product] = e.Targets(product)
		}
		for _, b := range proposals {
			if err := e.Adopt(b); err != nil {
				return err
			}
		}
		return nil
	}
	return p.editThen(ctx, adopt, func(store.Fetcher) error {
		for _, product := range editor.Products() {
			if err := p.whole(ctx, product, before[product], editor.Targets(product)); err != nil {
				return fmt.Errorf("merge: publish that release again: %w", err)
			}
		}
		return nil
	})
}

// whole reports files that the store lacks, of releases that after lists and
// before did not. They have been collected if the proposal waited for long.
func (p *Publisher) whole(ctx context.Context, product string, before, after []trust.Target) error {
	all, err := releases(product, after)
	if err != nil {
		return err
	}
	had := map[string]bool{}
	for _, t := range before {
		had[t.File()] = true
	}
	for i := range all {
		if had[all[i].manifestFile.File()] && had[all[i].indexFile.File()] {
			continue
		}
		r, err := load(ctx, p.o.Store, all[i])
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(r.files())) {
			body, err := p.o.Store.Fetch(ctx, name, 0, 0)
			if err != nil {
				return err
			}
			body.Close()
		}
	}
	return nil
}

// edit changes the metadata and makes it live. It also goes on from where a new
// root went live without its timestamp.
func (p *Publisher) edit(ctx context.Context, change func(*trust.Editor) error) (root []byte, err error) {
	return p.editThen(ctx, change, nil)
}

// editThen is edit with a look at what is signed, before it is live.
func (p *Publisher) editThen(ctx context.Context, change func(*trust.Editor) error, look func(store.Fetcher) error) (root []byte, err error) {
	s, err := p.begin(ctx)
	var unsigned *trust.SignatureError
	if errors.As(err, &unsigned) && unsigned.File == timestampName {
		s, err = p.beginAgain(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	defer s.end(&err)
	if err := change(s.editor); err != nil {
		return nil, err
	}
	if err := s.live(ctx, look); err != nil {
		return nil, err
	}
	return s.editor.Root(), nil
}

// beginAgain is begin without the newest root, which a replacement has left
// that did not come to its end. If that is not it, the first error stands.
func (p *Publisher) beginAgain(ctx context.Context, first error) (*session, error) {
	newest := 0
	for file, err := range p.o.Store.List(ctx, "metadata/") {
		if err != nil {
			return nil, err
		}
		version, role, _ := strings.Cut(strings.TrimPrefix(file.Name, "metadata/"), ".")
		if n, err := strconv.Atoi(version); err == nil && role == "root.json" {
			newest = max(newest, n)
		}
	}
	s, err := p.beginFrom(ctx, without{p.o.Store, fmt.Sprintf("metadata/%d.root.json", newest)})
	if err != nil {
		return nil, first
	}
	return s, nil
}

// without is a store in which one file is not seen.
type without struct {
	store.Fetcher
	name string
}

func (w without) Fetch(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if name == w.name {
		return nil, fmt.Errorf("fetch %s: %w", name, fs.ErrNotExist)
	}
	return w.Fetcher.Fetch(ctx, name, offset, length)
}
