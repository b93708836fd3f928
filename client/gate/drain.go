package gate

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/treegraft-dev/treegraft/internal/process"
)

// DrainOptions say how a drain goes. The zero value asks politely, for half a
// minute in all, and ends nothing by force.
type DrainOptions struct {
	Reason     Reason        // for a gate that the caller has not closed; State "draining" unless it says otherwise
	Disconnect time.Duration // for letting go of files and data; default 10 s
	Down       time.Duration // and for ending, after that; default 20 s
	Force      bool          // end who is still there then
	Grace      time.Duration // between asking the system to end a process and ending it; default 5 s

	Progress func([]Process) // told who is waited for, when that changes; may be nil
}

// drainEvery is the time between two looks at who is left.
const drainEvery = 50 * time.Millisecond

// Drain waits until no program uses the tree: first it asks all of them to
// disconnect, then those who did not to end, and with Force it ends them. It
// returns who is still in the way: none, if all is well. The calling process is
// asked and waited for like others, but never ended.
//
// It closes the gate first unless the calling process has done so, and leaves it
// closed in any case.
func Drain(ctx context.Context, dir string, o DrainOptions) ([]Process, error) {
	left, err := drain(ctx, dir, &o)
	if err != nil {
		return left, fmt.Errorf("drain %s: %w", dir, err)
	}
	return left, nil
}

func drain(ctx context.Context, dir string, o *DrainOptions) ([]Process, error) {
	if c, err := read(dir); err != nil || c == nil || c.Owner != process.Self() {
		if o.Reason.State == "" {
			o.Reason.State = "draining"
		}
		if err := Close(dir, o.Reason); err != nil {
			return nil, err
		}
	}
	w := &wait{dir: dir, o: o}
	for _, stage := range []struct {
		kind Kind
		time time.Duration
	}{
		{PleaseDisconnect, orDefault(o.Disconnect, 10*time.Second)},
		{PleaseDown, orDefault(o.Down, 20*time.Second)},
	} {
		if left, err := w.look(); err != nil || len(left) == 0 {
			return left, err
		}
		deadline := time.Now().Add(stage.time)
		if err := putAsk(dir, ask{stage.kind, deadline.UTC()}); err != nil {
			return w.left, err
		}
		if left, err := w.until(ctx, deadline); err != nil || len(left) == 0 {
			return left, err
		}
	}
	if !o.Force {
		return w.left, nil
	}
	if err := w.stop(false); err != nil {
		return w.left, err
	}
	if left, err := w.until(ctx, time.Now().Add(orDefault(o.Grace, 5*time.Second))); err != nil || len(left) == 0 {
		return left, err
	}
	if err := w.stop(true); err != nil {
		return w.left, err
	}
	return w.until(ctx, time.Now().Add(orDefault(o.Grace, 5*time.Second)))
}

func orDefault(d, usual time.Duration) time.Duration {
	if d <= 0 {
		return usual
	}
	return d
}

// putAsk says in the record what programs are asked to do.
func putAsk(dir string, a ask) error {
	c, err := read(dir)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("ask %s: the gate was opened", a.Kind)
	}
	c.Ask = &a
	return write(dir, c)
}

// wait is a drain under way.
type wait struct {
	dir  string
	o    *DrainOptions
	told bool
	left []Process // as of the last look
}

// look returns who is in the way.
func (w *wait) look() ([]Process, error) {
	all, err := Participants(w.dir)
	if err != nil {
		return w.left, err
	}
	all = slices.DeleteFunc(all, func(p Process) bool { return !p.inTheWay() })
	if w.o.Progress != nil && (!w.told || !slices.Equal(all, w.left)) {
		w.told = true
		w.o.Progress(slices.Clone(all))
	}
	w.left = all
	return all, nil
}

// until waits until nobody is in the way, or the time has come.
func (w *wait) until(ctx context.Context, deadline time.Time) ([]Process, error) {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		left, err := w.look()
		if err != nil || len(left) == 0 || !time.Now().Before(deadline) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-tick.C:
		}
	}
}

// stop ends who is in the way. One that cannot be ended stays, and is told of.
func (w *wait) stop(kill bool) error {
	left, err := w.look()
	for i, p := range left {
		if p.PID == os.Getpid() {
			continue
		}
		if err := p.id.Stop(kill); err != nil {
			left[i].Note = clip(err.Error())
		}
	}
	return err
}
