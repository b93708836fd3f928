package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// defaultBundle is how long a bundle is good.
const defaultBundle = 180 * 24 * time.Hour

// A Bundle is what of a repository goes to where there is no network.
type Bundle struct {
	Product  string
	Version  string        // default: the head of the channel
	Channel  string        // default "stable"
	Platform string        // default: all
	Lifetime time.Duration // default: 180 days
}

// Bundle copies a release, and the stops on the way to it, with all that its
// install, and updates to it, need into an empty store, and returns the releases:
// one for each platform. The metadata is that of the repository, signed as ever,
// but for a timestamp that is good for longer. It has the same version as a new
// one in the repository, so that clients can go from one to the other and back.
// It needs the timestamp's key.
func (p *Publisher) Bundle(ctx context.Context, to store.Store, b Bundle) (_ []manifest.Listing, err error) {
	for file, err := range to.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("bundle: the folder is not empty, it holds %s", file.Name)
	}
	s, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer s.end(&err)
	all, err := releases(b.Product, s.editor.Targets(b.Product))
	if err != nil {
		return nil, err
	}
	chosen := b.choose(all)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("bundle %s %s: no such release: %w", b.Product, b.Version, fs.ErrNotExist)
	}
	var listings []manifest.Listing
	for _, r := range chosen {
		for _, stop := range b.route(all, &r) {
			if err := s.bundleRelease(ctx, to, stop); err != nil {
				return nil, err
			}
		}
		listings = append(listings, r.Listing)
	}
	if err := s.bundleMetadata(ctx, to, cmp.Or(b.Lifetime, defaultBundle)); err != nil {
		return nil, err
	}
	return listings, s.tryBundle(ctx, to, cmp.Or(b.Channel, defaultChannel), listings)
}

// choose returns the newest release that fits for each platform.
func (b *Bundle) choose(all []published) (chosen []published) {
	for i := range all {
		r := &all[i] // in order of platforms and sequences
		switch {
		case r.Withdrawn != "" || r.Unstable && b.Version == "" || b.Platform != "" && r.Platform != b.Platform || b.Version != "" && r.Version != b.Version,
			!slices.Contains(r.Channels, cmp.Or(b.Channel, defaultChannel)):
		case len(chosen) > 0 && chosen[len(chosen)-1].Platform == r.Platform:
			chosen[len(chosen)-1] = *r
		default:
			chosen = append(chosen, *r)
		}
	}
	return chosen
}

// route returns a release, and all stops on the way of the oldest install to it.
func (b *Bundle) route(all []published, to *published) (stops []*published) {
	line := lifecycle.NewLine(listingsOf(all), cmp.Or(b.Channel, defaultChannel), to.Platform)
	for _, hop := range line.Route(1, &to.Listing) {
		if p := find(all, &hop); p != nil {
			stops = append(stops, p)
		}
	}
	return stops
}

func (s *session) bundleRelease(ctx context.Context, to store.Store, p *published) error {
	r, err := load(ctx, s.o.Store, *p)
	if err != nil {
		return err
	}
	names := r.files()
	for _, t := range extrasOf(p, s.editor.Targets(p.Product)) {
		names[t.File()] = t.Length
	}
	for name, size := range names {
		if err := s.copyFile(ctx, to, name, size); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file that other releases may have brought already.
func (s *session) copyFile(ctx context.Context, to store.Store, name string, size int64) error {
	body, err := s.o.Store.Fetch(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := to.PushNew(ctx, name, body, size); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// bundleMetadata makes a new timestamp live, and copies all metadata but that.
func (s *session) bundleMetadata(ctx context.Context, to store.Store, life time.Duration) error {
	if err := s.live(ctx, nil); err != nil {
		return err
	}
	for file, err := range s.o.Store.List(ctx, "metadata/") {
		if err != nil {
			return err
		}
		if file.Name == timestampName || !s.wanted(file.Name) {
			continue
		}
		if err := s.copyFile(ctx, to, file.Name, file.Size); err != nil {
			return err
		}
	}
	b, err := s.editor.Timestamp(ctx, life)
	if err != nil {
		return err
	}
	return to.Push(ctx, timestampName, strings.NewReader(string(b)), int64(len(b)))
}

// wanted reports whether metadata is of use to a client that starts from any root.
func (s *session) wanted(name string) bool {
	return strings.HasSuffix(name, ".root.json") || slices.Contains(s.editor.Current(), name)
}

// tryBundle installs from the bundle, as far as the caller's rehearsal does.
func (s *session) tryBundle(ctx context.Context, to store.Store, channel string, all []manifest.Listing) error {
	if s.o.Rehearse == nil {
		return nil
	}
	for _, l := range all {
		r := Rehearsal{Store: to, Root: s.o.Root, Channel: channel,
			Release: &manifest.Release{Product: l.Product, Version: l.Version, Sequence: l.Sequence, Platform: l.Platform}}
		if err := s.o.Rehearse(ctx, r); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	return nil
}
