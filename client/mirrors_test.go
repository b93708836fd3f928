package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/treegraft-dev/treegraft/store"
)

func TestNewestFirst(t *testing.T) {
	bad := errors.New("down")
	answers := []answer{{version: 2}, {version: 9, err: bad}, {version: 5}, {version: 1}, {err: bad}, {version: 5, b: []byte("later")}}
	newestFirst(answers)
	var got []uint64
	for _, a := range answers {
		got = append(got, a.version)
	}
	if !slices.Equal(got, []uint64{5, 5, 2, 1, 9, 0}) || answers[0].b != nil {
		t.Errorf("got %v", got)
	}
}

// shelf is a store of one file, or of none.
type shelf struct {
	content string
	asked   int
}

func (s *shelf) Fetch(_ context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	s.asked++
	if s.content == "" {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader([]byte(s.content))), nil
}

// Whoever has answered is asked first from then on, and a wrong answer is asked
// for elsewhere, once at each.
func TestMirrorsInTurn(t *testing.T) {
	empty, wrong, good := &shelf{}, &shelf{content: "wrong"}, &shelf{content: "good"}
	m := &mirrors{order: []store.Fetcher{empty, wrong, good}}
	r := &remote{fetch: &counter{Fetcher: m}, mirrors: m}
	isGood := func(b []byte) error {
		if string(b) != "good" {
			return errors.New("not good")
		}
		return nil
	}
	for range 3 {
		if b, err := r.verified(t.Context(), "f", 10, isGood); err != nil || string(b) != "good" {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	if empty.asked != 1 || wrong.asked != 1 || good.asked != 3 {
		t.Errorf("asked %d, %d and %d times; want 1, 1 and 3", empty.asked, wrong.asked, good.asked)
	}
	good.content = "no more"
	if _, err := r.verified(t.Context(), "f", 10, isGood); err == nil {
		t.Error("nobody has it: want an error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := good.asked
	if _, err := r.verified(ctx, "f", 10, isGood); err == nil || good.asked > before+1 {
		t.Errorf("cancelled: got %v after %d tries", err, good.asked-before)
	}
}
