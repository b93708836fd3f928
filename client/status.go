package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Status is what can be said of a tree without network.
type Status struct {
	Dir        string
	Repository string
	Product    string
	Channel    string
	Platform   string // "" means that of the host

	Installed *manifest.Release
	Fetched   string // version of a release whose download is complete
	Rollback  string // version that Rollback would bring back, "nothing" for an empty tree; "" when there is no way back
	Busy      string // who is at work on the tree; "" for nobody
	Trial     *Trial // the probation of what is installed, if it is on one
	Rejected  []Rejection
}

// Status reports the state of the tree. While another process works on it, the
// answer may be of before or after that work.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	b, err := readInstalled(c.o.Dir, c.settings.Product)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", c.o.Dir, ErrNotInstalled)
	}
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	st := &Status{Dir: c.o.Dir, Repository: c.settings.Repository, Product: c.settings.Product,
		Channel: c.settings.Channel, Platform: c.settings.Platform, Installed: &m.Release}
	if st.Fetched, err = c.fetched(); err != nil {
		return nil, err
	}
	all, err := c.trials()
	if err != nil {
		return nil, err
	}
	if t, ok := all[manifest.Sum(b).String()]; ok {
		st.Trial = &t
	}
	if st.Rejected, err = c.rejections(); err != nil {
		return nil, err
	}
	return st, c.tryLock(st)
}

// tryLock fills in what can only be seen under the lock, or who has it.
func (c *Client) tryLock(st *Status) error {
	tree, err := atomicfs.Open(c.o.Dir, atomicfs.Options{})
	var locked *atomicfs.LockedError
	if errors.As(err, &locked) {
		st.Busy = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	back, err := wayBack(tree, st.Product)
	if back != nil {
		st.Rollback = back.from
	}
	return err
}

// fetched returns the version whose download is complete.
func (c *Client) fetched() (string, error) {
	b, err := c.readState(fetchedName, maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

// HistoryEntry is one thing that happened to a tree.
type HistoryEntry struct {
	Time    time.Time `json:"time"`
	Verb    string    `json:"verb"` // install, update, repair or rollback
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
	e := HistoryEntry{Time: c.now().UTC().Truncate(time.Second), Verb: verb, Product: c.settings.Product}
	if from != nil {
		e.From = from.Version
	}
	if to != nil {
		e.To = to.Version
	}
	b, err := json.Marshal(e)
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

func (c *Client) now() time.Time {
	if c.o.Now != nil {
		return c.o.Now()
	}
	return time.Now()
}
