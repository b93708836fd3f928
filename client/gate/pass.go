package gate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// Kind says what an event is about.
type Kind string

// The kinds of events.
const (
	Parked           Kind = "parked"            // Enter or Resume waits, or waits for something else now
	PleaseDisconnect Kind = "please-disconnect" // let go of files and data, and say so by Disconnect
	PleaseDown       Kind = "please-down"       // end
	Reopened         Kind = "reopened"          // after one of those: the gate is open, see Resume
)

// An Event is something that a program is told.
type Event struct {
	Kind     Kind
	Deadline time.Time // for PleaseDisconnect and PleaseDown
	Reason   Reason    // why the gate is closed; zero for Reopened
}

// Options are what a program says when it enters.
type Options struct {
	Dir  string // the install tree
	Name string // of the program, for people
	Park bool   // wait while the gate is closed, rather than fail

	// Events is told what is asked of the program, from one goroutine, which
	// it must not hold up: what takes long belongs elsewhere. May be nil.
	Events func(Event)

	Every time.Duration // between two looks; default: a second
}

// A Pass is a program's leave to run. Its methods may be called from any
// goroutine, Events included.
type Pass struct {
	o      Options
	member *member
	stop   context.CancelFunc

	mu   sync.Mutex
	left bool
}

// Enter registers the calling process, and returns when it may run. While the
// gate is closed, it waits, or fails with a *[ClosedError]. A folder that is no
// install tree is an error that wraps [io/fs.ErrNotExist].
func Enter(ctx context.Context, o Options) (*Pass, error) {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("enter %s: %w", o.Dir, err)
	}
	o.Dir = dir
	m, err := register(o.Dir, o.Name)
	if err != nil {
		return nil, fmt.Errorf("enter %s: %w", o.Dir, err)
	}
	p := &Pass{o: o, member: m}
	if err := p.admit(ctx, o.Park); err != nil {
		return nil, errors.Join(err, m.leave())
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	go p.watch(watching)
	return p, nil
}

// admit returns when the gate is open and the program is seen as connected.
func (p *Pass) admit(ctx context.Context, park bool) error {
	var told Reason
	for {
		c := Look(p.o.Dir)
		if c == nil {
			if err := p.say(connected, ""); err != nil {
				return fmt.Errorf("enter %s: %w", p.o.Dir, err)
			}
			// Whoever closed the gate in between does not know of us yet, or
			// does, and waits: either way it is our turn to step back.
			if c = Look(p.o.Dir); c == nil {
				return nil
			}
			if err := p.say(parked, ""); err != nil {
				return fmt.Errorf("enter %s: %w", p.o.Dir, err)
			}
		}
		if !park || !c.waits() {
			return c
		}
		if c.Reason != told {
			told = c.Reason
			p.tell(Event{Kind: Parked, Reason: told})
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", c, ctx.Err())
		case <-time.After(p.o.Every):
		}
	}
}

// watch tells what the gate's record asks for, each thing once.
func (p *Pass) watch(ctx context.Context) {
	tick := time.NewTicker(p.o.Every)
	defer tick.Stop()
	var told ask
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c, err := read(p.o.Dir)
		switch {
		case err != nil: // whoever wrote that will write again
		case c == nil && told != ask{}:
			told = ask{}
			p.tell(Event{Kind: Reopened})
		case c != nil && c.Ask != nil && *c.Ask != told:
			told = *c.Ask
			if told.Kind == PleaseDown && p.state() == disconnected {
				continue // that is meant for others
			}
			p.tell(Event{Kind: told.Kind, Deadline: told.Deadline, Reason: c.Reason})
		}
	}
}

func (p *Pass) tell(e Event) {
	if p.o.Events != nil {
		p.o.Events(e)
	}
}

// Ack says to whoever waits that the program has heard, and why it is still
// there: "3 documents are not saved". It gives no more time.
func (p *Pass) Ack(note string) error { return p.say("", note) }

// Disconnect says that the program has let go of the tree's files and data. It
// is not waited for then, and must not touch them until Resume returns.
func (p *Pass) Disconnect() error { return p.say(disconnected, "") }

// Resume waits until the gate is open, and takes up what Disconnect let go. The
// program still runs the code it was started with: where the update changed
// that, it should start anew instead.
func (p *Pass) Resume(ctx context.Context) error {
	if err := p.say(parked, ""); err != nil {
		return err
	}
	return p.admit(ctx, true)
}

func (p *Pass) say(s state, note string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return errors.New("the program has left the gate")
	}
	return p.member.say(s, note)
}

func (p *Pass) state() state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.member.rec.State
}

// Leave ends the pass. Only the first call does something. A program that ends
// without it has left as well.
func (p *Pass) Leave() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return nil
	}
	p.left = true
	p.stop()
	return p.member.leave()
}
