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
	s, err := p.begin(ctx)
	var unsigned *trust.SignatureError
	if errors.As(err, &unsigned) && unsigned.File == timestampName {
		s, err = p.beginAgain(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	defer s.end(&err)
	if err := s.editor.ReplaceKey(old, new); err != nil {
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
