package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// TestMain makes the test program a process that sleeps, see sleeper.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST_SLEEP") != "" {
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func sleeper(t *testing.T) (*exec.Cmd, ID) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROCESS_TEST_SLEEP=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, id
}

func TestStates(t *testing.T) {
	self := Self()
	if self.PID != os.Getpid() || self.Start == 0 || self.State() != Alive {
		t.Fatalf("want this process, alive, got %v %v", self, self.State())
	}
	for name, c := range map[string]struct {
		change func(*ID)
		want   State
	}{
		"same":                {func(*ID) {}, Alive},
		"number used again":   {func(id *ID) { id.Start++ }, Gone},
		"start not known":     {func(id *ID) { id.Start = 0 }, Alive},
		"before a restart":    {func(id *ID) { id.Boot += "x" }, Gone},
		"in a container":      {func(id *ID) { id.Space += "x" }, Unknown},
		"on another host":     {func(id *ID) { id.Host += "x"; id.Boot = "x" }, Unknown},
		"no number":           {func(id *ID) { id.PID = 0 }, Unknown},
		"a group":             {func(id *ID) { id.PID = -1 }, Unknown},
		"number of nobody":    {func(id *ID) { id.PID = 1 << 30 }, Gone},
		"nothing at all said": {func(id *ID) { *id = ID{} }, Unknown},
	} {
		id := self
		c.change(&id)
		if got := id.State(); got != c.want {
			t.Errorf("%s: want %v, got %v", name, c.want, got)
		}
		if c.want != Alive && id.Stop(true) != nil != (c.want == Unknown) {
			t.Errorf("%s: want that only an unknown process is an error", name)
		}
	}
}

func TestWaitAndStop(t *testing.T) {
	cmd, id := sleeper(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*between)
	defer cancel()
	if err := id.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("want the wait to be given up, got %v", err)
	}
	if id.State() != Alive {
		t.Fatal("want it alive")
	}
	done := make(chan error)
	go func() { done <- id.Wait(t.Context()) }()
	if err := id.Stop(false); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Nobody has asked for its end yet: it holds nothing, so it is gone.
	if id.State() != Gone {
		t.Errorf("want gone, got %v", id.State())
	}
	cmd.Wait()
	if err := errors.Join(id.Wait(t.Context()), id.Stop(false), id.Stop(true), id.waitByLooking(t.Context())); err != nil {
		t.Errorf("want nothing to do for a process that is gone, got %v", err)
	}
}

func TestKill(t *testing.T) {
	cmd, id := sleeper(t)
	if err := errors.Join(id.Stop(true), id.Wait(t.Context())); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Error("want it killed, got a good end")
	}
}

// TestNotTheNext: a number that is used again is not waited for, nor stopped.
func TestNotTheNext(t *testing.T) {
	_, id := sleeper(t)
	before := id
	before.Start--
	if err := errors.Join(before.Wait(t.Context()), before.Stop(true)); err != nil {
		t.Fatal(err)
	}
	if id.State() != Alive {
		t.Error("the wrong process was stopped")
	}
	id.Start = 0
	if err := id.Stop(true); !errors.Is(err, ErrUnknown) {
		t.Errorf("want that a number alone does not do, got %v", err)
	}
}

func TestParse(t *testing.T) {
	_, id := sleeper(t)
	for _, text := range []string{id.String(), strconv.Itoa(id.PID)} {
		if got, err := Parse(text); err != nil || got != id {
			t.Errorf("%s: want %+v, got %+v, %v", text, id, got, err)
		}
	}
	if got, err := Parse("1073741824"); err != nil || got.State() != Gone {
		t.Errorf("want a process that is gone, got %+v, %v", got, err)
	}
	for _, text := range []string{"", "x", "-1", "0", "@", "1@", "1@x", "1@-1", "0@5", "1@2@3"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q: want an error, got %+v", text, got)
		}
	}
}
