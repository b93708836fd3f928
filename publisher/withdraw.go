package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/treegraft-dev/treegraft/manifest"
)

// Withdrawal takes a release back, on all its platforms, or lets it stand again.
type Withdrawal struct {
	Product, Version string
	Reason           string // for people; "" lets the release stand again
	// Retreat sends those who have it back to the head of their channel, if
	// that is older. Without it they stay until something newer comes.
	Retreat bool
}

// Withdraw signs a withdrawal. Nothing is deleted: who is on the release can be
// brought away from it as before. The error is [fs.ErrNotExist] if there is no
// such release.
func (p *Publisher) Withdraw(ctx context.Context, w Withdrawal) (err error) {
	s, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer s.end(&err)
	if w.Reason != "" {
		if err := s.mayWithdraw(ctx, w.Product, w.Version); err != nil {
			return err
		}
	}
	found := false
	change := func(l *manifest.Listing) bool {
		if l.Version != w.Version {
			return false
		}
		found = true
		l.Withdrawn, l.Retreat = w.Reason, w.Retreat
		return true
	}
	if err := s.relist(w.Product, change); err != nil {
		return fmt.Errorf("withdraw %s %s: %w", w.Product, w.Version, err)
	}
	if !found {
		return fmt.Errorf("withdraw %s %s: no such release: %w", w.Product, w.Version, fs.ErrNotExist)
	}
	return s.live(ctx, nil)
}

// mayWithdraw refuses to take away barriers that later releases count on.
func (s *session) mayWithdraw(ctx context.Context, product, version string) error {
	all, err := releases(product, s.editor.Targets(product))
	if err != nil {
		return err
	}
	refused := &manifest.InvalidError{What: fmt.Sprintf("withdraw %s %s", product, version)}
	for i := range all {
		if p := &all[i]; p.Version == version && p.Barrier {
			faults, err := s.unlocks(ctx, all, p)
			if err != nil {
				return err
			}
			refused.Faults = append(refused.Faults, faults...)
		}
	}
	if len(refused.Faults) > 0 {
		return refused
	}
	return nil
}

// relist changes what the metadata says of a product's releases. Change reports
// whether it did.
func (s *session) relist(product string, change func(*manifest.Listing) bool) error {
	targets := s.editor.Targets(product)
	var errs []error
	for i, t := range targets {
		if !strings.HasPrefix(t.Name, "manifests/") {
			continue
		}
		l, err := manifest.ParseListing(t.Custom)
		if err != nil {
			return fmt.Errorf("read listing of %s: %w", t.Name, err)
		}
		if !change(l) {
			continue
		}
		custom, err := json.Marshal(l)
		if err == nil {
			_, err = manifest.ParseListing(custom)
		}
		errs = append(errs, err)
		targets[i].Custom = custom
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.editor.SetTargets(product, targets)
}
