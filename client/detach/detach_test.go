package detach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/process"
)

// TestMain makes the test program an application that updates itself.
func TestMain(m *testing.M) {
	role := os.Getenv("DETACH_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, os.Getenv("DETACH_TEST_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// play is the program "app" of a tree whose file VERSION says which it is. The
// first one asks for an update and ends; the second says what came of it.
func play(role, dir string) error {
	version := filepath.Join(dir, "VERSION")
	if job, ok := Inherited(); ok {
		return Finish(context.Background(), job, func(context.Context) (Outcome, error) {
			if role == "fails" {
				return Outcome{}, errors.New("no space")
			}
			return Outcome{Changes: []Change{{"app", "1", "2"}}}, os.WriteFile(version, []byte("2"), 0o600)
		})
	}
	o, err := Last(dir)
	if err != nil {
		return err
	}
	if o != nil {
		b, err := os.ReadFile(version)
		if err != nil {
			return err
		}
		said := filepath.Join(dir, "said")
		if err := os.WriteFile(said+".new", fmt.Appendf(nil, "%s: %v %s %q", b, o.Changes, o.Error, os.Args[1:]), 0o600); err != nil {
			return err
		}
		return os.Rename(said+".new", said)
	}
	if role == "sleeps" {
		time.Sleep(time.Hour)
	}
	_, err = Start(Job{Dir: dir, Restart: []string{"app", "-serve"}}, os.Args[0])
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTree(t *testing.T, role string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, ".treegraft"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("1"), 0o600))
	exe, err := os.Executable()
	must(t, err)
	_, err = copyTo(filepath.Join(dir, "app"), exe)
	must(t, err)
	t.Setenv("DETACH_TEST_ROLE", role)
	t.Setenv("DETACH_TEST_DIR", dir)
	return dir
}

func await(t *testing.T, name string) string {
	t.Helper()
	for {
		b, err := os.ReadFile(name)
		if err == nil {
			return string(b)
		}
		if !errors.Is(err, os.ErrNotExist) || t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestUpdateItself(t *testing.T) {
	dir := newTree(t, "works")
	must(t, exec.Command(filepath.Join(dir, "app")).Run())
	if got := await(t, filepath.Join(dir, "said")); got != `2: [{app 1 2}]  ["-serve"]` {
		t.Errorf("the new one says %q", got)
	}
}

// TestFailedUpdate: the old one is started again, and knows why.
func TestFailedUpdate(t *testing.T) {
	dir := newTree(t, "fails")
	must(t, exec.Command(filepath.Join(dir, "app")).Run())
	if got := await(t, filepath.Join(dir, "said")); got != `1: [] no space ["-serve"]` {
		t.Errorf("the old one says %q", got)
	}
	if log := await(t, filepath.Join(dir, ".treegraft", "detached.log")); !strings.Contains(log, "no space") {
		t.Errorf("the log says %q", log)
	}
}

// TestWait: nothing is applied while a process lives.
func TestWait(t *testing.T) {
	dir := newTree(t, "sleeps")
	cmd := exec.Command(filepath.Join(dir, "app"))
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	id, err := process.Of(cmd.Process.Pid)
	must(t, err)
	applied := false
	apply := func(context.Context) (Outcome, error) {
		applied = true
		return Outcome{Changes: []Change{{Product: "app"}}}, nil
	}
	job := Job{Dir: dir, Wait: []string{id.String()}, Patience: time.Millisecond, Restart: []string{"nowhere/app"}}
	var running *RunningError
	if err := Finish(t.Context(), job, apply); !errors.As(err, &running) || len(running.PIDs) != 1 || running.PIDs[0] != id.PID {
		t.Fatalf("want that %d still runs, got %v", id.PID, err)
	}
	o, err := Last(dir)
	if err != nil || applied || o == nil || !strings.Contains(o.Error, "still there") {
		t.Fatalf("want the reason kept and nothing applied, got %+v, %v", o, err)
	}
	must(t, cmd.Process.Kill())
	job.Patience = time.Hour
	job.Wait = append(job.Wait, "1073741824") // a number that nobody has
	err = Finish(t.Context(), job, apply)
	if !applied || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "restart") {
		t.Fatalf("want it applied, and that the restart failed, got %v", err)
	}
	if o, err = Last(dir); err != nil || o.Error != "" || len(o.Changes) != 1 || o.Time.IsZero() {
		t.Errorf("want a good outcome, got %+v, %v", o, err)
	}
}

func TestBadJobs(t *testing.T) {
	dir := newTree(t, "works")
	for _, wait := range []string{"x", "-1", fmt.Sprint(os.Getpid()), Self()} {
		err := Finish(t.Context(), Job{Dir: dir, Wait: []string{wait}}, func(context.Context) (Outcome, error) {
			t.Errorf("%q: applied", wait)
			return Outcome{}, nil
		})
		if err == nil {
			t.Errorf("%q: want an error", wait)
		}
	}
	if _, err := Start(Job{Dir: t.TempDir()}, os.Args[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("want that there is no tree, got %v", err)
	}
	for _, text := range []string{"", "{", `{"dir":""}`, "[]", "null"} {
		t.Setenv(jobVariable, text)
		if j, ok := Inherited(); ok {
			t.Errorf("%q: want no job, got %+v", text, j)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, ".treegraft", outcomeName), []byte("{"), 0o600))
	if o, err := Last(dir); err == nil {
		t.Errorf("want an error, got %+v", o)
	}
}
