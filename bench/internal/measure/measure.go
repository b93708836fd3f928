// Package measure runs programs as child processes and says what each one
// cost: processor time, peak memory, time on the wall.
//
// The figures are the kernel's own accounts of the child and of the children
// it waited for (wait4's rusage), so a program in another language is measured
// exactly as ours is.
//
// A child's peak memory is its own. Between clone and exec a child shares the
// memory of the process that starts it, and Linux charges it with the peak of
// that. So on Unix a program is started by a launcher: the calling program once
// more, in a process that has just begun and does nothing else (see [Main]).
//
// Limits: a launcher needs a few megabytes. A child that needs less cannot be
// told from it; such a [Cost] is marked AtMost. Memory is not known on Windows.
package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Cost is what a program took.
type Cost struct {
	CPU    time.Duration // user + system
	RSS    int64         // peak resident memory in bytes, 0 when unknown
	AtMost bool          // RSS is an upper bound, see the package comment
	Wall   time.Duration
}

// Add returns the cost of c and then d: times add up, memory is the larger.
func (c Cost) Add(d Cost) Cost {
	sum := Cost{CPU: c.CPU + d.CPU, RSS: c.RSS, AtMost: c.AtMost, Wall: c.Wall + d.Wall}
	if d.RSS > c.RSS {
		sum.RSS, sum.AtMost = d.RSS, d.AtMost
	}
	return sum
}

// Command is a program to run.
type Command struct {
	Argv []string
	Dir  string
	Env  []string // added to our own
}

// Error says how a program failed.
type Error struct {
	Argv   []string
	Err    error  // why, in most cases an *exec.ExitError
	Output string // the end of what it wrote to standard error
}

// Error implements error.
func (e *Error) Error() string {
	msg := fmt.Sprintf("run %s: %v", strings.Join(e.Argv, " "), e.Err)
	if e.Output != "" {
		msg += ": " + e.Output
	}
	return msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxOutput bounds what is kept of each of a child's two outputs.
const maxOutput = 64 << 10

// Run runs the program to its end and returns its cost and the beginning of
// its standard output. The cost is known even when the program fails.
func Run(ctx context.Context, c Command) (Cost, string, error) {
	if len(c.Argv) == 0 {
		return Cost{}, "", errors.New("run: want a program, got none")
	}
	var stdout head
	var stderr tail
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cost, err := start(ctx, cmd)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = &Error{Argv: c.Argv, Err: err, Output: lastLine(stderr.b)}
	}
	return cost, stdout.b.String(), err
}

// costOf reads the kernel's accounts of a child that has ended.
func costOf(s *os.ProcessState, wall time.Duration) Cost {
	rss := maxRSS(s.SysUsage())
	return Cost{CPU: s.UserTime() + s.SystemTime(), RSS: rss, AtMost: rss <= ownRSS(), Wall: wall}
}

// lastLine is where programs say what went wrong.
func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	return string(bytes.ToValidUTF8(b[bytes.LastIndexByte(b, '\n')+1:], nil))
}

// head keeps the first maxOutput bytes written to it.
type head struct{ b bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.b.Write(p[:min(len(p), maxOutput-h.b.Len())])
	return len(p), nil
}

// tail keeps the last maxOutput bytes written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxOutput):]...)
	if drop := len(t.b) - maxOutput; drop > 0 {
		t.b = append(t.b[:0], t.b[drop:]...)
	}
	return len(p), nil
}
