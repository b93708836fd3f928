// Package gate lets the processes of an application and the update of its tree
// keep out of each other's way.
//
// The updater's side closes the gate of a tree, asks who is inside to leave, and
// opens it again:
//
//	err := gate.Close(dir, gate.Reason{State: "draining"})
//	left, err := gate.Drain(ctx, dir, gate.DrainOptions{})
//	… // if nobody is left: change files and data
//	err = gate.Open(dir)
//
// A program of the tree asks before it touches files or data:
//
//	pass, err := gate.Enter(ctx, gate.Options{Dir: dir, Name: "web", Park: true, Events: …})
//	defer pass.Leave()
//
// While the gate is closed, it waits (Park) or gets a [*ClosedError]. Inside, it
// is told what is asked of it: to let go of the data ([PleaseDisconnect], done
// by [Pass.Disconnect]), and if it does not, to end ([PleaseDown]).
//
// # Invariants
//
//   - A program that Enter let in, and that neither disconnected nor left, is
//     seen by every Drain that begins later. It registers before it looks at
//     the gate, and Drain looks for programs after the gate is closed.
//   - A program that ends in any way has left: it is known by a lock on a file,
//     which the system takes away.
//   - A gate that cannot be read is closed. No content of a file makes a program
//     panic or read more than a bounded number of bytes.
//   - Waiting makes sense only for as long as somebody is at work. Where data
//     must be migrated by hand, or who closed the gate is gone, Enter fails at
//     once and says so.
//
// # Limits
//
// All is done by small files in the tree's state folder, so there is no server,
// no port and nothing to configure; but programs must run as a user who may
// write there, and a program that does not ask is not stopped. Programs look
// once a second. What is on a network file system must have real locks. Whoever
// may write to the state folder may open the gate: it keeps honest programs
// apart and guards against nobody.
//
// # Files
//
//	.treegraft/gate/closed       why the gate is closed, JSON; absent when it is open
//	.treegraft/gate/ID.lock      locked by a program, for as long as it is there
//	.treegraft/gate/ID.json      who that is, and what it says
//	.treegraft/maintenance       maintenance mode, see [Maintenance]
package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/process"
)

// Names in the state folder.
const (
	gateDir    = "gate"
	closedName = "closed"
)

// Reason says why a gate is closed. All of it is for people, but for State,
// which is a word of package lifecycle: programs wait for the end of draining,
// maintenance, applying and migrating, and of no other state.
type Reason struct {
	State   string    `json:"state"`
	Phase   string    `json:"phase,omitempty"`
	Product string    `json:"product,omitempty"`
	From    string    `json:"from,omitempty"` // versions
	To      string    `json:"to,omitempty"`
	Message string    `json:"message,omitempty"`
	ETA     time.Time `json:"eta,omitzero"` // when it should be over
}

// ends reports whether the state is one that ends by itself.
func (r *Reason) ends() bool {
	switch r.State {
	case "draining", "maintenance", "applying", "migrating":
		return true
	}
	return false
}

// closed is the record of a closed gate.
type closed struct {
	Reason
	Since time.Time  `json:"since"`
	Owner process.ID `json:"owner"`
	Ask   *ask       `json:"ask,omitempty"`
}

// ask is what programs are asked to do, and until when.
type ask struct {
	Kind     Kind      `json:"kind"`
	Deadline time.Time `json:"deadline"`
}

// unreadable is the state of a gate whose record says nothing.
const unreadable = "unreadable"

// A ClosedError says that a gate is closed.
type ClosedError struct {
	Dir string
	Reason
	Since time.Time
	PID   int    // of the process that closed it
	Host  string // where that runs
	Stale bool   // that process is gone, so that waiting is in vain
	Err   error  // why the record cannot be read, where State is "unreadable"
}

// Error tells the state, and what a person can do where waiting is in vain.
func (e *ClosedError) Error() string {
	text := fmt.Sprintf("enter %s: the gate is closed: %s", e.Dir, e.State)
	if e.Phase != "" {
		text += " (" + e.Phase + ")"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	switch {
	case e.Err != nil:
		return text + ": " + e.Err.Error()
	case e.Stale:
		return text + fmt.Sprintf("; process %d, which closed it, has ended", e.PID)
	case !e.ETA.IsZero():
		return text + "; it should open at " + e.ETA.UTC().Format(time.RFC3339)
	}
	return text
}

// Unwrap returns why the record cannot be read.
func (e *ClosedError) Unwrap() error { return e.Err }

// waits reports whether it makes sense to wait for the gate.
func (e *ClosedError) waits() bool { return e.ends() && !e.Stale }

// Close closes the gate of a tree, or says anew why it is closed, durably. The
// calling process is taken for the one who will open it; what programs have been
// asked to do by it stays asked.
func Close(dir string, r Reason) error {
	c := closed{Reason: r, Since: time.Now().UTC().Truncate(time.Second), Owner: process.Self()}
	if before, err := read(dir); err == nil && before != nil && before.Owner == c.Owner {
		c.Since, c.Ask = before.Since, before.Ask
	}
	if err := write(dir, &c); err != nil {
		return fmt.Errorf("close gate: %w", err)
	}
	return nil
}

// Open opens the gate of a tree, durably. One that is open stays so.
func Open(dir string) error {
	err := os.Remove(closedPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(closedPath(dir)))
	}
	if err != nil {
		return fmt.Errorf("open gate: %w", err)
	}
	return nil
}

// Used reports whether the gate of a tree was ever closed, or asked at. Where it
// was not, no program of the tree asks, and nobody misses a gate that is closed.
func Used(dir string) bool {
	_, err := os.Lstat(filepath.Dir(closedPath(dir)))
	return err == nil
}

// Look returns why the gate of a tree is closed, or nil if it is open.
func Look(dir string) *ClosedError {
	c, err := read(dir)
	switch {
	case err != nil:
		return &ClosedError{Dir: dir, Reason: Reason{State: unreadable}, Err: err}
	case c == nil:
		return nil
	}
	return c.asError(dir)
}

func (c *closed) asError(dir string) *ClosedError {
	return &ClosedError{Dir: dir, Reason: c.Reason, Since: c.Since, PID: c.Owner.PID, Host: c.Owner.Host,
		Stale: c.Owner.State() == process.Gone}
}

func closedPath(dir string) string {
	return filepath.Join(dir, atomicfs.StateDir, gateDir, closedName)
}

// read returns the record of a gate; nil if it is open.
func read(dir string) (*closed, error) {
	b, err := readSmall(closedPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var c closed
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err == nil && c.State == "" {
		err = errors.New("want a state, got none")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", closedPath(dir), err)
	}
	for _, text := range []*string{&c.State, &c.Phase, &c.Product, &c.From, &c.To, &c.Message} {
		*text = clip(*text)
	}
	c.ETA, c.Since = c.ETA.UTC(), c.Since.UTC() // so that == compares times
	if c.Ask != nil {
		c.Ask.Deadline = c.Ask.Deadline.UTC()
	}
	return &c, nil
}

func write(dir string, c *closed) error {
	if err := ensureDir(dir); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	return atomicfs.WriteFile(closedPath(dir), append(b, '\n'), 0o600)
}

// ensureDir makes the gate's folder in a tree that has a state folder.
func ensureDir(dir string) error {
	err := os.Mkdir(filepath.Join(dir, atomicfs.StateDir, gateDir), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
