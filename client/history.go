package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

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
	b, err := readUpTo(c.shared(historyName), maxHistory)
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
