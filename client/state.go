package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/smallfile"
)

// Names in the state folder. What must change together with the tree is below
// atomicfs's own meta folder; the rest is here.
const (
	productsName = "products" // a folder for each product, with all that follows:

	settingsName  = "settings.json"
	rootName      = "root.json" // the trusted root, pinned by the install
	trustName     = "trust"     // cache of signed metadata
	downloadsName = "downloads" // packs, objects and documents, by digest
	fetchedName   = "fetched"   // version whose downloads are complete
	seenName      = "seen"      // what the last check has found
	defaultsName  = "defaults"  // settings files as they were shipped, by digest
	landingName   = "landing"   // where the last way back has led
	holdName      = "hold"
	approvedName  = "approved"  // a list of approvals
	probationName = "probation" // trials by digest of the canonical manifest
	rejectedName  = "rejected"  // a list of rejections, the last one newest
	arrivalsName  = "arrivals"  // by digest of the canonical manifest

	historyName = "history" // of the tree: one JSON object a line
	runName     = "run"     // the run under way
	dataName    = "data"    // versions of data, by product
	idName      = "id"      // the install's id: 128 random bits, in hexadecimal
)

// maxState bounds what is read of a small state file.
const maxState = 1 << 20

// state returns the path of a file about the product in the state folder.
func (c *Client) state(elem ...string) string {
	return c.shared(append([]string{productsName, c.settings.Product}, elem...)...)
}

// shared returns the path of a file about the whole tree in the state folder.
func (c *Client) shared(elem ...string) string {
	return filepath.Join(append([]string{c.o.Dir, atomicfs.StateDir}, elem...)...)
}

// readJSON reads a state file, and reports whether there is one. Without one, v
// stays as it is.
func readJSON(name string, v any) (found bool, err error) {
	b, err := smallfile.Read(name, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return true, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}

// readMap reads a state file that is a JSON object. The map is never nil.
func readMap[V any](name string) (map[string]V, error) {
	all := map[string]V{}
	_, err := readJSON(name, &all)
	if all == nil { // the file says null
		all = map[string]V{}
	}
	return all, err
}

// readList reads a state file that is a JSON array.
func readList[V any](name string) (all []V, err error) {
	_, err = readJSON(name, &all)
	return all, err
}

// writeJSON writes a state file, durably.
func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(name, append(b, '\n'), 0o600)
}
