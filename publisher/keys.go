package publisher

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
// between them, and returns the root.json. The keys at hand sign the rest.
func (p *Publisher) Merge(ctx context.Context, proposals ...[]byte) (root []byte, err error) {
	return p.edit(ctx, func(e *trust.Editor) error {
		for _, b := range proposals {
			if err := e.Adopt(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// edit changes the metadata and makes it live. It also goes on from where a new
// root went live without its timestamp.
func (p *Publisher) edit(ctx context.Context, change func(*trust.Editor) error) (root []byte, err error) {
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
	if err := s.live(ctx, nil); err != nil {
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
