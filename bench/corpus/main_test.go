package main

import (
	"testing"

	"github.com/treegraft-dev/treegraft/bench/internal/corpus"
)

func TestChoose(t *testing.T) {
	all := []corpus.Release{{Name: "a", Version: "1"}, {Name: "a", Version: "2"}, {Name: "b", Version: "1"}}
	for _, c := range []struct {
		names []string
		want  []corpus.Release
	}{
		{nil, all},
		{[]string{"a"}, all[:2]},
		{[]string{"a@2"}, all[1:2]},
		{[]string{"b", "a@1"}, []corpus.Release{all[2], all[0]}},
	} {
		got, err := choose(all, c.names)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%v: want %v, got %v, %v", c.names, c.want, got, err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v: want %v, got %v", c.names, c.want, got)
			}
		}
	}
	for _, names := range [][]string{{"c"}, {"a", "a@3"}, {""}} {
		if got, err := choose(all, names); err == nil {
			t.Errorf("%q: want an error, got %v", names, got)
		}
	}
}
