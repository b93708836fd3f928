package client

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// TestBrokenRepository flips one bit in each kind of file. An update then takes
// another way or refuses; the tree is never wrong.
func TestBrokenRepository(t *testing.T) {
	treetest.NotRacing(t)
	one, two := releases()
	three := maps.Clone(two)
	three["bin/app"] += "the end\n"
	tests := []struct {
		name, files string
		at          int    // offset; negative: from the end; 0: the middle
		wantErr     []any  // pointers to typed errors, any of them; nil: the update succeeds
		wantNote    string // in an event
		fallback    bool
	}{
		{name: "pack frame", files: "packs/app/any/1.0.0-1.2.0*", at: -40, fallback: true},
		{name: "pack head", files: "packs/app/any/1.0.0-1.2.0*", at: 20, wantNote: "pack cannot be used"},
		{name: "index", files: "indexes/app/1.2.0/*", wantErr: []any{new(*trust.ContentError)}},
		{name: "stored manifest, not needed", files: "manifests/app/1.2.0/*"},
		{name: "objects, not needed", files: "objects/??/*"},
		{name: "timestamp, names", files: "metadata/timestamp.json", at: 2, wantErr: []any{new(*trust.FormatError)}},
		{name: "timestamp, signature", files: "metadata/timestamp.json", at: 120, wantErr: []any{new(*trust.SignatureError), new(*trust.FormatError)}},
		{name: "snapshot", files: "metadata/4.snapshot.json", wantErr: []any{new(*trust.ContentError)}},
		{name: "product role", files: "metadata/3.app.json", wantErr: []any{new(*trust.ContentError)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, dir := newPair(t)
			r.publish("1.2.0", three)
			r.flip(test.files, test.at)
			var notes []string
			c := r.with(Options{Dir: dir, Repository: r.dir, Events: func(e Event) { notes = append(notes, e.Note) }})
			res, err := c.Update(t.Context(), UpdateOptions{})
			if test.wantErr != nil {
				if !slices.ContainsFunc(test.wantErr, func(want any) bool { return errors.As(err, want) }) {
					t.Fatalf("got %v", err)
				}
				wantTree(t, dir, one)
				return
			}
			check(t, err)
			wantTree(t, dir, three)
			if test.fallback != (len(res.Fallbacks) > 0) {
				t.Errorf("fallbacks: got %v", res.Fallbacks)
			}
			if got := strings.Join(notes, "\n"); !strings.Contains(got, test.wantNote) {
				t.Errorf("notes: got %q", got)
			}
		})
	}
}

// TestBrokenObjects breaks what an install needs, where there is no other way.
func TestBrokenObjects(t *testing.T) {
	for _, files := range []string{"objects/??/*", "objects/lists/*", "manifests/app/1.1.0/*"} {
		t.Run(files, func(t *testing.T) {
			r := newRepo(t)
			_, two := releases()
			r.publish("1.1.0", two)
			r.flip(files, 0)
			dir := t.TempDir()
			_, err := r.client(dir).Install(t.Context(), UpdateOptions{})
			var mismatch *store.MismatchError
			var content *trust.ContentError
			if !errors.As(err, &mismatch) && !errors.As(err, &content) {
				t.Fatalf("error: got %v", err)
			}
			wantTree(t, dir, nil)
		})
	}
}
