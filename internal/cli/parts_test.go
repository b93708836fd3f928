package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/client"
)

func TestParts(t *testing.T) {
	parts := []Part{{Name: "core"}, {Name: "mod", After: []string{"core"}}, {Name: "addon", After: []string{"mod"}}, {Name: "other"}}
	locked := &atomicfs.LockedError{}
	for name, tt := range map[string]struct {
		ends map[string]error
		ran  string
		code Code
	}{
		"all well":                       {nil, "core mod addon other", OK},
		"one is there":                   {map[string]error{"mod": &exit{Available}}, "core mod addon other", Available},
		"the most urgent":                {map[string]error{"core": &exit{Staged}, "mod": &exit{Security}, "other": &exit{Available}}, "core mod addon other", Security},
		"a failure stops those after it": {map[string]error{"core": errors.New("no")}, "core other", Partial},
		"only the last":                  {map[string]error{"other": locked}, "core mod addon other", Partial},
		"all, alike":                     {map[string]error{"core": client.ErrFloor, "mod": client.ErrFloor, "addon": client.ErrFloor, "other": client.ErrFloor}, "core other", expired},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			out := &Out{stdout: &stdout, stderr: &stderr, json: true}
			var ran []string
			err := out.Parts(parts, func(name string) error {
				ran = append(ran, name)
				if err := tt.ends[name]; err != nil {
					return err
				}
				return out.Done(OK, map[string]int{"changed": 1}, "%s is well", name)
			})
			if got := strings.Join(ran, " "); got != tt.ran {
				t.Errorf("ran %q, want %q", got, tt.ran)
			}
			var done *exit
			code := OK
			if errors.As(err, &done) {
				code = done.code
			}
			if code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"type":"summary","code":`) {
				t.Errorf("the last line is no summary: %s", last)
			}
			if n := strings.Count(stdout.String(), `"type":"summary"`); n != 1 {
				t.Errorf("%d summaries, want 1:\n%s", n, &stdout)
			}
			if tt.ends == nil && !strings.Contains(stdout.String(), `{"type":"result","part":"core","code":0,"changed":1}`) {
				t.Errorf("no result of a part:\n%s", &stdout)
			}
		})
	}
}
