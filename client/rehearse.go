package client

import (
	"context"

	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
)

// Rehearsal is an update or install that is tried without a tree, by a
// publisher before a release goes live.
type Rehearsal struct {
	Store    store.Fetcher // the repository as it will be
	Root     []byte
	Product  string
	Version  string
	Channel  string
	Platform string
	From     *manifest.Manifest                        // nil: an install
	Seed     func(manifest.Digest) (delta.File, error) // opens content of the old release
}

// Rehearse goes the whole way of a client up to the commit: it checks the
// signed metadata, finds the release, fetches its manifest and all content that
// the update from r.From needs, and verifies it. It keeps nothing.
func Rehearse(ctx context.Context, r Rehearsal) error { panic("todo") }
