package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/internal/process"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// hop carries out one run: from the installed release to another one, or only
// its migrations.
type hop struct {
	s      *session
	r      *Run
	to     *manifest.Manifest
	placed bool // the files of to are in place
	o      UpdateOptions
}

// order of the phases of a run that goes forward.
var order = []string{phaseDrain, phaseOffline, phaseBackup, phasePlace, phaseMigrate, phaseOnline}

// passed reports whether a run that is taken up has come beyond a phase.
func (r *Run) passed(phase string) bool {
	return slices.Index(order, r.Phase) > slices.Index(order, phase)
}

// newHop returns what has to be done besides the change of files from the
// installed release to another; nil if that is nothing.
func (s *session) newHop(to *manifest.Manifest, verb string, o UpdateOptions) (*hop, error) {
	r, err := s.c.currentRun()
	if err != nil {
		return nil, err
	}
	h := &hop{s: s, r: r, to: to, o: o}
	digest, err := toDigest(to)
	if err != nil {
		return nil, err
	}
	if r != nil {
		if r.Product == s.c.settings.Product && r.ToManifest == digest {
			return h, nil // it goes on
		}
		return nil, &StoppedError{Run: *r, Err: errUnderWay}
	}
	data, err := s.c.Data()
	if err != nil {
		return nil, err
	}
	asks := asksData(&to.Release, verb)
	chain, err := lifecycle.Chain(data, &to.Release)
	if err != nil && !asks {
		return nil, &IncompatibleError{to.Release.Version, err}
	}
	// Where programs ask, one may come at any moment.
	if !asks && len(chain) == 0 && !gate.Used(s.c.o.Dir) && !hasHooks(to) && !hasHooks(s.installed) {
		return nil, nil
	}
	now := s.c.stamp()
	h.r = &Run{Product: s.c.settings.Product, Verb: verb, State: restBefore(verb), From: versionOf(s.facts()), To: to.Release.Version,
		Started: now, Since: now, ETA: eta(now, s.installed, to, chain), Owner: process.Self(),
		FromManifest: digestOf(s.digest), ToManifest: digest, Data: data, Trial: o.Probation}
	return h, nil
}

// takeUp finishes a run that was cut short; nil if there is none.
func (s *session) takeUp(ctx context.Context, o UpdateOptions) (*Result, error) {
	r, err := s.c.currentRun()
	if r == nil || err != nil {
		return nil, err
	}
	if r.State == lifecycle.Failed {
		return nil, &StoppedError{Run: *r, Err: errors.New(r.Reason)}
	}
	return s.resume(ctx, r, o)
}

// prepare says whether a plan may be applied now, and what has to be done besides
// the change of files.
func (s *session) prepare(p *Plan, o UpdateOptions, verb string) (*hop, error) {
	if p.isRepair() {
		return nil, nil
	}
	if r, err := s.c.currentRun(); err != nil {
		return nil, err
	} else if r == nil {
		if err := s.may(p, o, verb); err != nil {
			return nil, err
		}
	}
	h, err := s.newHop(p.to, verb, o)
	if err != nil {
		return nil, err
	}
	return h, s.pin(o)
}

// pin has later updates stay at the version that this one goes to, if that is
// wanted.
func (s *session) pin(o UpdateOptions) error {
	if !o.Pin || o.Version == "" {
		return nil
	}
	return s.c.changeSettings(func(x *settings) { x.Pin = o.Version })
}

var errUnderWay = errors.New("it is under way")

// restBefore is the state that a run begins in.
func restBefore(verb string) lifecycle.State {
	switch verb {
	case verbSetup:
		return lifecycle.NeedsMigration
	case verbRollback, verbRestore:
		return lifecycle.UpToDate
	}
	return lifecycle.Available
}

func toDigest(m *manifest.Manifest) (string, error) {
	b, err := m.Canonical()
	return manifest.Sum(b).String(), err
}

func hasHooks(m *manifest.Manifest) bool { return m != nil && len(m.Release.Hooks) > 0 }

func versionOf(r *manifest.Release) string {
	if r == nil {
		return ""
	}
	return r.Version
}

// eta adds up time limits; it is zero where a command has none.
func eta(now time.Time, from, to *manifest.Manifest, chain []lifecycle.Step) time.Time {
	var sum, hooks int
	for _, m := range []*manifest.Manifest{from, to} {
		if m == nil {
			continue
		}
		for _, k := range m.Release.Hooks {
			if forward := k.Phase == phaseOffline || k.Phase == phaseBackup; forward != (m == from) {
				continue
			}
			if k.Seconds == 0 {
				return time.Time{}
			}
			hooks++
			sum += k.Seconds
		}
	}
	for _, step := range chain {
		if step.Seconds == 0 {
			return time.Time{}
		}
		sum += step.Seconds
	}
	if hooks+len(chain) == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(sum) * time.Second)
}

// run goes all the way. Place changes the files; until then an error leaves the
// old release as it was, after that it leads back to it.
func (h *hop) run(ctx context.Context, place func() error) error {
	if !h.placed || h.r.Verb == verbSetup {
		if err := h.before(ctx); err != nil {
			return h.leave(ctx, err)
		}
	}
	if !h.placed {
		if err := h.s.enter(h.r, phasePlace); err != nil {
			return err
		}
		if err := place(); errors.Is(err, atomicfs.ErrNeedsRecovery) {
			return err // the next session knows which release it is
		} else if err != nil {
			return h.leave(ctx, err)
		}
		h.placed = true
		if err := h.s.load(); err != nil {
			return err
		}
	}
	ctx = context.WithoutCancel(ctx) // half of it done is worse than all of it late
	err := h.after(ctx)
	var once *onceError
	switch {
	case errors.As(err, &once):
		return h.s.stop(h.r, err)
	case err != nil:
		return h.back(ctx, err, true)
	}
	return h.finish()
}

// before takes the old release out of service.
func (h *hop) before(ctx context.Context) error {
	if !h.r.passed(phaseDrain) {
		if err := h.drain(ctx); err != nil {
			return err
		}
	}
	for _, phase := range []string{phaseOffline, phaseBackup} {
		if h.r.passed(phase) {
			continue
		}
		if err := h.s.enter(h.r, phase); err != nil {
			return err
		}
		if err := h.hooks(ctx, h.s.installed, phase); err != nil {
			return err
		}
	}
	return nil
}

func (h *hop) drain(ctx context.Context) error {
	if err := h.s.enter(h.r, phaseDrain); err != nil {
		return err
	}
	left, err := gate.Drain(ctx, h.s.c.o.Dir, gate.DrainOptions{Reason: h.r.gateReason(), Force: h.o.Evict,
		Disconnect: h.o.Disconnect, Down: h.o.Down, Progress: func(all []gate.Process) {
			for _, p := range all {
				h.s.c.emit(Event{Phase: Running, Path: phaseDrain, Note: "waiting for " + p.String()})
			}
		}})
	if err == nil && len(left) > 0 {
		err = &BusyError{left}
	}
	return err
}

// after brings the new release into service, once its files are there.
func (h *hop) after(ctx context.Context) error {
	r := h.r
	if r.Verb != verbSetup && !r.passed(phasePlace) {
		if r.Phase != phasePlace || r.State != lifecycle.Applying || r.Owner != process.Self() {
			if err := h.s.enter(r, phasePlace); err != nil {
				return err
			}
		}
		if err := h.hooks(ctx, h.to, phasePlace); err != nil {
			return err
		}
	}
	if asksData(&h.to.Release, r.Verb) {
		if err := h.s.learnData(ctx, r); err != nil {
			return err
		}
	}
	if h.o.Defer {
		return nil
	}
	if err := h.migrate(ctx); err != nil {
		return err
	}
	if err := h.s.enter(h.r, phaseOnline); err != nil {
		return err
	}
	return h.hooks(ctx, h.to, phaseOnline)
}

// migrate runs what the data still needs: after a crash, fewer.
func (h *hop) migrate(ctx context.Context) error {
	data, err := h.s.c.Data()
	if err != nil {
		return err
	}
	chain, err := lifecycle.Chain(data, &h.to.Release)
	if err != nil {
		return &IncompatibleError{h.to.Release.Version, err}
	}
	if len(chain) == 0 {
		return nil
	}
	if err := h.s.enter(h.r, phaseMigrate); err != nil {
		return err
	}
	return h.steps(ctx, phaseMigrate, chain)
}

// steps runs migrations, and records after each what the data is now.
func (h *hop) steps(ctx context.Context, word string, chain []lifecycle.Step) error {
	for _, step := range chain {
		k := command{step: stepName(word, step), phase: word, argv: step.Command, seconds: step.Seconds, old: step.From}
		err := h.do(ctx, h.to, k, step.Once, func() error { return h.s.c.setData(step.To) })
		if err != nil {
			return err
		}
	}
	return nil
}

// stepName names a migration by the higher one of its two versions.
func stepName(word string, step lifecycle.Step) string {
	return fmt.Sprintf("%s %v", word, max(step.From, step.To))
}

// hooks runs those of a release for a phase. One without a veto that fails is
// only told.
func (h *hop) hooks(ctx context.Context, m *manifest.Manifest, phase string) error {
	if m == nil {
		return nil
	}
	n := 0
	for _, k := range m.Release.Hooks {
		if k.Phase != phase {
			continue
		}
		n++
		data, err := h.s.c.Data()
		if err != nil {
			return err
		}
		c := command{step: fmt.Sprintf("%s hook %d", phase, n), phase: phase, argv: k.Command, seconds: k.Seconds, old: data}
		err = h.do(ctx, m, c, k.Once, nil)
		var failed *commandError
		if errors.As(err, &failed) && !k.Veto {
			h.s.c.emit(Event{Phase: Running, Path: c.step, Note: "it failed, and is passed over: " + err.Error()})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// An onceError says that a step was cut short, and may not simply run again.
type onceError struct{ step string }

func (e *onceError) Error() string {
	return fmt.Sprintf("%s was cut short and must not run twice: has it done its work?", e.step)
}

// do runs one step, and records when it begins and ends. What ended well in an
// earlier run does not run again.
func (h *hop) do(ctx context.Context, m *manifest.Manifest, k command, once bool, done func() error) error {
	r := h.r
	if r.isDone(k.step) {
		return nil
	}
	if r.Begun == k.step && once {
		return &onceError{k.step}
	}
	r.Begun, r.Step = k.step, k.step
	if err := h.s.save(r); err != nil {
		return err
	}
	_, err := h.s.runCommand(ctx, r, m, k)
	if err == nil && done != nil {
		err = done()
	}
	if err == nil {
		r.Done = append(r.Done, k.step)
	}
	r.Begun = ""
	return errors.Join(err, h.s.save(r))
}

// finish ends a run that went well.
func (h *hop) finish() error {
	on := lifecycle.Done
	switch {
	case h.o.Defer && h.r.Phase == phasePlace:
		on = lifecycle.Defer
	case h.r.Trial != Probation{}:
		on = lifecycle.Trial
	default: // whatever it did here before, it is well now
		if err := h.s.forgive(h.r.ToManifest); err != nil {
			return err
		}
	}
	return h.s.endRun(h.r, on)
}
