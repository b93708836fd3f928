package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/internal/smallfile"
	"github.com/treegraft-dev/treegraft/manifest"
)

// HistoryEntry is one thing that happened to a tree.
type HistoryEntry struct {
	Time    time.Time `json:"time"`
	Verb    string    `json:"verb"` // install, update, repair, restore, rollback, abort, setup or uninstall
	Product string    `json:"product"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
}

// maxHistory bounds what is read of the history.
const maxHistory = 16 << 20

// History returns what happened to the tree, oldest first. A line that a crash
// has cut off is left out.
func (c *Client) History() ([]HistoryEntry, error) {
	b, err := smallfile.Read(c.shared(historyName), maxHistory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []HistoryEntry
	for line := range bytes.Lines(b) {
		var e HistoryEntry
		if json.Unmarshal(line, &e) == nil {
			all = append(all, e)
		}
	}
	return all, err
}

// rolledBackFrom returns the version that somebody has left by hand for the
// installed one, by a rollback, a restore or an abort; "" for none. Unlike a
// rejected release, an update takes it again. The history is not worth an error.
func (c *Client) rolledBackFrom(installed *manifest.Release, rejected []Rejection) string {
	all, _ := c.History()
	for _, e := range slices.Backward(all) {
		if e.Product != installed.Product || e.From == e.To { // a repair or a setup
			continue
		}
		back := e.Verb == verbRollback || e.Verb == verbRestore || e.Verb == verbAbort
		failed := slices.ContainsFunc(rejected, func(r Rejection) bool { return r.Version == e.From })
		if !back || failed || e.To != installed.Version || e.From == "" || manifest.CompareVersions(e.From, e.To) < 0 {
			return ""
		}
		return e.From
	}
	return ""
}

// note adds a line to the history.
func (c *Client) note(verb string, from, to *manifest.Release) error {
	b, err := json.Marshal(HistoryEntry{Time: c.stamp(), Verb: verb, Product: c.settings.Product,
		From: versionOf(from), To: versionOf(to)})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.shared(historyName), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}
