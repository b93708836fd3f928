package gate

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/internal/process"
)

// state is where a program stands.
type state string

const (
	parked       state = "parked"       // waits to be let in
	connected    state = "connected"    // may use files and data
	disconnected state = "disconnected" // has let go of them, but runs
)

// A Process is a program that asked at the gate.
type Process struct {
	Name  string    `json:"name"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	State string    `json:"state"`          // parked, connected or disconnected
	Note  string    `json:"note,omitempty"` // what it says to whoever waits for it

	id process.ID
}

// String names the process, and what it says.
func (p Process) String() string {
	text := fmt.Sprintf("%s (process %d)", p.Name, p.PID)
	if p.Note != "" {
		text += ": " + p.Note
	}
	return text
}

// inTheWay reports whether an update has to wait for the process.
func (p Process) inTheWay() bool { return p.State != string(parked) && p.State != string(disconnected) }

// record is the content of ID.json.
type record struct {
	Process process.ID `json:"process"`
	Name    string     `json:"name"`
	Since   time.Time  `json:"since"`
	State   state      `json:"state"`
	Note    string     `json:"note,omitempty"`
}

// member is a process that is registered, seen from inside.
type member struct {
	base string // path without ending
	lock *flock.Flock
	rec  record
}

// How much a program may say of itself, and how many there may be.
const (
	maxText    = 500
	maxMembers = 10_000
)

// register makes the lock file first: a record without a lock is that of a
// program that has ended.
func register(dir, name string) (*member, error) {
	if err := ensureDir(dir); err != nil {
		return nil, err
	}
	for range 10 {
		base := filepath.Join(dir, atomicfs.StateDir, gateDir, strings.ToLower(rand.Text()))
		lock := flock.New(base+".lock", flock.SetFlag(os.O_CREATE|os.O_EXCL|os.O_RDWR), flock.SetPermissions(0o600))
		locked, err := lock.TryLock()
		if err != nil {
			return nil, err
		}
		m := &member{base: base, lock: lock}
		m.rec = record{Process: process.Self(), Name: clip(name), Since: time.Now().UTC().Truncate(time.Second)}
		if locked && m.inPlace() {
			if err := m.say(parked, ""); err != nil {
				return nil, errors.Join(err, m.leave())
			}
			return m, nil
		}
		lock.Close() // somebody looked at it in between
	}
	return nil, errors.New("register: the lock was taken ten times")
}

// inPlace reports whether the locked file still has its name.
func (m *member) inPlace() bool {
	opened, err := m.lock.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(m.base + ".lock")
	return err == nil && os.SameFile(opened, named)
}

// say writes the record. Without a state it leaves that as it is.
func (m *member) say(s state, note string) error {
	m.rec.State, m.rec.Note = cmp.Or(s, m.rec.State), clip(note)
	b, err := json.Marshal(&m.rec)
	if err != nil {
		return err
	}
	return replace(m.base+".json", b)
}

// leave takes the record away before the lock ends.
func (m *member) leave() error {
	err := patiently(func() error { return os.Remove(m.base + ".json") })
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	err = errors.Join(err, m.lock.Close())
	if e := os.Remove(m.base + ".lock"); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// clip bounds a text, and keeps what a terminal would obey out of it.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	for len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}

// Participants returns the programs that asked at the gate of a tree and have
// neither left nor ended, in order of their names and numbers. It removes what
// others left behind.
func Participants(dir string) ([]Process, error) {
	all, err := participants(filepath.Join(dir, atomicfs.StateDir, gateDir))
	if err != nil {
		return nil, fmt.Errorf("look who is in %s: %w", dir, err)
	}
	return all, nil
}

func participants(folder string) ([]Process, error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(4 * maxMembers)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) == 4*maxMembers {
		return nil, fmt.Errorf("want at most %d programs, got more", maxMembers)
	}
	var all []Process
	for _, name := range names {
		base, ok := strings.CutSuffix(name, ".lock")
		if !ok {
			continue
		}
		p, err := lookAt(filepath.Join(folder, base))
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	slices.SortFunc(all, func(a, b Process) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.PID-b.PID)
	})
	return all, nil
}

// lookAt returns the process that holds the lock, or nil if none does.
func lookAt(base string) (*Process, error) {
	info, err := os.Lstat(base + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil // no program made that
	}
	// Shared, lest two who look take each other for the holder.
	lock := flock.New(base+".lock", flock.SetFlag(os.O_RDWR|nonBlocking))
	defer lock.Close()
	free, err := lock.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if free {
		sweep(base, info)
		return nil, nil
	}
	return readMember(base, info), nil
}

// readMember reads what the holder of a lock says of itself. One that cannot be
// read is there nevertheless.
func readMember(base string, info fs.FileInfo) *Process {
	unknown := &Process{Name: "unknown program", Since: info.ModTime().UTC(), State: string(connected)}
	b, err := readSmall(base + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		// It is about to register, and looks at the gate after that; or it
		// is about to be gone.
		unknown.State = string(parked)
		return unknown
	}
	var r record
	if err != nil || json.Unmarshal(b, &r) != nil {
		return unknown
	}
	return &Process{Name: clip(r.Name), PID: r.Process.PID, Since: r.Since, State: clip(string(r.State)), Note: clip(r.Note), id: r.Process}
}

// sweep removes what a process that has ended left behind. Nothing depends on
// it. A lock that is a moment old may be one that is about to be locked.
func sweep(base string, info fs.FileInfo) {
	os.Remove(base + ".json")
	os.Remove(base + ".json.new")
	if time.Since(info.ModTime()) > time.Second {
		os.Remove(base + ".lock")
	}
}
