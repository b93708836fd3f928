package client

import (
	"cmp"
	"context"
	"fmt"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Restore brings back a historic release: from the snapshots that are kept,
// without network, or else from the repository. Its data is that of then if the
// caller has brought it back too and said so with [Client.SetData], or if the
// release has a command that tells; else it is what it is. What the release
// cannot work with is refused with an *[IncompatibleError]. A later Update goes
// forward again, and migrates what there is.
func (c *Client) Restore(ctx context.Context, version string, o UpdateOptions) (*Result, error) {
	if err := manifest.CheckVersion(version); err != nil { // lest it be the word for none
		return nil, fmt.Errorf("restore: %w", err)
	}
	s, err := c.beginInstalled()
	if err != nil {
		return nil, err
	}
	defer s.end()
	taken, err := s.takeUp(ctx, o)
	if err != nil {
		return taken, err
	}
	if s.installed != nil && s.facts().Version == version {
		return cmp.Or(taken, s.nothingDone()), nil
	}
	res, err := s.restore(ctx, version, o)
	return taken.then(res), err
}

func (s *session) restore(ctx context.Context, version string, o UpdateOptions) (*Result, error) {
	n, err := s.snapshotsTo(version)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		if err := s.fitsKept(version); err != nil {
			return nil, err
		}
		return s.restoreKept(ctx, n, o)
	}
	o.Version, o.Downgrade = version, true
	return s.fetchAndApply(ctx, o, verbRestore)
}

// snapshotsTo returns how many rollbacks lead to a version; 0 if none do.
func (s *session) snapshotsTo(version string) (int, error) {
	all, err := s.tree.Snapshots()
	n, found := 0, 0
	for i := len(all) - 1; i >= 0; i-- {
		product, from, _ := parseChangeID(all[i].ID)
		if product != s.c.settings.Product {
			continue
		}
		if n++; from == version && found == 0 {
			found = n
		}
	}
	return found, err
}

// fitsKept checks that a kept release can work with the data, unless that is to
// be taken down on the way there.
func (s *session) fitsKept(version string) error {
	data, err := s.c.Data()
	if err != nil {
		return err
	}
	all, err := s.c.arrivals()
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.From != version || data > a.Data {
			continue
		}
		if _, err := lifecycle.Chain(data, &manifest.Release{Schema: a.Schema}); err != nil {
			return &IncompatibleError{version, err}
		}
	}
	return nil
}

// restoreKept goes back over n snapshots. Each leaves a whole tree.
func (s *session) restoreKept(ctx context.Context, n int, o UpdateOptions) (*Result, error) {
	var res *Result
	for i := range n {
		r, err := s.rollback(ctx, o.Force, i < n-1)
		if err != nil {
			return res, err
		}
		res = res.then(r)
	}
	if x := s.facts().Schema; x != nil && len(x.Query) > 0 {
		r := &Run{Product: s.c.settings.Product, Verb: verbRestore, From: res.From.Version, To: res.To.Version}
		if err := s.learnData(ctx, r); err != nil {
			return res, fmt.Errorf("%s is restored, but not known is its data: %w", res.To.Version, err)
		}
	}
	return res, s.setGate()
}

// learnData records what the installed release says of the data.
func (s *session) learnData(ctx context.Context, r *Run) error {
	d, err := s.queryData(ctx, r, s.installed)
	if err != nil {
		return err
	}
	return s.c.setData(d)
}

// asksData reports whether a release that is restored tells itself what its data
// is, so that it is known only once its files are there.
func asksData(r *manifest.Release, verb string) bool {
	return verb == verbRestore && r.Schema != nil && len(r.Schema.Query) > 0
}
