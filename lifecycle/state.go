package lifecycle

import (
	"fmt"
	"slices"
)

// State is what a tree is in the life of an install.
type State string

// The states. Those from Draining to Migrating, and Failed, are states of a run
// and recorded; the others follow from facts, see [Rest].
const (
	UpToDate         State = "up-to-date"
	Available        State = "available"
	Held             State = "held"              // somebody said: no updates
	Blocked          State = "blocked"           // the host lacks what the release requires
	Fetched          State = "fetched"           // downloaded, waits to be applied
	AwaitingApproval State = "awaiting-approval" // policy wants somebody's word first
	Draining         State = "draining"          // running programs are asked to leave
	Maintenance      State = "maintenance"       // the gate is closed, the old tree in place
	Applying         State = "applying"          // the tree changes, forth or back
	NeedsMigration   State = "needs-migration"   // the release is in place, its data is older
	Migrating        State = "migrating"
	OnProbation      State = "on-probation" // the release has to prove itself
	Failed           State = "failed"       // a person has to decide
	RolledBack       State = "rolled-back"  // the newer release was left
	Withdrawn        State = "withdrawn"    // the publisher took the installed release back
	TooNew           State = "too-new"      // newer than what the publisher recommends
)

// Event is what leads from one state to another. Events of a run are named for
// the phase that begins.
type Event string

// The events.
const (
	Publish   Event = "a newer release is published"
	Unpublish Event = "it is withdrawn"
	Recall    Event = "the installed one is withdrawn"
	Recommend Event = "an older one is recommended"
	Hold      Event = "hold"
	Unhold    Event = "unhold"
	Lack      Event = "a prerequisite is missing"
	Met       Event = "it is there"
	Fetch     Event = "fetch"
	Ask       Event = "policy asks for approval"
	Approve   Event = "approve"
	Drain     Event = "drain"
	Offline   Event = "offline"
	Place     Event = "place"
	Migrate   Event = "migrate"
	Online    Event = "online"
	Leave     Event = "stop, nothing has changed"
	Back      Event = "go back"
	Return    Event = "the old one is back"
	Fail      Event = "fail"
	Defer     Event = "leave migrations for later"
	Age       Event = "data of an earlier release is there"
	Done      Event = "done"
	Trial     Event = "done, on probation"
	Confirm   Event = "confirm"
	Doubt     Event = "failed its probation"
)

// Transition is one arrow of the picture.
type Transition struct {
	From State
	On   Event
	To   State
}

// Transitions returns all arrows, in the order in which they are drawn.
func Transitions() []Transition {
	all := slices.Clone(arrows[:])
	for _, s := range []State{UpToDate, Available, Held, Fetched, AwaitingApproval, Blocked, RolledBack, Withdrawn, TooNew, OnProbation, NeedsMigration} {
		all = append(all, Transition{s, Drain, Draining}) // a person may restore or go back at any time
	}
	for _, s := range []State{Draining, Maintenance, Applying, Migrating} {
		all = append(all, Transition{s, Back, Applying}, Transition{s, Fail, Failed})
	}
	return all
}

var arrows = [...]Transition{
	{UpToDate, Publish, Available},
	{UpToDate, Hold, Held},
	{UpToDate, Recall, Withdrawn},
	{UpToDate, Recommend, TooNew},
	{UpToDate, Age, NeedsMigration},
	{Available, Unpublish, UpToDate},
	{Available, Hold, Held},
	{Available, Lack, Blocked},
	{Available, Ask, AwaitingApproval},
	{Available, Fetch, Fetched},
	{Held, Unhold, UpToDate},
	{Blocked, Met, Available},
	{AwaitingApproval, Approve, Available},
	{AwaitingApproval, Hold, Held},
	{Fetched, Ask, AwaitingApproval},
	{Fetched, Hold, Held},
	{Fetched, Lack, Blocked},
	{Withdrawn, Publish, Available},
	{TooNew, Recommend, UpToDate},
	{RolledBack, Publish, Available},
	{RolledBack, Hold, Held},
	{OnProbation, Confirm, UpToDate},
	{OnProbation, Doubt, Draining},

	{Draining, Offline, Maintenance},
	{Draining, Leave, Available},
	{Maintenance, Place, Applying},
	{Maintenance, Migrate, Migrating},
	{Applying, Migrate, Migrating},
	{Applying, Defer, NeedsMigration},
	{Applying, Done, UpToDate},
	{Applying, Trial, OnProbation},
	{Applying, Return, RolledBack},
	{Migrating, Online, Applying},
	{Failed, Drain, Draining},
	{Failed, Offline, Maintenance},
	{Failed, Place, Applying},
	{Failed, Migrate, Migrating},
	{Failed, Online, Applying},
	{Failed, Back, Applying},
}

// Next returns where an event leads. An event that a state does not know is a
// defect of the caller.
func (s State) Next(on Event) (State, error) {
	for _, t := range Transitions() {
		if t.From == s && t.On == on {
			return t.To, nil
		}
	}
	return s, fmt.Errorf("no way on from state %s on %q", s, string(on))
}

// InRun reports whether s is a state of a run, which status finds recorded.
func (s State) InRun() bool {
	return s == Draining || s == Maintenance || s == Applying || s == Migrating || s == Failed
}

// Facts are what [Rest] goes by: what is known of a tree with no run under way.
type Facts struct {
	NeedsMigration bool
	Withdrawn      bool
	TooNew         bool
	Held           bool
	OnProbation    bool
	Newer          bool // a release to go to is known
	Unmet          bool // but its prerequisites are not there
	Unapproved     bool // or it waits for approval
	Fetched        bool // or it is downloaded
	Left           bool // the last run went back
}

// Rest returns the state of a tree without a run: the most urgent one that its
// facts give.
func Rest(f Facts) State {
	for _, c := range []struct {
		fact  bool
		state State
	}{
		{f.NeedsMigration, NeedsMigration},
		{f.OnProbation, OnProbation},
		{f.Withdrawn, Withdrawn},
		{f.Held, Held},
		{f.Newer && f.Unmet, Blocked},
		{f.Newer && f.Unapproved, AwaitingApproval},
		{f.Newer && f.Fetched, Fetched},
		{f.Newer, Available},
		{f.TooNew, TooNew},
		{f.Left, RolledBack},
	} {
		if c.fact {
			return c.state
		}
	}
	return UpToDate
}
