package atomicfs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrNeedsRecovery says that a change was cut short and could neither be
	// finished nor taken back. The next [Open] tries again.
	ErrNeedsRecovery = errors.New("the tree needs recovery: open it again")
	// ErrReadOnly says that the tree was opened to be looked at only.
	ErrReadOnly = errors.New("the tree is only read")
	// ErrNotDurable says that the new tree is in place, but the last sync
	// failed: a power cut may still bring back the old one.
	ErrNotDurable = errors.New("the change is made, but may not survive a power cut")
	// ErrDamagedJournal says that a change was cut short and what it was to do
	// cannot be read. No crash causes that. Remove the journal, and make every
	// managed file anew that is not as it should be.
	ErrDamagedJournal = errors.New("damaged journal")
	// ErrNoSnapshot says that there is nothing to roll back to.
	ErrNoSnapshot = errors.New("no snapshot to roll back to")
)

// LockedError says who holds the lock of a tree. What is not known is zero.
type LockedError struct {
	Root   string
	PID    int
	BootID string // of the boot in which the holder runs; "" where there is no such thing
	Since  time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: held by another process", e.Root)
	}
	return fmt.Sprintf("lock %s: held by process %d since %s", e.Root, e.PID, e.Since.Format(time.RFC3339))
}

// Drift is one entry that is not what the change expects.
type Drift struct {
	Path string
	Want *Node // nil: nothing, so Got is unmanaged and in the way
	Got  *Node // its Digest is zero where the size alone tells the difference
}

func (d Drift) String() string {
	if d.Want == nil {
		return fmt.Sprintf("%s: in the way, got %v", d.Path, d.Got)
	}
	return fmt.Sprintf("%s: want %v, got %v", d.Path, d.Want, d.Got)
}

// DriftError lists all drift in the way of a change. Nothing was changed.
type DriftError struct{ Drift []Drift }

func (e *DriftError) Error() string { return "check old tree: " + list(e.Drift) }

// Obstacle is one reason why a change cannot be made.
type Obstacle struct {
	Path string
	// Kind is one of "space", "inodes", "permission", "read-only",
	// "immutable", "mount point", "name", "parent", "snapshot".
	Kind   string
	Detail string
}

func (o Obstacle) String() string { return fmt.Sprintf("%s: %s: %s", o.Path, o.Kind, o.Detail) }

// PreflightError lists all obstacles found. Nothing was changed.
type PreflightError struct{ Obstacles []Obstacle }

func (e *PreflightError) Error() string { return "preflight: " + list(e.Obstacles) }

// ContentError says that content written to a [StagedFile] is not what was
// declared.
type ContentError struct {
	Path      string
	Want, Got Node
}

func (e *ContentError) Error() string {
	return fmt.Sprintf("verify %s: got %v, want %v", e.Path, &e.Got, &e.Want)
}

// list writes the first few items in full: an error stays readable when ten
// thousand files have drifted, and the caller has the whole list.
func list[T fmt.Stringer](items []T) string {
	const most = 5
	var b strings.Builder
	for i, it := range items {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(items)-most)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(it.String())
	}
	return b.String()
}
