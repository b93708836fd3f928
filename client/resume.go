package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// ResumeOptions are what a person knows of a step that was cut short and must
// not run twice.
type ResumeOptions struct {
	Done   bool // it has done its work
	Again  bool // it has not, and may run again
	Update UpdateOptions
}

// Resume goes on with a run that was cut short or has stopped. Without one it
// does nothing.
func (c *Client) Resume(ctx context.Context, o ResumeOptions) (*Result, error) {
	return c.onRun(func(s *session, r *Run) (*Result, error) {
		if err := s.settle(r, o); err != nil {
			return nil, err
		}
		return s.resume(ctx, r, o.Update)
	})
}

// Abort takes back a run that was cut short or has stopped. Without one it does
// nothing.
func (c *Client) Abort(ctx context.Context) (*Result, error) {
	return c.onRun(func(s *session, r *Run) (*Result, error) { return s.abort(ctx, r) })
}

// onRun does something with the recorded run, if there is one.
func (c *Client) onRun(do func(*session, *Run) (*Result, error)) (*Result, error) {
	s, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := c.currentRun()
	if err != nil {
		return nil, err
	}
	if r == nil {
		return s.nothingDone(), nil
	}
	return do(s, r)
}

// nothingDone is the result where all is as it should be.
func (s *session) nothingDone() *Result {
	return &Result{From: s.facts(), To: s.facts(), UpToDate: true, Recovered: s.recovered()}
}

// settle takes a person's word for the step that was begun last.
func (s *session) settle(r *Run, o ResumeOptions) error {
	switch {
	case o.Done && o.Again:
		return errors.New("resume: want done or again, got both")
	case r.Begun == "" && (o.Done || o.Again):
		return errors.New("resume: no step was cut short")
	case o.Again:
		r.Begun = ""
		return s.save(r)
	case o.Done:
		if err := s.believe(r.Begun); err != nil {
			return err
		}
		r.Done, r.Begun = append(r.Done, r.Begun), ""
		return s.save(r)
	}
	return nil
}

// believe records what a migration that has ended has made of the data.
func (s *session) believe(step string) error {
	data, err := s.c.Data()
	if err != nil || s.installed == nil {
		return err
	}
	chain, _ := lifecycle.Chain(data, s.facts()) // the steps are right even if they lead too far
	word := phaseMigrate
	if strings.HasPrefix(step, "down ") {
		word = "down"
		if chain, err = lifecycle.WayBack(data, 0, s.facts(), nil); err != nil {
			return err
		}
	}
	for _, x := range chain {
		if stepName(word, x) == step {
			return s.c.setData(x.To)
		}
	}
	return nil
}

// mine refuses a run of another product.
func (s *session) mine(r *Run) error {
	if r.Product != s.c.settings.Product {
		return &StoppedError{Run: *r, Err: fmt.Errorf("it is one of product %s", r.Product)}
	}
	return nil
}

// resume goes on with a run: forward or back, as it was going.
func (s *session) resume(ctx context.Context, r *Run, o UpdateOptions) (*Result, error) {
	if err := s.mine(r); err != nil {
		return nil, err
	}
	o.Probation = r.Trial
	h := &hop{s: s, r: r, to: s.installed, placed: digestOf(s.digest) == r.ToManifest, o: o}
	switch {
	case r.Verb == verbRollback && !r.Back:
		return h.runBack(ctx)
	case r.Back:
		return s.resumeBack(ctx, h)
	case h.placed:
		if err := h.run(ctx, nil); err != nil {
			return nil, err
		}
		var before *manifest.Release
		if r.From != "" {
			before = &manifest.Release{Product: r.Product, Version: r.From}
		}
		res := &Result{From: before, To: s.facts(), Recovered: fmt.Sprintf("the %s to %s was finished", r.Verb, r.To)}
		s.tidy(r.Verb, res.From, res.To)
		return res, nil
	case digestOf(s.digest) == r.FromManifest:
		return s.replan(ctx, h)
	}
	// Files changed by other means: the record is of a run that is no more.
	return nil, errors.Join(fmt.Errorf("resume: %s is neither what the %s began with nor what it led to; its record is removed", s.c.o.Dir, r.Verb), s.forgetRun())
}

func (s *session) resumeBack(ctx context.Context, h *hop) (*Result, error) {
	why := errors.New(h.r.Reason)
	res, err := h.takeBack(ctx, why, h.r.Reject)
	if err != nil {
		return nil, err
	}
	s.tidy(verbRollback, res.From, res.To)
	res.Rejected = h.r.Reason
	if !h.r.Reject {
		res.Recovered = "it went back: " + h.r.Reason
		res.Rejected = ""
	}
	return res, nil
}

// replan makes the plan of a run anew that was cut short before its files
// changed: from what was downloaded, or else with the network. If that cannot be
// done, the old release goes on.
func (s *session) replan(ctx context.Context, h *hop) (*Result, error) {
	var errs []error
	for _, offline := range []bool{true, false} {
		o := h.o
		o.Version, o.Downgrade, o.Offline = h.r.To, true, offline
		if offline != h.o.Offline && h.o.Offline {
			break
		}
		r, err := s.c.connect(offline)
		if err == nil {
			var p *Plan
			if p, err = s.plan(ctx, r, o); err == nil {
				var res *Result
				if res, err = s.apply(ctx, r, p, o, h.r.Verb); err == nil {
					res.Recovered = fmt.Sprintf("the %s to %s was finished", h.r.Verb, h.r.To)
					return res, nil
				}
			}
		}
		if now, _ := s.c.currentRun(); now == nil || now.State == lifecycle.Failed || now.Back {
			return nil, err // it got further than a plan
		}
		errs = append(errs, err)
	}
	return nil, h.leave(ctx, errors.Join(errs...))
}

var errAborted = errors.New("it was aborted")

func (s *session) abort(ctx context.Context, r *Run) (*Result, error) {
	if err := s.mine(r); err != nil {
		return nil, err
	}
	h := &hop{s: s, r: r, to: s.installed, placed: digestOf(s.digest) == r.ToManifest}
	if r.Verb == verbRollback && !r.Back {
		if err := h.leave(ctx, errAborted); !errors.Is(err, errAborted) {
			return nil, err
		}
		return &Result{From: s.facts(), To: s.facts(), Recovered: "the rollback was given up"}, nil
	}
	r.Begun = "" // whoever takes all of it back need not know
	res, err := h.takeBack(ctx, errAborted, false)
	if err != nil {
		return nil, err
	}
	s.tidy(verbAbort, res.From, res.To)
	return res, nil
}

// Setup runs the migrations that the installed release still needs. It is for
// data that came from elsewhere, and for updates that left them for later.
func (c *Client) Setup(ctx context.Context, o UpdateOptions) (*Result, error) {
	s, err := c.beginInstalled()
	if err != nil {
		return nil, err
	}
	defer s.end()
	r, err := c.currentRun()
	if err != nil {
		return nil, err
	}
	res := s.nothingDone()
	if r != nil {
		// It may lead to a release whose data is not ready either. What has failed
		// and was taken back is not tried again.
		if res, err = s.resume(ctx, r, o); err != nil || res.Rejected != "" || s.installed == nil {
			return res, err
		}
	}
	todo, err := s.pending()
	if err != nil {
		return nil, err
	}
	if len(todo) == 0 {
		return res, s.forgetRun()
	}
	res.UpToDate = false
	h, err := s.newHop(s.installed, verbSetup, o)
	if err != nil {
		return nil, err
	}
	h.placed = true
	if err := h.run(ctx, nil); err != nil {
		return nil, err
	}
	res.To = s.facts()
	s.tidy(verbSetup, res.From, res.To)
	return res, nil
}

// pending returns the migrations that the installed release still needs.
func (s *session) pending() ([]lifecycle.Step, error) {
	if s.installed == nil {
		return nil, nil
	}
	data, err := s.c.Data()
	if err != nil {
		return nil, err
	}
	chain, err := lifecycle.Chain(data, s.facts())
	if err != nil {
		return nil, &IncompatibleError{s.facts().Version, err}
	}
	return chain, nil
}

// SetData records what version the data has, where that was changed by other
// means: a backup was brought back.
func (c *Client) SetData(ctx context.Context, d lifecycle.Data) error {
	s, err := c.begin()
	if err != nil {
		return err
	}
	defer s.end()
	return c.setData(d)
}
