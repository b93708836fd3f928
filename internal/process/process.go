// Package process tells processes apart, waits for their end, and ends them.
//
// The number of a process says little: it is used again, and after a restart
// of the system it means somebody else. So an [ID] also has the time when the
// process began, the boot in which it runs, and where that number is valid. Two
// IDs that are equal mean the same process, on Linux, macOS and Windows.
//
// What cannot be known, as for a process of another machine or container, is
// [Unknown], and nothing is ever sent to such a process.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ID is what tells one process from all others.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start,omitempty"`   // when it began, in a unit of the system; 0 if unknown
	Boot  string `json:"boot_id,omitempty"` // "" where there is no such thing
	Space string `json:"space,omitempty"`   // where its number is valid: a PID namespace of Linux
	Host  string `json:"host,omitempty"`
}

// State says what is known of a process.
type State uint8

// The states of a process. One that has ended but was not waited for by its
// parent is Gone: it holds nothing anymore.
const (
	Unknown State = iota
	Alive
	Gone
)

// String returns a word for s.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// ErrUnknown is returned for processes that nothing can be known of.
var ErrUnknown = errors.New("not a process of this machine")

// Self returns the ID of the calling process.
func Self() ID {
	id, _ := Of(os.Getpid()) // what is not known stays empty
	return id
}

// Of returns the ID of the process that has the number now.
func Of(pid int) (ID, error) {
	id := ID{PID: pid, Boot: bootID(), Space: space()}
	id.Host, _ = os.Hostname() // only told, and "" equals ""
	if pid <= 0 {
		return id, fmt.Errorf("look at process %d: want a number above 0", pid)
	}
	start, running, err := look(pid)
	id.Start = start
	switch {
	case err != nil:
		return id, fmt.Errorf("look at process %d: %w", pid, err)
	case !running:
		return id, fmt.Errorf("look at process %d: %w", pid, os.ErrProcessDone)
	}
	return id, nil
}

// Parse reads PID or PID@START, as String writes it, for a process of this
// machine. Without START it means the process that has the number now; a number
// that nobody has is a process that is gone.
func Parse(s string) (ID, error) {
	number, start, exact := strings.Cut(s, "@")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 0 {
		return ID{}, fmt.Errorf("process %q: want a number above 0, or PID@START", s)
	}
	if !exact {
		id, err := Of(pid)
		if errors.Is(err, os.ErrProcessDone) {
			id.Start = neverStarted
			return id, nil
		}
		return id, err
	}
	id := Self()
	id.PID = pid
	if id.Start, err = strconv.ParseUint(start, 10, 64); err != nil {
		return ID{}, fmt.Errorf("process %q: want PID@START: %w", s, err)
	}
	return id, nil
}

// neverStarted is the start of no process.
const neverStarted = ^uint64(0)

// String returns PID@START.
func (id ID) String() string { return fmt.Sprintf("%d@%d", id.PID, id.Start) }

// State looks at the process.
func (id ID) State() State {
	host, _ := os.Hostname()
	switch {
	case id.PID <= 0 || id.Host != host:
		return Unknown
	case id.Boot != bootID():
		return Gone
	case id.Space != space():
		return Unknown
	}
	start, running, err := look(id.PID)
	switch {
	case err != nil:
		return Unknown
	case !running || id.Start != 0 && start != 0 && start != id.Start:
		return Gone
	}
	return Alive
}

// Wait returns when the process is gone.
func (id ID) Wait(ctx context.Context) error {
	switch id.State() {
	case Gone:
		return nil
	case Unknown:
		return fmt.Errorf("wait for process %d: %w", id.PID, ErrUnknown)
	}
	if err := id.wait(ctx); err != nil {
		return fmt.Errorf("wait for process %d: %w", id.PID, err)
	}
	return nil
}

// Stop asks the process to end, or with kill, ends it. Where a process cannot
// be asked, it is ended. It takes no ID that says less than Of does.
func (id ID) Stop(kill bool) error {
	if id.Start == 0 {
		return fmt.Errorf("stop process %d: %w: want to know when it began", id.PID, ErrUnknown)
	}
	err := id.stop(kill)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop process %d: %w", id.PID, err)
	}
	return nil
}

// between is the time between two looks, where nothing better can be waited for.
const between = 50 * time.Millisecond

// waitByLooking is the way that works everywhere.
func (id ID) waitByLooking(ctx context.Context) error {
	tick := time.NewTicker(between)
	defer tick.Stop()
	for id.State() == Alive {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
