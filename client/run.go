package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/internal/process"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// A Run is an update, restore, rollback or setup under way, as it is recorded in
// the tree. Only what involves more than files has a record: hooks, migrations,
// or programs that have to leave. It is there from the first of these until the
// gate is open again, and whoever finds it goes on from it, or goes back.
type Run struct {
	Product string          `json:"product"`
	Verb    string          `json:"verb"` // update, install, restore, rollback or setup
	State   lifecycle.State `json:"state"`
	Phase   string          `json:"phase"`          // drain, offline, backup, place, migrate or online; or back
	Step    string          `json:"step,omitempty"` // what was begun last, such as "migrate 3"
	From    string          `json:"from,omitempty"` // version; "" for none
	To      string          `json:"to,omitempty"`
	Started time.Time       `json:"started"`
	Since   time.Time       `json:"since"`        // when the phase began
	ETA     time.Time       `json:"eta,omitzero"` // when it should be over, if all steps have time limits
	Owner   process.ID      `json:"owner"`
	Reason  string          `json:"reason,omitempty"` // why it stopped, or goes back
	Output  []string        `json:"output,omitempty"` // the last lines of what failed

	FromManifest string         `json:"from_manifest,omitempty"` // digests of the canonical manifests
	ToManifest   string         `json:"to_manifest,omitempty"`
	Data         lifecycle.Data `json:"data"`            // version of the data before
	Begun        string         `json:"begun,omitempty"` // a step that was begun and has not ended
	Done         []string       `json:"done,omitempty"`  // steps that have ended well
	Back         bool           `json:"back,omitempty"`  // it goes back
	Reject       bool           `json:"reject,omitempty"`
	Restored     bool           `json:"restored,omitempty"` // the data of Data was brought back by hand
	Trial        Probation      `json:"trial,omitzero"`
}

// Verbs, as runs and the history record them.
const (
	verbInstall   = "install"
	verbUpdate    = "update"
	verbRepair    = "repair"
	verbRestore   = "restore"
	verbRollback  = "rollback"
	verbSetup     = "setup"
	verbAbort     = "abort"
	verbUninstall = "uninstall"
)

// Phases of a run, as they are recorded.
const (
	phaseDrain   = "drain"
	phaseOffline = "offline"
	phaseBackup  = "backup"
	phasePlace   = "place"
	phaseMigrate = "migrate"
	phaseOnline  = "online"
	phaseBack    = "back"
)

// enters says which event the beginning of a phase is, and the state it leads to.
var enters = map[string]struct {
	on lifecycle.Event
	to lifecycle.State
}{
	phaseDrain:   {lifecycle.Drain, lifecycle.Draining},
	phaseOffline: {lifecycle.Offline, lifecycle.Maintenance},
	phaseBackup:  {lifecycle.Offline, lifecycle.Maintenance},
	phasePlace:   {lifecycle.Place, lifecycle.Applying},
	phaseMigrate: {lifecycle.Migrate, lifecycle.Migrating},
	phaseOnline:  {lifecycle.Online, lifecycle.Applying},
	phaseBack:    {lifecycle.Back, lifecycle.Applying},
}

// UnderWay returns the run that is recorded in the tree at dir, of whatever
// product; nil for none. It takes no lock.
func UnderWay(dir string) (*Run, error) {
	c := Client{o: Options{Dir: dir}}
	return c.currentRun()
}

// currentRun returns the recorded run of the tree, or nil.
func (c *Client) currentRun() (*Run, error) {
	var r Run
	found, err := readJSON(c.shared(runName), &r)
	if !found || err != nil {
		return nil, err
	}
	if !r.State.InRun() {
		return nil, fmt.Errorf("read %s: want a state of a run, got %.40q", c.shared(runName), string(r.State))
	}
	return &r, nil
}

// CutShort reports whether a run has neither ended nor stopped, and whoever
// carried it out is gone.
func (r *Run) CutShort() bool {
	return r.State != lifecycle.Failed && r.Owner.State() == process.Gone
}

// save makes the record durable. What follows may then be begun.
func (s *session) save(r *Run) error { return writeJSON(s.c.shared(runName), r) }

// move leads a run to the next state along the table, and nowhere else.
func (r *Run) move(on lifecycle.Event) error {
	to, err := r.State.Next(on)
	if err == nil {
		r.State = to
	}
	return err
}

// enter begins a phase: the record says so, and so does the gate.
func (s *session) enter(r *Run, phase string) error {
	e := enters[phase]
	if r.State != e.to {
		if err := r.move(e.on); err != nil {
			return err
		}
	}
	r.Phase, r.Since, r.Owner, r.Reason, r.Output = phase, s.c.stamp(), process.Self(), reasonOf(r), nil
	if err := s.save(r); err != nil {
		return err
	}
	s.c.emit(Event{Phase: Running, Path: phase})
	if phase == phaseDrain {
		return nil // the drain closes the gate
	}
	return gate.Close(s.c.o.Dir, r.gateReason())
}

// reasonOf keeps the reason of a run that goes back, and of no other.
func reasonOf(r *Run) string {
	if r.Back {
		return r.Reason
	}
	return ""
}

func (r *Run) gateReason() gate.Reason {
	return gate.Reason{State: string(r.State), Phase: r.Phase, Product: r.Product, From: r.From, To: r.To, ETA: r.ETA, Message: r.Reason}
}

// stop leaves a run to a person: it is failed, and the gate stays closed.
func (s *session) stop(r *Run, reason error) error {
	if err := r.move(lifecycle.Fail); err != nil && r.State != lifecycle.Failed {
		return errors.Join(reason, err)
	}
	r.Reason = reason.Error()
	var failed *commandError
	if errors.As(reason, &failed) {
		r.Output = failed.output
	}
	err := errors.Join(s.save(r), gate.Close(s.c.o.Dir, r.gateReason()))
	return errors.Join(&StoppedError{Run: *r, Err: reason}, err)
}

// endRun opens the gate and forgets the run, in this order: a gate that stays
// closed for nobody would be worse than a run that is ended twice.
func (s *session) endRun(r *Run, on lifecycle.Event) error {
	if err := r.move(on); err != nil {
		return err
	}
	return s.forgetRun()
}

// forgetRun removes the record, after the gate says what holds from now on.
func (s *session) forgetRun() error {
	if err := s.setGate(); err != nil {
		return err
	}
	if err := os.Remove(s.c.shared(runName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setGate opens the gate, unless the data of a product is older than its release
// needs: then programs of the tree must not start.
func (s *session) setGate() error {
	all, err := installedIn(s.c.o.Dir)
	if err != nil {
		return err
	}
	data, err := readMap[lifecycle.Data](s.c.shared(dataName))
	if err != nil {
		return err
	}
	for _, m := range all {
		x := &m.Release
		why := "its data must be migrated first"
		if todo, err := lifecycle.Chain(data[x.Product], x); err != nil {
			why = (&IncompatibleError{x.Version, err}).Error()
		} else if len(todo) == 0 {
			continue
		}
		return gate.Close(s.c.o.Dir, gate.Reason{State: string(lifecycle.NeedsMigration), Product: x.Product, Message: why})
	}
	return gate.Open(s.c.o.Dir)
}

// isDone reports whether a step has ended well.
func (r *Run) isDone(step string) bool { return slices.Contains(r.Done, step) }

// digestOf returns the digest of a manifest for the record; "" for none.
func digestOf(d manifest.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}
