package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/treegraft-dev/treegraft/internal/process"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// Bounds on what is kept of what commands print.
const (
	keptLines = 20   // the last ones
	lineBytes = 1024 // of each
)

// killDelay is how long output is waited for after a command has ended:
// something it has started may hold on to it for ever.
const killDelay = 2 * time.Second

// command is a hook or migration about to run. It runs in the tree, without a
// shell.
type command struct {
	step    string // such as "migrate 3"
	phase   string
	argv    []string
	seconds int
	old     lifecycle.Data // what it is told that the data is
}

// A commandError says that a hook or migration failed.
type commandError struct {
	step   string
	err    error
	output []string
}

func (e *commandError) Error() string {
	text := fmt.Sprintf("%s: %v", e.step, e.err)
	if n := len(e.output); n > 0 {
		text += ": " + e.output[n-1]
	}
	return text
}

func (e *commandError) Unwrap() error { return e.err }

// runCommand runs a command of a release's tree. Each line it prints is an event.
func (s *session) runCommand(ctx context.Context, r *Run, m *manifest.Manifest, k command) (output []string, err error) {
	fail := func(err error) ([]string, error) { return output, &commandError{k.step, err, output} }
	argv := make([]string, len(k.argv))
	for i, a := range k.argv {
		argv[i] = strings.ReplaceAll(a, "{old}", k.old.String())
	}
	name, err := s.program(m, argv[0])
	if err != nil {
		return fail(err)
	}
	if k.seconds > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(k.seconds)*time.Second, fmt.Errorf("it took longer than %d seconds", k.seconds))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, name, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Dir = s.c.o.Dir
	cmd.Env = append(os.Environ(),
		"TREEGRAFT_DIR="+s.c.o.Dir, "TREEGRAFT_PRODUCT="+r.Product, "TREEGRAFT_FROM="+r.From, "TREEGRAFT_TO="+r.To,
		"TREEGRAFT_PHASE="+k.phase, "TREEGRAFT_OLD="+k.old.String())
	cmd.WaitDelay = killDelay
	process.Group(cmd)
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	lines := make(chan []string)
	go func() { lines <- s.listen(read, k.step) }()
	err = runHeld(cmd)
	write.Close()
	output = <-lines
	if err := outcome(err, context.Cause(ctx)); err != nil {
		return fail(err)
	}
	return output, nil
}

// outcome says how a command ended, by what it was waited for with, and by why
// its context ended. That may come after its end: something it has left behind,
// which is its own affair, is waited for too.
func outcome(waited, cause error) error {
	switch {
	case errors.Is(waited, exec.ErrWaitDelay):
		return nil
	case waited != nil && cause != nil:
		return cause
	}
	return waited
}

// listen tells what a command prints, line by line, and returns the last ones.
func (s *session) listen(r io.Reader, step string) (last []string) {
	in := bufio.NewReaderSize(r, lineBytes)
	for {
		line, _, err := in.ReadLine() // a longer line comes in parts
		if err != nil {
			return last
		}
		text := strings.ToValidUTF8(string(line), "\uFFFD")
		if last = append(last, text); len(last) > keptLines {
			last = last[1:]
		}
		s.c.emit(Event{Phase: Running, Path: step, Note: step + ": " + text})
	}
}

// program finds what a release calls its command: a file of the release, or
// else a program on the PATH.
func (s *session) program(m *manifest.Manifest, name string) (string, error) {
	inTree := path.Clean(name)
	if e := m.Lookup(inTree); e != nil && e.Kind != manifest.Dir {
		return filepath.Join(s.c.o.Dir, filepath.FromSlash(inTree)), nil
	}
	if strings.ContainsAny(name, `/\`) {
		return "", fmt.Errorf("run %s: want a file of release %s, or a command on the PATH", name, m.Release.Version)
	}
	return exec.LookPath(name)
}
