// Package storetest is the suite that every store must pass.
package storetest

import (
	"testing"

	"github.com/treegraft-dev/treegraft/store"
)

// TestFetcher checks a Fetcher. Open returns one that holds the files.
func TestFetcher(t *testing.T, open func(t *testing.T, files map[string][]byte) store.Fetcher) {
}

// TestStore checks a Store. Open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) store.Store) {
}
