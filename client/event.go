package client

import "fmt"

// Phase is a part of an operation.
type Phase uint8

// The phases, in the order in which they happen.
const (
	Checking   Phase = iota // signed metadata
	Planning                // index, manifest, local files
	Fetching                // packs and objects
	Staging                 // making and verifying new content
	Committing              // the short time in which the tree changes
	Verifying               // reading the tree
	Running                 // hooks, migrations, and waiting for programs; Path names the step
)

// String returns the phase as a person reads it, such as "fetching".
func (p Phase) String() string {
	names := [...]string{"checking", "planning", "fetching", "staging", "committing", "verifying", "running"}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Event tells how far an operation is. Done and Total are bytes; Total is 0
// where it is not known. A Note is a sentence for people: a fallback, a file
// kept aside, a recovery.
type Event struct {
	Phase       Phase
	Done, Total int64
	Path        string
	Note        string
}
