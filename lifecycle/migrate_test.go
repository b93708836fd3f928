package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/manifest"
)

// release has migrations to the versions, and a way back from those in down.
func release(schema *manifest.Schema, down string, versions ...uint64) *manifest.Release {
	r := &manifest.Release{Schema: schema}
	for _, v := range versions {
		m := manifest.Migration{Version: v, Up: []string{"up", fmt.Sprint(v)}}
		if strings.Contains(down, fmt.Sprint(v)) {
			m.Down = []string{"down", fmt.Sprint(v)}
		}
		r.Migrations = append(r.Migrations, m)
	}
	return r
}

func text(steps []Step, err error) string {
	var s []string
	for _, x := range steps {
		s = append(s, fmt.Sprintf("%s:%v→%v", x.Command[0], x.From, x.To))
	}
	var mismatch *MismatchError
	var oneWay *OneWayError
	switch {
	case errors.As(err, &oneWay):
		s = append(s, fmt.Sprintf("one way at %v", oneWay.Version))
	case errors.As(err, &mismatch):
		s = append(s, fmt.Sprintf("mismatch at %v", mismatch.Data))
	case err != nil:
		s = append(s, err.Error())
	}
	return strings.Join(s, " ")
}

func TestChain(t *testing.T) {
	schema := &manifest.Schema{Min: 3, Max: 5}
	for _, c := range []struct {
		data Data
		r    *manifest.Release
		want string
	}{
		{0, release(schema, "", 3, 5), "up:none→3 up:3→5"},
		{3, release(schema, "", 3, 5), "up:3→5"},
		{4, release(schema, "", 3, 5), "up:4→5"},
		{5, release(schema, "", 3, 5), ""},
		{6, release(schema, "", 3, 5), "mismatch at 6"},
		{2, release(schema, ""), "mismatch at 2"},
		{0, release(schema, ""), ""},
		{2, release(schema, "", 3), "up:2→3"},
		{9, release(nil, ""), ""},
		{9, release(nil, "", 3), "mismatch at 9"},
		{1, release(schema, "", 7), "up:1→7 mismatch at 7"},
	} {
		if got := text(Chain(c.data, c.r)); got != c.want {
			t.Errorf("from %v: want %q, got %q", c.data, c.want, got)
		}
	}
}

func TestWayBack(t *testing.T) {
	takes := func(min, max uint64) *manifest.Release { return release(&manifest.Schema{Min: min, Max: max}, "") }
	for _, c := range []struct {
		data, was Data
		r, to     *manifest.Release
		want      string
	}{
		{5, 2, release(nil, "345", 3, 4, 5), takes(2, 2), "down:5→4 down:4→3 down:3→2"},
		{5, 0, release(nil, "35", 3, 5), nil, "down:5→3 down:3→none"},
		{4, 2, release(nil, "345", 3, 4, 5), takes(2, 2), "down:4→3 down:3→2"},
		{2, 2, release(nil, "", 3, 4), takes(2, 2), ""},
		{5, 2, release(nil, "5", 3, 5), takes(2, 2), "one way at 3"},
		{5, 2, release(nil, "5", 3, 5), takes(2, 3), "down:5→3"},
		{5, 2, release(nil, "3", 3, 5), takes(2, 5), ""},
		{5, 2, release(nil, "", 5), &manifest.Release{}, "one way at 5"},
		{5, 2, release(nil, "", 5), nil, ""},
	} {
		if got := text(WayBack(c.data, c.was, c.r, c.to)); got != c.want {
			t.Errorf("from %v to %v: want %q, got %q", c.data, c.was, c.want, got)
		}
	}
}

// Up and back again, over whatever there is, data is what it was.
func TestThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &manifest.Release{}
		for v := uint64(0); len(r.Migrations) < 6; {
			v += rapid.Uint64Range(1, 3).Draw(t, "step")
			r.Migrations = append(r.Migrations, manifest.Migration{Version: v, Up: []string{"u"}, Down: []string{"d"}})
		}
		was := Data(rapid.Uint64Range(0, r.Migrations[5].Version).Draw(t, "was"))
		at := was
		up, err := Chain(was, r)
		for _, s := range up {
			if err != nil || s.From != at || s.To <= at {
				t.Fatalf("up from %v: %v, %v", was, up, err)
			}
			at = s.To
		}
		back, err := WayBack(at, was, r, &manifest.Release{})
		for _, s := range back {
			if s.From != at || s.To >= at {
				t.Fatalf("back from %v to %v: %v", at, was, back)
			}
			at = s.To
		}
		if err != nil || at != was || len(back) != len(up) {
			t.Fatalf("from %v: up %v, back %v, ends at %v: %v", was, up, back, at, err)
		}
	})
}

func TestData(t *testing.T) {
	for s, want := range map[string]Data{"none": 0, "7": 7, "0": 0} {
		if got, err := ParseData(s); got != want || err != nil {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "-1", "x", "1.0", "99999999999999999999", "7\n"} {
		if _, err := ParseData(s); err == nil {
			t.Errorf("%q: want an error", s)
		}
	}
	b, err := json.Marshal([]Data{0, 12})
	if err != nil || string(b) != `["none","12"]` {
		t.Fatalf("got %s, %v", b, err)
	}
	var back []Data
	if err := json.Unmarshal(b, &back); err != nil || back[0] != 0 || back[1] != 12 {
		t.Errorf("got %v, %v", back, err)
	}
	if json.Unmarshal([]byte(`["x"]`), &back) == nil || json.Unmarshal([]byte(`[7]`), &back) == nil {
		t.Error("want errors")
	}
}
