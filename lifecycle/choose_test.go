package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/manifest"
)

// listings makes releases of one word each: a version, then properties after
// slashes. Their sequences are their places, from 1.
func listings(text string) (all []manifest.Listing) {
	for i, word := range strings.Fields(text) {
		parts := strings.Split(word, "/")
		l := manifest.Listing{Product: "app", Version: parts[0] + ".0.0", Sequence: uint64(i + 1), Platform: manifest.AnyPlatform,
			Channels: []string{"stable"}, Size: 1, Digest: manifest.Sum([]byte(word + fmt.Sprint(i)))}
		for _, p := range parts[1:] {
			switch name, value, _ := strings.Cut(p, "="); name {
			case "barrier":
				l.Barrier = true
			case "strict":
				l.Strict = true
			case "unstable":
				l.Unstable = true
			case "withdrawn":
				l.Withdrawn = "bad"
			case "retreat":
				l.Withdrawn, l.Retreat = "bad", true
			case "recommended":
				l.Recommended = []string{"stable"}
			case "beta":
				l.Channels = []string{"beta"}
			case "halted":
				l.Rollout = map[string]manifest.Rollout{"stable": {Percent: 100, Halted: true}}
			case "none":
				l.Rollout = map[string]manifest.Rollout{"stable": {}}
			case "all":
				l.Rollout = map[string]manifest.Rollout{"stable": {Percent: 100}}
			case "since":
				l.CriticalSince = value + ".0.0"
			case "linux":
				l.Platform = "linux-amd64"
			case "windows":
				l.Platform = "windows-amd64"
			default:
				l.Severity = manifest.Severity(name)
			}
		}
		all = append(all, l)
	}
	return all
}

// at returns the facts of a release, or nil.
func at(all []manifest.Listing, version string) *manifest.Release {
	for _, l := range all {
		if l.Version == version+".0.0" {
			return &manifest.Release{Product: "app", Version: l.Version, Sequence: l.Sequence, Platform: l.Platform}
		}
	}
	return nil
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		releases, installed string
		wish                Wish
		want                string // versions of the route, or what the error says
		passed              string // versions
	}{
		{"1", "", Wish{}, "1", ""},
		{"1 2 3", "1", Wish{}, "3", ""},
		{"1 2 3", "3", Wish{}, "3", ""}, // the caller sees that it is there
		{"1 2 3", "", Wish{Version: "2.0.0"}, "2", ""},
		{"1 2 3", "3", Wish{Version: "2.0.0"}, "error: older than the installed", ""},
		{"1 2 3", "3", Wish{Version: "2.0.0", Downgrade: true}, "2", ""},
		{"1 2 3", "3", Wish{Version: "9.0.0"}, "error: no such release", ""},
		{"1/beta", "", Wish{}, "error: no such release", ""},
		{"1/windows 2/linux", "", Wish{}, "2", ""},
		{"1 2/windows", "", Wish{}, "1", ""},

		// barriers and strict releases
		{"1 2 3/barrier 4 5/barrier 6", "1", Wish{}, "3 5 6", ""},
		{"1 2 3/barrier 4 5/barrier 6", "3", Wish{}, "5 6", ""},
		{"1 2 3/barrier 4 5/barrier 6", "5", Wish{}, "6", ""},
		{"1 2 3/barrier 4 5/barrier", "", Wish{}, "5", ""},
		{"1 2 3/barrier 4 5/barrier 6", "1", Wish{Version: "4.0.0"}, "3 4", ""},
		{"1 2 3/barrier/withdrawn 4", "1", Wish{}, "4", ""},
		{"1 2 3/strict 4", "1", Wish{}, "4", ""},
		{"1 2 3 4/strict", "1", Wish{}, "3 4", ""},
		{"1 2/strict 3/strict 4/strict", "1", Wish{}, "2 3 4", ""},
		{"1 2/barrier 3 4 5/strict", "1", Wish{}, "2 4 5", ""},
		{"1 2 3/withdrawn 4/strict", "1", Wish{}, "2 4", ""},
		{"1 2 3/withdrawn 4/strict", "3", Wish{}, "4", ""},
		{"1 2/barrier 3", "3", Wish{Version: "1.0.0", Downgrade: true}, "1", ""},

		// rollouts
		{"1 2/none", "1", Wish{}, "1", "2"},
		{"1 2/all", "1", Wish{}, "2", ""},
		{"1 2/none 3", "1", Wish{}, "3", ""},
		{"1 2/none", "1", Wish{Version: "2.0.0"}, "2", ""},
		{"1 2/none/critical", "1", Wish{}, "2", ""},
		{"1 2/none/since=2", "1", Wish{}, "2", ""},
		{"1 2/none/since=1", "1", Wish{}, "1", "2"},
		{"1 2/halted/critical", "1", Wish{}, "1", "2"},
		{"1 2/halted", "1", Wish{Version: "2.0.0"}, "2", ""},
		{"1 2/halted", "2", Wish{}, "", ""},
		{"1/none", "", Wish{}, "error: its rollout is at 0 %", "1"},
		{"1 2/none/barrier 3", "1", Wish{}, "1", "3 2"},
		{"1 2/none/barrier 3", "2", Wish{}, "3", ""},
		{"1 2/none/barrier 3", "", Wish{}, "3", ""},
		{"1 2/none 3/strict", "1", Wish{}, "1", "3 2"},
		{"1 2/none/barrier 3", "1", Wish{Version: "3.0.0"}, "2 3", ""},

		// unstable, withdrawn, rejected
		{"1 2/unstable", "1", Wish{}, "1", "2"},
		{"1 2/unstable", "1", Wish{Unstable: true}, "2", ""},
		{"1 2/unstable", "1", Wish{Version: "2.0.0"}, "2", ""},
		{"1 2/withdrawn", "2", Wish{}, "", ""},
		{"1 2/retreat", "2", Wish{}, "1", ""},
		{"1/none 2/retreat", "2", Wish{}, "", ""},
		{"1 2/withdrawn", "1", Wish{Version: "2.0.0"}, "error: was withdrawn: bad", ""},
		{"1/withdrawn", "1", Wish{}, "error: no such release", ""},

		// recommended
		{"1 2/recommended 3", "1", Wish{}, "2", "3"},
		{"1 2/recommended 3", "2", Wish{}, "2", "3"},
		{"1 2/recommended 3", "", Wish{}, "2", "3"},
		{"1 2/recommended 3 4", "3", Wish{}, "4", ""},
		{"1 2/recommended 3 4", "3", Wish{TooNew: HoldTooNew}, "", "4"},
		{"1 2/recommended 3 4", "3", Wish{TooNew: ReturnTooNew}, "2", "4"},
		{"1 2/recommended 3 4", "1", Wish{TooNew: ReturnTooNew}, "2", "4 3"},
		{"1 2/recommended/unstable 3 4", "3", Wish{TooNew: ReturnTooNew}, "", "4"},
		{"1 2/recommended/withdrawn 3", "1", Wish{}, "3", ""},
		{"1 2/recommended 3", "1", Wish{Version: "3.0.0"}, "3", ""},

		// floor
		{"1 2", "", Wish{Floor: 3}, "error: below the floor", ""},
		{"1 2/unstable", "", Wish{Floor: 2}, "error: below the floor", "2"},
		{"1 2/unstable", "2", Wish{Floor: 2}, "", ""},
		{"1 2", "", Wish{Version: "1.0.0", Floor: 2}, "error: below the floor", ""},
		{"1 2", "", Wish{Version: "1.0.0", Floor: 2, Downgrade: true}, "1", ""},
	} {
		t.Run(c.releases+" at "+c.installed, func(t *testing.T) {
			all := listings(c.releases)
			w := c.wish
			w.Channel, w.Platform, w.Installed = "stable", "linux-amd64", at(all, c.installed)
			choice, err := Choose(all, w)
			got := []string{}
			for _, l := range choice.Route {
				got = append(got, strings.TrimSuffix(l.Version, ".0.0"))
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = "error: " + err.Error()
			}
			if why, isError := strings.CutPrefix(c.want, "error: "); text != c.want && !(isError && err != nil && strings.Contains(text, why)) {
				t.Errorf("with %+v: want route %q, got %q", c.wish, c.want, text)
			}
			passed := []string{}
			for _, p := range choice.Passed {
				passed = append(passed, strings.TrimSuffix(p.Version, ".0.0"))
			}
			if got := strings.Join(passed, " "); got != c.passed {
				t.Errorf("with %+v: want passed %q, got %v", c.wish, c.passed, choice.Passed)
			}
		})
	}
}

func TestChooseRejected(t *testing.T) {
	all := listings("1 2/barrier 3")
	w := Wish{Channel: "stable", Platform: "any", Installed: at(all, "1"), Rejected: map[manifest.Digest]string{all[1].Digest: "it smoked"}}
	c, err := Choose(all, w)
	if err != nil || c.Head == nil || c.Head.Version != "1.0.0" || len(c.Passed) != 2 ||
		c.Passed[0] != (Passed{"3.0.0", "2.0.0 comes before it: it has failed here: it smoked"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	w.Version = "3.0.0"
	if c, err = Choose(all, w); err != nil || len(c.Route) != 2 {
		t.Errorf("by version: got %+v, %v", c, err)
	}
}

func TestChoiceTells(t *testing.T) {
	for _, c := range []struct {
		releases, installed string
		severity            manifest.Severity
		recommended         string
		tooNew              bool
	}{
		{"1 2", "1", "", "", false},
		{"1 2/security 3", "1", "security", "", false},
		{"1 2/security 3/critical", "2", "critical", "", false},
		{"1 2/security 3", "2", "", "", false},
		{"1 2/security/withdrawn 3", "1", "security", "", false},
		{"1 2/since=2 3", "1", "critical", "", false},
		{"1 2/since=2 3", "2", "", "", false},
		{"1 2/critical/beta 3/recommended", "1", "recommended", "", false},
		{"1 2/recommended=x 3", "3", "", "2.0.0", true},
	} {
		all := listings(strings.ReplaceAll(c.releases, "3/recommended", "3/Recommended"))
		for i := range all {
			all[i].Severity = manifest.Severity(strings.ToLower(string(all[i].Severity)))
		}
		choice, err := Choose(all, Wish{Channel: "stable", Platform: "any", Installed: at(all, c.installed)})
		if err != nil || choice.Severity != c.severity || choice.Recommended != c.recommended || choice.TooNew != c.tooNew {
			t.Errorf("%s at %s: got %+v, %v", c.releases, c.installed, choice, err)
		}
	}
}

func TestChooseErrors(t *testing.T) {
	all := listings("1 2/withdrawn")
	_, err := Choose(all, Wish{Channel: "stable", Platform: "any", Version: "2.0.0"})
	var withdrawn *WithdrawnError
	if !errors.As(err, &withdrawn) || withdrawn.Version != "2.0.0" || withdrawn.Reason != "bad" {
		t.Errorf("got %v", err)
	}
	for _, word := range []string{"", "warn", "hold", "return"} {
		if got, err := ParseTooNew(word); err != nil || string(got) != word {
			t.Errorf("%q: got %q, %v", word, got, err)
		}
	}
	if _, err := ParseTooNew("panic"); err == nil {
		t.Error("panic is no policy")
	}
}

// TestPlatforms wants a release for the platform taken before one for any.
func TestPlatforms(t *testing.T) {
	all := listings("1 2 2/linux 3/windows")
	all[2].Sequence = all[1].Sequence
	for platform, want := range map[string]string{"linux-amd64": "linux-amd64", "any": "any", "windows-amd64": "windows-amd64"} {
		c, err := Choose(all, Wish{Channel: "stable", Platform: platform})
		if err != nil || c.Head.Platform != want {
			t.Errorf("for %s: got %+v, %v", platform, c.Head, err)
		}
	}
	all = listings("1/linux 1/any=x") // published for any later: its sequence is higher
	all[1].Severity = ""
	c, err := Choose(all, Wish{Channel: "stable", Platform: "linux-amd64", Version: "1.0.0"})
	if err != nil || c.Head.Sequence != 2 {
		t.Errorf("got %+v, %v", c.Head, err)
	}
}
