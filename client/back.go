package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/internal/process"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// leave gives up before the files have changed: the old release goes on. If it
// was taken offline, its hooks for "restored" bring it back.
func (h *hop) leave(ctx context.Context, why error) error {
	ctx = context.WithoutCancel(ctx)
	var once *onceError
	if errors.As(why, &once) {
		return h.s.stop(h.r, why)
	}
	if h.r.State == lifecycle.Draining {
		return errors.Join(why, h.s.endRun(h.r, lifecycle.Leave))
	}
	if err := h.turn(why, false); err != nil {
		return errors.Join(why, err)
	}
	if err := h.restored(ctx); err != nil {
		return errors.Join(why, err)
	}
	var failed *commandError
	if errors.As(why, &failed) {
		why = h.returned(why)
	}
	return errors.Join(why, h.s.endRun(h.r, lifecycle.Return))
}

// turn makes it durable that the run goes back, and why.
func (h *hop) turn(why error, reject bool) error {
	if !h.r.Back {
		h.r.Back, h.r.Reject, h.r.Reason = true, reject, why.Error()
	}
	return h.s.enter(h.r, phaseBack)
}

// restored runs the hooks of the release that is in place again.
func (h *hop) restored(ctx context.Context) error {
	if h.r.Verb == verbSetup {
		return nil // what needs its data migrated stays out of service
	}
	m, phase := h.s.installed, "restored"
	if h.r.Verb == verbRollback && digestOf(h.s.digest) == h.r.ToManifest {
		phase = phaseOnline // a rollback that was given up
	}
	err := h.hooks(ctx, m, phase)
	var failed *commandError
	if errors.As(err, &failed) { // there is nothing behind us to go back to
		h.s.c.emit(Event{Phase: Running, Path: phaseBack, Note: "it failed, and is passed over: " + err.Error()})
		return nil
	}
	if err != nil {
		return h.s.stop(h.r, err)
	}
	return nil
}

func (h *hop) returned(why error) error {
	e := &ReturnedError{From: h.r.To, To: h.r.From, Err: why}
	var failed *commandError
	if errors.As(why, &failed) {
		e.Output = failed.output
	}
	return e
}

// back takes a run back after its files have changed: migrations down, hooks for
// "undo", the files, hooks for "restored". It returns a *[ReturnedError] when the
// old release is in place, or a *[StoppedError] when a person must help.
func (h *hop) back(ctx context.Context, why error, reject bool) error {
	_, err := h.takeBack(ctx, why, reject)
	if err != nil {
		return err
	}
	return h.returned(why)
}

// takeBack is back, for a caller who wants it so. It returns what became of the
// files.
func (h *hop) takeBack(ctx context.Context, why error, reject bool) (*Result, error) {
	ctx = context.WithoutCancel(ctx)
	res := &Result{From: h.s.facts()}
	if h.placed {
		data, err := h.s.c.Data()
		if err != nil {
			return nil, err
		}
		chain, err := lifecycle.WayBack(data, h.r.Data, &h.to.Release, h.releaseBefore())
		if err != nil {
			return nil, h.s.stop(h.r, errors.Join(why, err))
		}
		if err := h.turn(why, reject); err != nil {
			return nil, err
		}
		err = h.steps(ctx, "down", chain)
		if err == nil && h.r.Verb != verbSetup {
			err = h.hooks(ctx, h.to, "undo")
		}
		if err != nil {
			return nil, h.s.stop(h.r, errors.Join(why, err))
		}
		if h.r.Verb != verbSetup {
			if h.r.Reject {
				if err := h.s.condemn(h.r.ToManifest, h.r.To, h.r.Reason); err != nil {
					return nil, err
				}
			}
			if res, err = h.s.rollbackFiles(ctx, true); err != nil {
				return nil, h.s.stop(h.r, errors.Join(why, err))
			}
		}
	}
	if !h.placed {
		if err := h.turn(why, reject); err != nil {
			return nil, err
		}
	}
	if err := h.restored(ctx); err != nil {
		return nil, err
	}
	res.To = h.s.facts()
	return res, h.s.endRun(h.r, lifecycle.Return)
}

// releaseBefore returns the release to go back to as far as [lifecycle.WayBack] wants
// to know it.
func (h *hop) releaseBefore() *manifest.Release {
	a, err := h.s.c.arrivals()
	if x, ok := a[h.r.ToManifest]; err == nil && ok && !x.Nothing {
		return &manifest.Release{Schema: x.Schema}
	}
	if h.r.From == "" {
		return nil
	}
	return &manifest.Release{}
}

// rollbackHop returns what a rollback has to do besides the files; nil if that is
// nothing. What cannot be taken back is found before anything is done.
//
// Passing says that the release before is only passed through, so that it need
// not work with the data.
func (s *session) rollbackHop(ctx context.Context, force, passing bool) (*hop, error) {
	if s.installed == nil {
		return nil, nil
	}
	data, err := s.c.Data()
	if err != nil {
		return nil, err
	}
	before, err := s.c.arrivals()
	if err != nil {
		return nil, err
	}
	came, known := before[s.digest.String()]
	if !known {
		came.Data = data // no migration was run to come here
	}
	back, err := wayBack(s.tree, s.c.settings.Product)
	if err != nil || back == nil {
		return nil, err // the files will tell
	}
	if came.Data >= data {
		if _, err := lifecycle.Chain(data, &manifest.Release{Schema: came.Schema}); err != nil && !passing {
			return nil, &IncompatibleError{back.from, err}
		}
		if !gate.Used(s.c.o.Dir) && !hasHooks(s.installed) {
			return nil, nil
		}
	}
	h := &hop{s: s, to: s.installed, placed: true}
	now := s.c.stamp()
	h.r = &Run{Product: s.c.settings.Product, Verb: verbRollback, State: restBefore(verbRollback), From: back.from, To: s.facts().Version,
		Started: now, Since: now, Owner: process.Self(), ToManifest: digestOf(s.digest), Data: came.Data}
	if back.from == nothingYet {
		h.r.From = ""
	}
	if _, err := lifecycle.WayBack(data, came.Data, s.facts(), h.releaseBefore()); err != nil {
		return nil, &IncompatibleError{back.from, err}
	}
	if err := s.staysTogether(back); err != nil {
		return nil, fmt.Errorf("roll back to %s: %w", back.from, err)
	}
	return h, s.refuseDrift(ctx, force)
}

// refuseDrift looks for local changes before data is touched.
func (s *session) refuseDrift(ctx context.Context, force bool) error {
	if force {
		return nil
	}
	found, err := s.inspect(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	e := &DriftError{}
	for _, ch := range found {
		e.Drift = append(e.Drift, difference(ch))
	}
	return e
}

var errRollback = errors.New("it was rolled back")

// runBack carries out a rollback.
func (h *hop) runBack(ctx context.Context) (*Result, error) {
	if !h.r.Back {
		if err := h.before(ctx); err != nil {
			return nil, h.leave(ctx, err)
		}
	}
	return h.takeBack(ctx, errRollback, false)
}

// An arrival is what a way back from a release must know: how its data was
// before, and what the release before could work with.
type arrival struct {
	Data    lifecycle.Data   `json:"data"`
	Schema  *manifest.Schema `json:"schema,omitempty"`
	From    string           `json:"from,omitempty"`    // version of the release before
	Nothing bool             `json:"nothing,omitempty"` // there was no release before
	Time    time.Time        `json:"time"`
}

// maxArrivals bounds how many of them are kept.
const maxArrivals = 20

// arrivals returns those that are known, by the digest of the release's manifest.
func (c *Client) arrivals() (map[string]arrival, error) {
	return readMap[arrival](c.state(arrivalsName))
}

// arrive records what the way back must know, where data is at stake.
func (s *session) arrive(to *manifest.Manifest, h *hop) error {
	from := s.installed
	if len(to.Release.Migrations) == 0 && to.Release.Schema == nil && (from == nil || from.Release.Schema == nil) {
		return nil
	}
	data, err := s.c.Data()
	if err != nil {
		return err
	}
	if h != nil {
		data = h.r.Data
	}
	digest, err := toDigest(to)
	if err != nil {
		return err
	}
	all, err := s.c.arrivals()
	if err != nil {
		return err
	}
	a := arrival{Data: data, Nothing: from == nil, Time: s.c.now().UTC()}
	if from != nil {
		a.Schema, a.From = from.Release.Schema, from.Release.Version
	}
	all[digest] = a
	oldest := slices.SortedFunc(maps.Keys(all), func(x, y string) int { return all[x].Time.Compare(all[y].Time) })
	for _, k := range oldest[:max(0, len(all)-maxArrivals)] {
		delete(all, k)
	}
	return writeJSON(s.c.state(arrivalsName), all)
}
