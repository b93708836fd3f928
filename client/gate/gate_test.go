package gate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/process"
)

const often = 5 * time.Millisecond

// TestMain makes the test program play programs, too: see start.
func TestMain(m *testing.M) {
	if role := os.Getenv("GATE_TEST_ROLE"); role != "" {
		if err := play(role, os.Getenv("GATE_TEST_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// play is a program of the tree. It says "in" when it is let in.
func play(role, dir string) error {
	if role == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	if role == "closer" {
		return Close(dir, Reason{State: "applying"})
	}
	var p *Pass
	ready, done := make(chan struct{}), make(chan struct{})
	events := func(e Event) {
		fmt.Println(e.Kind)
		if e.Kind == Parked {
			return
		}
		<-ready
		switch {
		case role == "obedient" && e.Kind == PleaseDisconnect:
			p.Disconnect()
		case role == "slow" && e.Kind == PleaseDown:
			close(done)
		default:
			p.Ack("it is\nnot saved")
		}
	}
	p, err := Enter(context.Background(), Options{Dir: dir, Name: role, Park: true, Every: often, Events: events})
	if err != nil {
		return err
	}
	close(ready)
	fmt.Println("in")
	<-done
	return p.Leave()
}

// start starts a program in a role, and returns the lines that it prints.
func start(t *testing.T, role, dir string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GATE_TEST_ROLE="+role, "GATE_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, lines
}

// startIn starts a program and waits until it is let in.
func startIn(t *testing.T, role, dir string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd, lines := start(t, role, dir)
	if got := <-lines; got != "in" {
		t.Fatalf("%s: want in, got %q", role, got)
	}
	return cmd, lines
}

func newTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, ".treegraft"), 0o700))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func enter(t *testing.T, dir string, events func(Event)) *Pass {
	t.Helper()
	p, err := Enter(t.Context(), Options{Dir: dir, Name: "here", Every: often, Events: events})
	must(t, err)
	t.Cleanup(func() { p.Leave() })
	return p
}

func TestOpenGate(t *testing.T) {
	dir := newTree(t)
	if Used(dir) {
		t.Error("want a gate that nobody has asked at")
	}
	p := enter(t, dir, nil)
	if !Used(dir) {
		t.Error("want a gate that is used")
	}
	all, err := Participants(dir)
	must(t, err)
	if len(all) != 1 || all[0].PID != os.Getpid() || all[0].Name != "here" || all[0].State != "connected" {
		t.Fatalf("want this process, connected, got %+v", all)
	}
	must(t, p.Leave())
	must(t, p.Leave())
	if p.Ack("late") == nil {
		t.Error("a program that has left could still speak")
	}
	if all, err = Participants(dir); err != nil || len(all) != 0 {
		t.Fatalf("want nobody, got %+v, %v", all, err)
	}
	left, err := os.ReadDir(filepath.Join(dir, ".treegraft", "gate"))
	if err != nil || len(left) != 0 {
		t.Errorf("want no files left, got %v, %v", left, err)
	}
}

func TestNoTree(t *testing.T) {
	if _, err := Enter(t.Context(), Options{Dir: t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want that there is no tree, got %v", err)
	}
	if all, err := Participants(t.TempDir()); err != nil || all != nil {
		t.Errorf("want nobody, got %v, %v", all, err)
	}
	must(t, Open(t.TempDir()))
}

func TestRefuse(t *testing.T) {
	dir := newTree(t)
	for _, state := range []string{"applying", "needs-migration", "failed", "odd"} {
		eta := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		must(t, Close(dir, Reason{State: state, Phase: "place", Message: "two minutes", ETA: eta}))
		_, err := Enter(t.Context(), Options{Dir: dir, Park: state != "applying"})
		var closed *ClosedError
		if !errors.As(err, &closed) {
			t.Fatalf("%s: want a ClosedError, got %v", state, err)
		}
		if closed.State != state || closed.Phase != "place" || closed.PID != os.Getpid() || !closed.ETA.Equal(eta) || closed.Stale || closed.Since.IsZero() {
			t.Errorf("%s: got %+v", state, closed)
		}
		if text := err.Error(); !strings.Contains(text, state+" (place): two minutes; it should open at 2030-01-02") {
			t.Errorf("%s: got %q", state, text)
		}
	}
	all, err := Participants(dir)
	if err != nil || len(all) != 0 {
		t.Errorf("want nobody registered after refusals, got %v, %v", all, err)
	}
	must(t, Open(dir))
	enter(t, dir, nil)
}

func TestParkedUntilOpen(t *testing.T) {
	dir := newTree(t)
	must(t, Close(dir, Reason{State: "migrating", Phase: "1 of 2"}))
	_, lines := start(t, "obedient", dir)
	if got := <-lines; got != "parked" {
		t.Fatalf("want parked, got %q", got)
	}
	left, err := Drain(t.Context(), dir, DrainOptions{})
	if err != nil || len(left) != 0 {
		t.Errorf("a parked program is in the way: %v, %v", left, err)
	}
	must(t, Close(dir, Reason{State: "migrating", Phase: "2 of 2"}))
	if got := <-lines; got != "parked" {
		t.Fatalf("want to be told of the next phase, got %q", got)
	}
	must(t, Open(dir))
	if got := <-lines; got != "in" {
		t.Fatalf("want in, got %q", got)
	}
}

func TestParkedGivesUp(t *testing.T) {
	dir := newTree(t)
	must(t, Close(dir, Reason{State: "applying"}))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Enter(ctx, Options{Dir: dir, Park: true, Every: often, Events: func(Event) { cancel() }})
	var closed *ClosedError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &closed) {
		t.Errorf("want canceled and closed, got %v", err)
	}
}

// TestStale: who closed the gate has ended, so nobody waits for it.
func TestStale(t *testing.T) {
	dir := newTree(t)
	cmd, _ := start(t, "closer", dir)
	must(t, cmd.Wait())
	_, err := Enter(t.Context(), Options{Dir: dir, Park: true})
	var closed *ClosedError
	if !errors.As(err, &closed) || !closed.Stale {
		t.Fatalf("want a stale closed gate, got %v", err)
	}
	if want := fmt.Sprintf("process %d, which closed it, has ended", cmd.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got %v", want, err)
	}
	// The number alone would not do: this one is used again.
	must(t, os.WriteFile(closedPath(dir), fmt.Appendf(nil, `{"state":"applying","owner":{"pid":%d,"start":1,"boot_id":%q,"space":%q,"host":%q}}`,
		os.Getpid(), process.Self().Boot, process.Self().Space, process.Self().Host), 0o600))
	if c := Look(dir); c == nil || !c.Stale {
		t.Errorf("want stale, got %+v", c)
	}
	// Whoever takes the work up closes it anew.
	left, err := Drain(t.Context(), dir, DrainOptions{Reason: Reason{State: "migrating"}})
	if c := Look(dir); err != nil || len(left) != 0 || c == nil || c.Stale || c.State != "migrating" {
		t.Errorf("want it closed by this process, got %+v, %v, %v", c, left, err)
	}
	must(t, os.WriteFile(closedPath(dir), []byte(`{"state":"applying","owner":{"pid":1,"start":1,"host":"elsewhere"}}`), 0o600))
	if c := Look(dir); c == nil || c.Stale {
		t.Errorf("want that nothing is known of another host, got %+v", c)
	}
}

func TestDrain(t *testing.T) {
	dir := newTree(t)
	startIn(t, "obedient", dir)
	slow, lines := startIn(t, "slow", dir)
	var seen []string
	left, err := Drain(t.Context(), dir, DrainOptions{Disconnect: time.Second, Down: time.Minute, Progress: func(all []Process) {
		seen = append(seen, fmt.Sprint(all))
	}})
	if err != nil || len(left) != 0 {
		t.Fatalf("want nobody left, got %v, %v", left, err)
	}
	must(t, slow.Wait())
	if got := []string{<-lines, <-lines}; got[0] != "please-disconnect" || got[1] != "please-down" {
		t.Errorf("want both requests in order, got %q", got)
	}
	if c := Look(dir); c == nil || c.State != "draining" {
		t.Errorf("want the gate closed, got %+v", c)
	}
	all, err := Participants(dir)
	if err != nil || len(all) != 1 || all[0].State != "disconnected" {
		t.Errorf("want the obedient program, disconnected, got %+v, %v", all, err)
	}
	if text := strings.Join(seen, ""); !strings.Contains(text, ": it is not saved") {
		t.Errorf("want to be told what the slow one says, on one line, got %q", text)
	}
}

func TestDrainLeavesAndForces(t *testing.T) {
	dir := newTree(t)
	deaf, _ := startIn(t, "deaf", dir)
	stubborn, _ := startIn(t, "stubborn", dir)
	brief := DrainOptions{Disconnect: often, Down: often, Grace: time.Second}
	left, err := Drain(t.Context(), dir, brief)
	must(t, err)
	if len(left) != 2 || left[0].Name != "deaf" || left[0].PID != deaf.Process.Pid || left[1].PID != stubborn.Process.Pid {
		t.Fatalf("want both, got %v", left)
	}
	enterRefused(t, dir)
	brief.Force = true
	if left, err = Drain(t.Context(), dir, brief); err != nil || len(left) != 0 {
		t.Fatalf("want nobody left, got %v, %v", left, err)
	}
	for _, cmd := range []*exec.Cmd{deaf, stubborn} {
		if cmd.Wait() == nil {
			t.Error("want it ended by force, got a good end")
		}
	}
}

func enterRefused(t *testing.T, dir string) {
	t.Helper()
	var closed *ClosedError
	if _, err := Enter(t.Context(), Options{Dir: dir}); !errors.As(err, &closed) {
		t.Fatalf("want the gate closed, got %v", err)
	}
}

// TestCrash: a killed program has left.
func TestCrash(t *testing.T) {
	dir := newTree(t)
	cmd, _ := startIn(t, "deaf", dir)
	must(t, cmd.Process.Kill())
	cmd.Wait()
	left, err := Drain(t.Context(), dir, DrainOptions{})
	if err != nil || len(left) != 0 {
		t.Errorf("want nobody left, got %v, %v", left, err)
	}
}

func TestReopened(t *testing.T) {
	dir := newTree(t)
	events := make(chan Event, 10)
	p := enter(t, dir, func(e Event) { events <- e })
	drained := make(chan error)
	go func() {
		left, err := Drain(t.Context(), dir, DrainOptions{Reason: Reason{State: "draining", To: "2.0.0"}, Disconnect: time.Hour})
		if len(left) > 0 {
			err = fmt.Errorf("left: %v", left)
		}
		drained <- err
	}()
	if e := <-events; e.Kind != PleaseDisconnect || e.Reason.To != "2.0.0" || e.Deadline.IsZero() {
		t.Fatalf("got %+v", e)
	}
	must(t, p.Disconnect())
	must(t, <-drained)
	must(t, Close(dir, Reason{State: "applying"}))
	must(t, Open(dir))
	if e := <-events; e.Kind != Reopened {
		t.Fatalf("want reopened, got %+v", e)
	}
	must(t, p.Resume(t.Context()))
	all, err := Participants(dir)
	if err != nil || len(all) != 1 || all[0].State != "connected" {
		t.Errorf("want it connected again, got %+v, %v", all, err)
	}
}

// TestNobodySlipsIn lets programs come and go while the gate closes and opens:
// when a drain has ended, nobody is inside.
func TestNobodySlipsIn(t *testing.T) {
	dir := newTree(t)
	var mu sync.Mutex
	inside, most := 0, 0
	count := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		inside += n
		most = max(most, inside)
		return inside
	}
	ctx, cancel := context.WithCancel(t.Context())
	var programs sync.WaitGroup
	for range 4 {
		programs.Go(func() {
			for ctx.Err() == nil {
				p, err := Enter(ctx, Options{Dir: dir, Park: true, Every: time.Millisecond})
				if err != nil {
					continue
				}
				count(1)
				time.Sleep(time.Millisecond)
				count(-1)
				p.Leave()
			}
		})
	}
	for range 100 {
		left, err := Drain(ctx, dir, DrainOptions{})
		if err != nil || len(left) != 0 {
			t.Fatalf("want nobody left, got %v, %v", left, err)
		}
		if n := count(0); n != 0 {
			t.Fatalf("%d programs are inside after a drain", n)
		}
		must(t, Open(dir))
		time.Sleep(2 * time.Millisecond)
	}
	cancel()
	programs.Wait()
	if most == 0 {
		t.Error("no program was ever inside")
	}
}

func TestBrokenFiles(t *testing.T) {
	for _, text := range []string{"", "{", "null", "[]", `{"state":7}`, `{"state":""}`, strings.Repeat(" ", maxRecord+1), "\x00"} {
		dir := newTree(t)
		p := enter(t, dir, nil)
		must(t, os.WriteFile(closedPath(dir), []byte(text), 0o600))
		time.Sleep(2 * often) // some looks at it
		c := Look(dir)
		if c == nil || c.State != unreadable || c.Err == nil || c.Error() == "" {
			t.Errorf("%.10q: want closed and unreadable, got %+v", text, c)
		}
		enterRefused(t, dir)
		// Whatever a program's record holds, the program is there.
		must(t, os.WriteFile(p.member.base+".json", []byte(text), 0o600))
		all, err := Participants(dir)
		if err != nil || len(all) != 1 || !all[0].inTheWay() {
			t.Errorf("%.10q: want one program in the way, got %+v, %v", text, all, err)
		}
		must(t, Close(dir, Reason{State: "draining"}))
		must(t, Open(dir))
	}
}

// TestHostileRecord has a record name a process that is not the one who holds
// the lock: it must not be ended.
func TestHostileRecord(t *testing.T) {
	dir := newTree(t)
	victim, _ := startIn(t, "deaf", newTree(t))
	p := enter(t, dir, nil)
	for _, owner := range []string{fmt.Sprintf(`{"pid":%d}`, victim.Process.Pid), `{"pid":-1}`, `{"pid":0}`, `{"pid":1,"host":"elsewhere"}`} {
		must(t, os.WriteFile(p.member.base+".json", []byte(`{"name":"\u001b[2J","state":"connected","process":`+owner+`}`), 0o600))
		left, err := Drain(t.Context(), dir, DrainOptions{Disconnect: often, Down: often, Grace: often, Force: true})
		if err != nil || len(left) != 1 || strings.Contains(left[0].String(), "\x1b") {
			t.Fatalf("want the holder of the lock, got %q, %v", left, err)
		}
	}
	if id, err := process.Of(victim.Process.Pid); err != nil || id.State() != process.Alive {
		t.Error("the wrong process was ended")
	}
}
