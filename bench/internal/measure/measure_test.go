package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The test binary is its own child: roleEnv says what the child shall do.
const roleEnv = "MEASURE_TEST_ROLE"

func TestMain(m *testing.M) {
	Main()
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "spin":
		for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
		}
	case "eat":
		b := make([]byte, 128<<20)
		for i := range b {
			b[i] = byte(i)
		}
		fmt.Println(b[len(b)-1])
	case "idle":
	case "fail":
		fmt.Println("on standard output")
		fmt.Fprint(os.Stderr, "first line\nthe reason\n")
		os.Exit(7)
	case "chatter":
		fmt.Print("begin")
		for range 3 * maxOutput / 10 {
			fmt.Print("0123456789")
		}
	case "hang":
		time.Sleep(time.Hour)
	}
}

func child(role string) Command {
	return Command{Argv: []string{os.Args[0]}, Env: []string{roleEnv + "=" + role}}
}

func TestRunCountsCPU(t *testing.T) {
	busy, _, err := Run(t.Context(), child("spin"))
	if err != nil {
		t.Fatal(err)
	}
	// A loaded machine gives the child a part of the wall time only, but
	// some of it, and never more than all cores.
	if busy.CPU <= 0 || busy.CPU > busy.Wall*time.Duration(runtime.NumCPU()) {
		t.Errorf("CPU time of a busy child: %v in %v", busy.CPU, busy.Wall)
	}
}

func TestRunSeesPeakMemory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("memory is not known on Windows")
	}
	big, out, err := Run(t.Context(), child("eat"))
	if err != nil {
		t.Fatal(err)
	}
	if out != "255\n" {
		t.Errorf("output of the child: %q", out)
	}
	small, _, err := Run(t.Context(), child("idle"))
	if err != nil {
		t.Fatal(err)
	}
	const eaten = 128 << 20
	// The race detector keeps a shadow of what is touched, a few times its size.
	if big.RSS < eaten || big.RSS > 6*eaten {
		t.Errorf("peak memory after touching %d bytes: got %d", eaten, big.RSS)
	}
	if small.RSS <= 0 || small.RSS >= eaten || small.RSS >= big.RSS {
		t.Errorf("peak memory of an idle child: got %d", small.RSS)
	}
	if big.AtMost {
		t.Errorf("peak of %d marked as a bound, with %d of our own", big.RSS, ownRSS())
	}
}

// However large we are, a child is charged with its own memory alone.
func TestRunChargesTheChildAlone(t *testing.T) {
	if ownRSS() == 0 {
		t.Skip("memory is not known here")
	}
	const eaten = 256 << 20
	b := make([]byte, eaten)
	for i := range b {
		b[i] = 1
	}
	c, _, err := Run(t.Context(), child("idle"))
	if err != nil {
		t.Fatal(err)
	}
	if c.RSS >= eaten || ownRSS() < eaten {
		t.Errorf("peak of an idle child: got %d, with %d of our own", c.RSS, ownRSS())
	}
	if c, _, err := Run(t.Context(), child("eat")); err != nil || c.AtMost {
		t.Errorf("peak of a large child: got %d as a bound, %v", c.RSS, err)
	}
	runtime.KeepAlive(b)
}

// A child that is no larger than its launcher says so.
func TestCostOfMarksBoundedMemory(t *testing.T) {
	if ownRSS() == 0 {
		t.Skip("memory is not known here")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=idle")
	b := make([]byte, 64<<20)
	for i := range b {
		b[i] = 1
	}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if c := costOf(cmd.ProcessState, 1); !c.AtMost {
		t.Errorf("peak %d not marked as a bound, with %d of our own", c.RSS, ownRSS())
	}
	runtime.KeepAlive(b)
}

// A program that forgot Main would start itself for ever.
func TestRunNeedsMain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no launcher on Windows")
	}
	t.Setenv("TREEGRAFT_MEASURE_LAUNCH", "1")
	if _, _, err := Run(t.Context(), child("idle")); err == nil || !strings.Contains(err.Error(), "Main") {
		t.Errorf("want an error that names Main, got %v", err)
	}
}

func TestRunReportsFailure(t *testing.T) {
	_, out, err := Run(t.Context(), child("fail"))
	var failed *Error
	var exit *exec.ExitError
	if !errors.As(err, &failed) || !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("want an *Error with exit code 7, got %v", err)
	}
	if failed.Output != "the reason" || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("reason: got %q in %q", failed.Output, err)
	}
	if out != "on standard output\n" {
		t.Errorf("output: got %q", out)
	}
	if _, _, err := Run(t.Context(), Command{Argv: []string{"no-such-program-anywhere"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("missing program: got %v", err)
	}
	if _, _, err := Run(t.Context(), Command{Argv: []string{t.TempDir() + "/nothing"}}); err == nil {
		t.Error("missing path: want an error")
	}
	if _, _, err := Run(t.Context(), Command{}); err == nil {
		t.Error("no program: want an error")
	}
}

func TestRunBoundsOutput(t *testing.T) {
	_, out, err := Run(t.Context(), child("chatter"))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != maxOutput || !strings.HasPrefix(out, "begin") {
		t.Errorf("want the first %d bytes, got %d: %.20q", maxOutput, len(out), out)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, _, err := Run(ctx, child("hang")); !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var w tail
	for i := range 40000 {
		fmt.Fprintf(&w, "line %d\n", i)
	}
	w.Write(make([]byte, 3*maxOutput))
	fmt.Fprint(&w, "\nthe end\n")
	if len(w.b) > maxOutput || lastLine(w.b) != "the end" {
		t.Errorf("kept %d bytes, last line %q", len(w.b), lastLine(w.b))
	}
}

func TestCostAdd(t *testing.T) {
	a := Cost{CPU: 2, RSS: 10, AtMost: true, Wall: 3}
	b := Cost{CPU: 5, RSS: 40, Wall: 1}
	want := Cost{CPU: 7, RSS: 40, Wall: 4}
	if got := a.Add(b); got != want {
		t.Errorf("a+b: want %+v, got %+v", want, got)
	}
	if got := b.Add(a); got != want {
		t.Errorf("b+a: want %+v, got %+v", want, got)
	}
	if got := a.Add(Cost{}); got != a {
		t.Errorf("a+0: want %+v, got %+v", a, got)
	}
}
