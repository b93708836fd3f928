package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check wants a version of the data, and that a release for it can add notes.
func check(t *testing.T, dir string, want int) {
	t.Helper()
	ctx := t.Context()
	if v, err := dataVersion(ctx, dir); err != nil || v != strconv.Itoa(want) {
		t.Fatalf("want data of version %d, got %s, %v", want, v, err)
	}
	n, err := openNotes(ctx, dir, want)
	must(t, err)
	defer n.close()
	id := fmt.Sprintf("of-%d", want)
	must(t, n.add(ctx, id, id))
	must(t, n.add(ctx, id, id)) // again, as after an answer that did not come
	if text, ok, err := n.get(ctx, id); err != nil || !ok || text != id {
		t.Fatalf("want the note back, got %q, %v, %v", text, ok, err)
	}
}

func TestMigrate(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	if v, err := dataVersion(ctx, dir); err != nil || v != "none" {
		t.Fatalf("want none, got %s, %v", v, err)
	}
	for _, to := range []int{1, 1, 2, 3, 4, 4, 3, 1, 4} { // any step may run again
		must(t, migrate(ctx, dir, to))
		check(t, dir, to)
	}
	for _, to := range []int{0, -1, len(steps) + 1} {
		if migrate(ctx, dir, to) == nil {
			t.Errorf("version %d: want an error", to)
		}
	}
	if _, err := openNotes(ctx, dir, 3); err == nil || !strings.Contains(err.Error(), "want version 3, got 4") {
		t.Errorf("want data of another version refused, got %v", err)
	}
}

// TestMigrationFails: a step that fails leaves the data as it was.
func TestMigrationFails(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	must(t, migrate(ctx, dir, 3))
	n, err := openNotes(ctx, dir, 3)
	must(t, err)
	must(t, n.add(ctx, "a", "twice"))
	must(t, n.add(ctx, "b", "twice"))
	must(t, n.close())
	if err := migrate(ctx, dir, 4); err == nil || !strings.Contains(err.Error(), "from 3 to 4") {
		t.Fatalf("want that the texts are not unique, got %v", err)
	}
	check(t, dir, 3)
}

func TestMigrationIsCutShort(t *testing.T) {
	dir := t.TempDir()
	must(t, migrate(t.Context(), dir, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if migrate(ctx, dir, 3) == nil {
		t.Fatal("want an error")
	}
	check(t, dir, 1)
}

// TestFit: a release that is restored gets the data of its own time.
func TestFit(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	must(t, fit(ctx, dir, 1)) // nothing is there yet
	must(t, migrate(ctx, dir, 1))
	check(t, dir, 1)
	must(t, backup(ctx, dir, 1))
	must(t, backup(ctx, dir, 1))
	must(t, migrate(ctx, dir, 3))
	check(t, dir, 3)
	must(t, fit(ctx, dir, 3))
	if err := fit(ctx, dir, 2); err == nil {
		t.Error("want that there is no copy of version 2")
	}
	check(t, dir, 3)
	for range 2 {
		must(t, fit(ctx, dir, 1))
		check(t, dir, 1)
	}
	n, err := openNotes(ctx, dir, 1)
	must(t, err)
	defer n.close()
	ids, err := n.column(ctx, `SELECT id FROM notes`)
	if err != nil || len(ids) != 1 {
		t.Errorf("want the one note of that time, got %q, %v", ids, err)
	}
	if _, err := os.Stat(dir + "/data/aside-3.db"); err != nil {
		t.Errorf("want the newer data put aside, got %v", err)
	}
}
