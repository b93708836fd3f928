package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// onTrial returns an install of 1.1.0 on probation, and a clock to move.
func onTrial(t *testing.T, p Probation) (c *Client, dir string, clock *time.Time) {
	t.Helper()
	r, dir := newPair(t)
	now := time.Now()
	c = r.with(Options{Dir: dir, Repository: r.dir, Now: func() time.Time { return now }})
	_, err := c.Update(t.Context(), UpdateOptions{Probation: p})
	check(t, err)
	return c, dir, &now
}

func wantTrial(t *testing.T, c *Client, starting bool) *Trial {
	t.Helper()
	trial, back, err := c.Pending(t.Context(), starting)
	check(t, err)
	if trial == nil || back != nil || trial.Version != "1.1.0" {
		t.Fatalf("pending: got trial %+v, return %+v", trial, back)
	}
	return trial
}

// wantReturn sees that 1.1.0 failed, is left, and not taken again.
func wantReturn(t *testing.T, c *Client, dir string, back *Result, why string) {
	t.Helper()
	one, two := releases()
	if back == nil || !strings.Contains(back.Rejected, why) || back.To.Version != "1.0.0" {
		t.Fatalf("went back: got %+v, want because of %q", back, why)
	}
	wantTree(t, dir, one)
	a, err := c.Check(t.Context())
	check(t, err)
	if a.Latest != nil {
		t.Errorf("check after failure: got %+v, want nothing new", a.Latest)
	}
	res, err := c.Update(t.Context(), UpdateOptions{})
	check(t, err)
	if !res.UpToDate {
		t.Errorf("update after failure: got %+v, want nothing done", res)
	}
	if trial, again, err := c.Pending(t.Context(), true); trial != nil || again != nil || err != nil {
		t.Errorf("pending after failure: got %v %v %v", trial, again, err)
	}
	st, err := c.Status(t.Context())
	check(t, err)
	if len(st.Rejected) != 1 || st.Rejected[0].Version != "1.1.0" || !strings.Contains(st.Rejected[0].Reason, why) || st.Trial != nil {
		t.Errorf("status: got %+v", st)
	}

	// By its version it can be had, and be forgiven.
	_, err = c.Update(t.Context(), UpdateOptions{Version: "1.1.0"})
	check(t, err)
	wantTree(t, dir, two)
	if trial, back, err := c.Pending(t.Context(), true); trial != nil || back != nil || err != nil {
		t.Errorf("an update without probation has %+v %+v %v", trial, back, err)
	}
	check(t, c.Confirm(t.Context()))
	if st := wantStatus(t, c); len(st.Rejected) != 0 {
		t.Errorf("confirmed, and still rejected: %+v", st.Rejected)
	}
}

func TestConfirm(t *testing.T) {
	c, dir, now := onTrial(t, Probation{Within: time.Hour, Starts: 1})
	if trial := wantTrial(t, c, true); trial.Starts != 0 || !trial.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("trial: got %+v", trial)
	}
	check(t, c.Confirm(t.Context()))
	*now = now.Add(24 * time.Hour)
	trial, back, err := c.Pending(t.Context(), true)
	check(t, err)
	if trial != nil || back != nil {
		t.Errorf("after it was confirmed: got %v, %v", trial, back)
	}
	_, two := releases()
	wantTree(t, dir, two)
	check(t, c.Confirm(t.Context())) // of nothing
}

func TestTimeOfProbationIsUp(t *testing.T) {
	c, dir, now := onTrial(t, Probation{Within: time.Hour})
	for range 10 {
		wantTrial(t, c, true) // starts are not bounded
	}
	*now = now.Add(time.Hour + time.Second)
	_, back, err := c.Pending(t.Context(), false)
	check(t, err)
	wantReturn(t, c, dir, back, "not confirmed until")
}

func TestTooManyStarts(t *testing.T) {
	c, dir, now := onTrial(t, Probation{Starts: 2})
	wantTrial(t, c, true)
	*now = now.Add(1000 * time.Hour)
	wantTrial(t, c, false) // does not count
	wantTrial(t, c, true)
	_, back, err := c.Pending(t.Context(), true)
	check(t, err)
	wantReturn(t, c, dir, back, "too often")
}

// A release that fails keeps nothing from going back: local changes stay beside.
func TestRejectKeepsLocalChanges(t *testing.T) {
	c, dir, _ := onTrial(t, Probation{})
	put(t, dir, "new.bin", "changed by the new release itself")
	back, err := c.Reject(t.Context(), "it burns")
	check(t, err)
	if len(back.Kept) != 1 {
		t.Errorf("kept: got %v", back.Kept)
	}
	check(t, os.Remove(filepath.Join(dir, back.Kept[0])))
	wantReturn(t, c, dir, back, "it burns")
}

// A crash between the two steps of going back is finished by the next look.
func TestRejectedButStillThere(t *testing.T) {
	c, dir, now := onTrial(t, Probation{Within: time.Minute})
	*now = now.Add(time.Hour)
	check(t, os.Mkdir(filepath.Join(dir, "here"), 0o755))
	snapshots := filepath.Join(dir, atomicfs.StateDir)
	hidden := map[string]string{}
	entries, err := os.ReadDir(snapshots)
	check(t, err)
	for _, e := range entries { // no way back: the rollback fails after the mark
		if strings.HasPrefix(e.Name(), "snapshot") {
			hidden[e.Name()] = filepath.Join(t.TempDir(), e.Name())
			check(t, os.Rename(filepath.Join(snapshots, e.Name()), hidden[e.Name()]))
		}
	}
	if len(hidden) == 0 {
		t.Fatalf("found no snapshot among %v", entries)
	}
	if _, _, err := c.Pending(t.Context(), false); err == nil || !strings.Contains(err.Error(), "1.1.0") {
		t.Fatalf("without a way back: got %v", err)
	}
	for name, from := range hidden {
		check(t, os.Rename(from, filepath.Join(snapshots, name)))
	}
	check(t, os.Remove(filepath.Join(dir, "here")))
	_, back, err := c.Pending(t.Context(), false)
	check(t, err)
	wantReturn(t, c, dir, back, "not confirmed until")
}
