package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// installID returns the install's id, or nil where there is none, or none that
// can be read. The id is of the whole tree, and says nothing about who owns it.
func (c *Client) installID() []byte {
	b, err := smallfile.Read(c.shared(idName), 64)
	if err != nil {
		return nil
	}
	if id, err := hex.DecodeString(strings.TrimSpace(string(b))); err == nil && len(id) == 16 {
		return id
	}
	return nil
}

// needID returns the install's id, which it makes if need be and if it can.
func (s *session) needID() ([]byte, error) {
	if id := s.c.installID(); id != nil {
		return id, nil
	}
	if s.readOnly {
		return nil, nil
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return id, atomicfs.WriteFile(s.c.shared(idName), []byte(hex.EncodeToString(id)+"\n"), 0o600)
}

// wish says which release an update with these options is to go to.
func (s *session) wish(o UpdateOptions) (lifecycle.Wish, error) {
	set := &s.c.settings
	o.Version = cmp.Or(o.Version, set.Pin)
	w := lifecycle.Wish{Channel: set.Channel, Platform: s.c.platform(), Version: o.Version, Installed: s.facts(), Floor: set.Floor,
		Downgrade: o.Downgrade, Unstable: set.Unstable, TooNew: set.TooNew, Rejected: map[manifest.Digest]string{}}
	rejected, err := s.c.rejections()
	if err != nil {
		return w, err
	}
	for _, r := range rejected {
		if d, err := manifest.ParseDigest(r.Digest); err == nil {
			w.Rejected[d] = r.Reason
		}
	}
	w.Install, err = s.needID()
	return w, err
}

// chosen is where an update goes.
type chosen struct {
	*lifecycle.Choice
	hops []*release         // of the route; none to stay
	all  []manifest.Listing // that there are
}

// choose asks the repository what there is, and chooses.
func (s *session) choose(ctx context.Context, r *remote, o UpdateOptions) (*chosen, error) {
	s.c.emit(Event{Phase: Checking})
	all, err := r.releases(ctx, s.c.settings.Product)
	if err != nil {
		return nil, err
	}
	w, err := s.wish(o)
	if err != nil {
		return nil, err
	}
	c, err := pick(all, w)
	if err == nil && c.Head != nil && c.Head.Digest == s.digest {
		c.Head, c.Route, c.hops = nil, nil, nil // there already
	}
	return c, err
}

// pick chooses among releases. With an error, it still says what it has seen.
func pick(all []release, w lifecycle.Wish) (*chosen, error) {
	listings := make([]manifest.Listing, len(all))
	for i := range all {
		listings[i] = all[i].Listing
	}
	choice, err := lifecycle.Choose(listings, w)
	c := &chosen{Choice: choice, all: listings}
	for _, hop := range choice.Route {
		i := slices.IndexFunc(all, func(r release) bool {
			return r.Digest == hop.Digest && r.Sequence == hop.Sequence && r.Platform == hop.Platform
		})
		c.hops = append(c.hops, &all[i])
	}
	return c, err
}

// versions returns those of a route.
func versions(route []manifest.Listing) (all []string) {
	for _, l := range route {
		all = append(all, l.Version)
	}
	return all
}
