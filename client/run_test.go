package client

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client/gate"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

// The state of a run changes along the table, and nowhere else: no code but move
// assigns to a field State.
func TestStatesMoveByTheTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	check(t, err)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		check(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				a, ok := n.(*ast.AssignStmt)
				if !ok {
					return true
				}
				for _, l := range a.Lhs {
					if x := ownerOfState(l); x != "r" && x != "run" {
						continue
					}
					if found++; fn.Name.Name != "move" {
						t.Errorf("%s: %s assigns to the state of a run", name, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
	if found != 1 {
		t.Errorf("found %d assignments, want the one of move", found)
	}
	for phase, e := range enters {
		from := lifecycle.Failed
		if to, err := from.Next(e.on); err != nil || to != e.to {
			t.Errorf("phase %s: from failed, %q leads to %s (%v), want %s", phase, e.on, to, err, e.to)
		}
	}
}

// ownerOfState returns x of x.State, or "".
func ownerOfState(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "State" {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name
}

// installWithFacts installs 1.0.0 and publishes 1.1.0 with facts.
func installWithFacts(t *testing.T, facts func(*manifest.Release)) (*Client, string) {
	t.Helper()
	r := newRepo(t)
	dir := filepath.Join(t.TempDir(), "tree")
	r.publish("1.0.0", map[string]string{"a": "one"})
	c := r.with(Options{Dir: dir, Repository: r.dir, Policy: filepath.Join(t.TempDir(), "none")})
	_, err := c.Install(t.Context(), UpdateOptions{})
	check(t, err)
	r.facts = facts
	r.publish("1.1.0", map[string]string{"a": "two"})
	return c, dir
}

func TestTypedErrors(t *testing.T) {
	c, dir := installWithFacts(t, func(r *manifest.Release) {
		r.Requires = &manifest.Requires{Commands: []string{"no-such-command"}, Packages: []manifest.Dependency{{Name: "no-such-package"}, {Name: "-x"}}}
	})
	_, err := c.Update(t.Context(), UpdateOptions{})
	var blocked *BlockedError
	if !errors.As(err, &blocked) || len(blocked.Unmet) != 3 {
		t.Errorf("blocked: got %v", err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.State != lifecycle.Blocked {
		t.Errorf("blocked: status %+v, %v", st, err)
	}
	wantTree(t, dir, map[string]string{"a": "one"})

	check(t, c.Hold(t.Context(), Hold{Until: time.Now().Add(time.Hour)}))
	var held *HeldError
	if _, err := c.Check(t.Context()); !errors.As(err, &held) {
		t.Errorf("held: got %v", err)
	}
	check(t, c.Unhold(t.Context()))
	c.o.Policy = filepath.Join(t.TempDir(), "policy.json")
	check(t, os.WriteFile(c.o.Policy, []byte(`{"require_approval":true,"channels":["stable"]}`), 0o644))
	if err := c.SetChannel(t.Context(), "beta"); !errors.As(err, &held) {
		t.Errorf("channel: got %v", err)
	}
	a, err := c.Approve(t.Context(), "", "Ada")
	check(t, err)
	if a.By != "Ada" || a.Version != "1.1.0" || len(a.Digest) != 64 {
		t.Errorf("approval: got %+v", a)
	}
}

// A command that has ended well has, even if its time is over while something that
// it has started still holds on to its output.
func TestOutcome(t *testing.T) {
	exit, late := &exec.ExitError{}, errors.New("it took too long")
	for _, tt := range []struct{ waited, cause, want error }{
		{nil, nil, nil},
		{nil, late, nil},
		{exec.ErrWaitDelay, nil, nil},
		{exec.ErrWaitDelay, late, nil},
		{exit, nil, exit},
		{exit, late, late},
		{context.DeadlineExceeded, late, late},
	} {
		if got := outcome(tt.waited, tt.cause); got != tt.want {
			t.Errorf("waited %v, cause %v: want %v, got %v", tt.waited, tt.cause, tt.want, got)
		}
	}
}

// A program that has entered the tree is waited for, and is not overrun.
func TestBusy(t *testing.T) {
	c, dir := installWithFacts(t, nil)
	pass, err := gate.Enter(t.Context(), gate.Options{Dir: dir, Name: "web"})
	check(t, err)
	short := UpdateOptions{Disconnect: time.Millisecond, Down: time.Millisecond}
	var busy *BusyError
	if _, err := c.Update(t.Context(), short); !errors.As(err, &busy) || len(busy.Left) != 1 {
		t.Fatalf("got %v", err)
	}
	wantTree(t, dir, map[string]string{"a": "one"})
	if closed := gate.Look(dir); closed != nil {
		t.Errorf("the gate stays closed: %v", closed)
	}
	if r, err := c.currentRun(); r != nil || err != nil {
		t.Errorf("a run is left: %+v, %v", r, err)
	}
	check(t, pass.Leave())
	_, err = c.Update(t.Context(), short)
	check(t, err)
	wantTree(t, dir, map[string]string{"a": "two"})
}

// What is no run is not taken for one, and none is made up.
func TestBrokenRecords(t *testing.T) {
	c, dir := installWithFacts(t, nil)
	record := filepath.Join(dir, atomicfs.StateDir, runName)
	for _, text := range []string{"", "{}", "[]", `{"state":"up-to-date"}`, `{"state":"applying","data":7}`, strings.Repeat("x", 2<<20)} {
		check(t, os.WriteFile(record, []byte(text), 0o600))
		if _, err := c.Update(t.Context(), UpdateOptions{}); err == nil || !strings.Contains(err.Error(), runName) {
			t.Errorf("%.40q: got %v", text, err)
		}
	}
	// A run that neither began nor ended with what is there, is over.
	check(t, os.WriteFile(record, []byte(`{"product":"app","verb":"update","state":"applying","phase":"place","data":"none","from_manifest":"x","to_manifest":"y"}`), 0o600))
	if _, err := c.Resume(t.Context(), ResumeOptions{}); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("a foreign run: got %v", err)
	}
	res, err := c.Resume(t.Context(), ResumeOptions{})
	check(t, err)
	if !res.UpToDate {
		t.Errorf("without a run: got %+v", res)
	}
	check(t, os.WriteFile(filepath.Join(dir, atomicfs.StateDir, dataName), []byte(`{"app":7}`), 0o600))
	if _, err := c.Update(t.Context(), UpdateOptions{}); err == nil || !strings.Contains(err.Error(), dataName) {
		t.Errorf("broken data: got %v", err)
	}
	check(t, os.WriteFile(filepath.Join(dir, atomicfs.StateDir, dataName), []byte("null"), 0o600))
	check(t, c.SetData(t.Context(), 3))
	if d, err := c.Data(); err != nil || d != 3 {
		t.Errorf("data after a record of null: got %v, %v", d, err)
	}
}

// A doctor finds what ails a tree, and says what to do.
func TestDoctor(t *testing.T) {
	c, dir := installWithFacts(t, nil)
	for _, f := range c.Doctor(t.Context()) {
		if !f.Well {
			t.Errorf("a healthy tree: %+v", f)
		}
	}
	put(t, dir, "a", "damaged")
	check(t, c.Hold(t.Context(), Hold{Reason: "no"}))
	check(t, gate.Close(dir, gate.Reason{State: "applying"}))
	ill := map[string]bool{}
	for _, f := range c.Doctor(t.Context()) {
		if !f.Well {
			ill[f.What] = true
		}
	}
	if len(ill) != 3 || !ill["files"] || !ill["hold"] || !ill["gate"] {
		t.Errorf("ill: got %v", ill)
	}
}
