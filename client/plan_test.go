package client

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/atomicfs"
	"github.com/treegraft-dev/treegraft/delta"
	"github.com/treegraft-dev/treegraft/lifecycle"
	"github.com/treegraft-dev/treegraft/manifest"
)

func file(path, content string) manifest.Entry {
	return manifest.Entry{Path: path, Mode: 0o644, Size: int64(len(content)), Digest: manifest.Sum([]byte(content))}
}

func dir(path string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.Dir, Mode: 0o755}
}

func link(path, to string) manifest.Entry {
	return manifest.Entry{Path: path, Kind: manifest.Symlink, Link: to}
}

func list(e ...manifest.Entry) *manifest.Manifest { return &manifest.Manifest{Entries: e} }

func ref(content string) delta.Ref {
	return delta.Ref{Digest: manifest.Sum([]byte(content)), Size: int64(len(content))}
}

// TestDecide checks the choice among the ways in which a path can get its new
// content: what is cheapest of what is possible.
func TestDecide(t *testing.T) {
	canonical := manifest.Sum([]byte("installed manifest"))
	head := &delta.Head{
		Old: []delta.Ref{{Digest: canonical}, ref("old"), ref("gone")},
		Frames: []delta.Frame{
			{Old: []int{0}, New: []delta.Ref{ref("new manifest")}},
			{Old: []int{1}, New: []delta.Ref{ref("new")}},
			{Old: []int{1, 2}, New: []delta.Ref{ref("needs gone")}},
			{New: []delta.Ref{ref("full")}},
		},
	}
	tests := []struct {
		name     string
		from, to *manifest.Manifest
		bad      string // path of the old tree that is modified or missing
		inPlace  string
		noPack   bool
		want     map[string]Action
	}{
		{"install", nil, list(dir("d"), file("f", "new"), link("l", "f")), "", "", true,
			map[string]Action{"d": Make, "f": Get, "l": Make}},
		{"install over the same file", nil, list(file("f", "new")), "", "f", true, map[string]Action{"f": Make}},
		{"nothing", list(file("f", "old")), list(file("f", "old")), "", "", false, map[string]Action{}},
		{"folder that stays", list(dir("d")), list(dir("d")), "", "", false, map[string]Action{}},
		{"patch", list(file("f", "old")), list(file("f", "new")), "", "", false, map[string]Action{"f": Patch}},
		{"patch without pack", list(file("f", "old")), list(file("f", "new")), "", "", true, map[string]Action{"f": Get}},
		{"patch from another path", list(file("a", "old")), list(file("b", "new")), "", "", false,
			map[string]Action{"a": Delete, "b": Patch}},
		{"old file modified", list(file("f", "old")), list(file("f", "new")), "f", "", false, map[string]Action{"f": Get}},
		{"old file modified, but its content is elsewhere", list(file("f", "old"), file("g", "old")), list(file("f", "new"), file("g", "old")),
			"f", "", false, map[string]Action{"f": Patch}},
		{"frame that needs what is gone", list(file("f", "old")), list(file("f", "needs gone")), "", "", false,
			map[string]Action{"f": Get}},
		{"full content in the pack", list(file("f", "old")), list(file("f", "old"), file("g", "full")), "", "", false,
			map[string]Action{"g": Patch}},
		{"rename", list(file("f", "same")), list(file("g", "same")), "", "", false, map[string]Action{"f": Delete, "g": Copy}},
		{"swap", list(file("a", "1"), file("b", "2")), list(file("a", "2"), file("b", "1")), "", "", false,
			map[string]Action{"a": Copy, "b": Copy}},
		{"copy goes before patch", list(file("f", "old"), file("g", "new")), list(file("f", "new"), file("g", "new")), "", "", false,
			map[string]Action{"f": Copy}},
		{"mode", list(file("f", "old")), list(executable(file("f", "old"))), "", "", false, map[string]Action{"f": Make}},
		{"mode of a modified file", list(file("f", "old")), list(executable(file("f", "old"))), "f", "", false,
			map[string]Action{"f": Get}},
		{"file becomes folder", list(file("f", "old")), list(file("f/g", "old")), "", "", false,
			map[string]Action{"f": Delete, "f/g": Copy}},
		{"file becomes symlink", list(file("f", "old")), list(link("f", "g")), "", "", false, map[string]Action{"f": Make}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changes := treeChanges(test.from, test.to)
			l := &local{bad: map[string]bool{test.bad: true}, inPlace: map[string]bool{test.inPlace: true},
				content: map[manifest.Digest]string{}}
			for _, e := range entries(test.from) {
				if e.Kind == manifest.File && e.Path != test.bad {
					l.content[e.Digest] = e.Path
				}
			}
			h := head
			if test.noPack {
				h = nil
			}
			got := map[string]Action{}
			for _, s := range decide(changes, l, h, canonical) {
				got[s.Path] = s.Action
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func executable(e manifest.Entry) manifest.Entry {
	e.Mode = 0o755
	return e
}

// TestPrice checks what a plan says it costs.
func TestPrice(t *testing.T) {
	to := list(file("copied", "12345"), file("got", "1234567"), file("kept", "123"), file("patched", "12345678"))
	p := &Plan{job: job{
		to:   to,
		pack: &manifest.Pack{Size: 100},
		head: &delta.Head{Frames: []delta.Frame{
			{New: []delta.Ref{ref("manifest")}, Ref: delta.Ref{Size: 90}},
			{New: []delta.Ref{ref("12345678")}, Ref: delta.Ref{Size: 6}},
		}},
		objects: manifest.Objects{manifest.Sum([]byte("1234567")): {Size: 4}},
	}}
	for _, s := range []Step{{Path: "copied", Action: Copy}, {Path: "got", Action: Get}, {Path: "patched", Action: Patch}} {
		e := to.Lookup(s.Path)
		s.Size, s.Digest = e.Size, e.Digest
		p.Steps = append(p.Steps, s)
	}
	p.price(30, func(manifest.Object) bool { return false })
	if p.Content != 23 || p.Download != 74 || p.Fetched != 30 || p.Reuse != 23-7-8+(8-6) || p.Space != 3*blockSize+74 {
		t.Errorf("got content %d, download %d, fetched %d, reuse %d, space %d", p.Content, p.Download, p.Fetched, p.Reuse, p.Space)
	}
	if diff := cmp.Diff([]int{1}, p.frames()); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	make := func(version string, seq uint64, platform string, channels ...string) release {
		return release{Listing: manifest.Listing{Product: "app", Version: version, Sequence: seq, Platform: platform, Channels: channels}}
	}
	all := []release{
		make("1.0.0", 1, "linux-amd64", "stable"),
		make("1.1.0", 2, "linux-amd64", "beta", "stable"),
		make("1.1.0", 2, "any", "stable"),
		make("1.1.1", 3, "windows-amd64", "stable"),
		make("2.0.0", 4, "linux-amd64", "beta"),
		make("1.2.0", 5, "any", "docs"),
		make("3.0.0", 6, "any", "bad", "worse"),
		make("3.1.0", 7, "any", "bad", "worse"),
		make("3.2.0", 8, "any", "bad"),
	}
	all[7].Withdrawn = "it eats files"
	all[8].Withdrawn, all[8].Retreat = "it eats files", true
	installed := &all[1].Listing
	have := &manifest.Release{Version: installed.Version, Sequence: installed.Sequence}
	tests := []struct {
		name string
		wish lifecycle.Wish
		want string // version and platform, "" for none
		err  error
	}{
		{"head of the channel", lifecycle.Wish{Channel: "stable"}, "1.1.0 linux-amd64", nil},
		{"head for another platform falls to any", lifecycle.Wish{Channel: "stable", Platform: "plan9-arm"}, "1.1.0 any", nil},
		{"head of another channel", lifecycle.Wish{Channel: "beta"}, "2.0.0 linux-amd64", nil},
		{"any platform fits all", lifecycle.Wish{Channel: "docs"}, "1.2.0 any", nil},
		{"a version", lifecycle.Wish{Channel: "stable", Version: "1.0.0"}, "1.0.0 linux-amd64", nil},
		{"a version of another channel", lifecycle.Wish{Channel: "stable", Version: "2.0.0"}, "", ErrNoRelease},
		{"an empty channel", lifecycle.Wish{Channel: "nightly"}, "", ErrNoRelease},
		{"nothing newer", lifecycle.Wish{Channel: "docs", Installed: &manifest.Release{Sequence: 9}}, "", nil},
		{"the installed one", lifecycle.Wish{Channel: "stable", Installed: have}, "1.1.0 linux-amd64", nil},
		{"downgrade", lifecycle.Wish{Channel: "stable", Version: "1.0.0", Installed: have}, "", ErrDowngrade},
		{"downgrade, allowed", lifecycle.Wish{Channel: "stable", Version: "1.0.0", Installed: have, Downgrade: true}, "1.0.0 linux-amd64", nil},
		{"withdrawn head", lifecycle.Wish{Channel: "bad"}, "3.0.0 any", nil},
		{"withdrawn version", lifecycle.Wish{Channel: "bad", Version: "3.1.0"}, "", &WithdrawnError{Version: "3.1.0", Reason: "it eats files"}},
		{"installed and withdrawn", lifecycle.Wish{Channel: "worse", Installed: &manifest.Release{Version: "3.1.0", Sequence: 7, Platform: "any"}}, "", nil},
		{"installed, withdrawn, sent back", lifecycle.Wish{Channel: "bad", Installed: &manifest.Release{Version: "3.2.0", Sequence: 8, Platform: "any"}}, "3.0.0 any", nil},
		{"sent back below the floor", lifecycle.Wish{Channel: "bad", Floor: 7, Installed: &manifest.Release{Version: "3.2.0", Sequence: 8, Platform: "any"}}, "", ErrFloor},
		{"sent back, but to a version by name", lifecycle.Wish{Channel: "bad", Version: "3.0.0", Installed: &manifest.Release{Version: "3.2.0", Sequence: 8, Platform: "any"}}, "", ErrDowngrade},
		{"below the floor", lifecycle.Wish{Channel: "stable", Floor: 3}, "", ErrFloor},
		{"at the floor", lifecycle.Wish{Channel: "stable", Floor: 2}, "1.1.0 linux-amd64", nil},
		{"below the floor, allowed", lifecycle.Wish{Channel: "stable", Floor: 3, Downgrade: true}, "1.1.0 linux-amd64", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.wish.Platform == "" {
				test.wish.Platform = "linux-amd64"
			}
			c, err := pick(all, test.wish)
			if !errors.Is(err, test.err) && !reflect.DeepEqual(err, test.err) {
				t.Fatalf("error: want %v, got %v", test.err, err)
			}
			got := ""
			if c.Head != nil {
				got = c.Head.Version + " " + c.Head.Platform
			}
			if got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}

func TestUrgency(t *testing.T) {
	make := func(seq uint64, s manifest.Severity, platform, channel string) release {
		return release{Listing: manifest.Listing{Sequence: seq, Severity: s, Platform: platform, Channels: []string{channel}}}
	}
	all := []release{
		make(1, manifest.Critical, "any", "stable"), // installed
		make(2, manifest.Security, "any", "stable"),
		make(3, manifest.Critical, "any", "beta"),
		make(4, manifest.Critical, "plan9-arm", "stable"),
		make(5, manifest.Optional, "any", "stable"),
		make(6, manifest.Critical, "any", "stable"), // after head
	}
	all[4].Version = "1.5.0"
	w := lifecycle.Wish{Channel: "stable", Platform: "any", Version: "1.5.0", Installed: &manifest.Release{Sequence: 1}}
	if got, err := pick(all, w); err != nil || got.Severity != manifest.Security {
		t.Errorf("want %q, got %+v, %v", manifest.Security, got, err)
	}
}

// TestTreeChangesKeepFolders checks that a listed folder that does not change is
// named all the same: it would go with its last file otherwise.
func TestTreeChangesKeepFolders(t *testing.T) {
	got := treeChanges(list(dir("d"), file("d/f", "1")), list(dir("d")))
	kept := &atomicfs.Node{Kind: atomicfs.Dir, Mode: 0o755}
	want := []atomicfs.Change{
		{Path: "d/f", Old: &atomicfs.Node{Kind: atomicfs.File, Mode: 0o644, Size: 1, Digest: manifest.Sum([]byte("1"))}},
		{Path: "d", Old: kept, New: kept},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestTreeChangesImpliedFolders checks folders that are listed in one manifest
// and implied by their content in the other: they neither come nor go.
func TestTreeChangesImpliedFolders(t *testing.T) {
	private := dir("d")
	private.Mode = 0o700
	listed, bare := list(private, file("d/f", "1")), list(file("d/f", "1"))
	at := func(changes []atomicfs.Change) (old, new *atomicfs.Node) {
		for _, c := range changes {
			if c.Path == "d" {
				return c.Old, c.New
			}
		}
		return nil, nil
	}
	if old, new := at(treeChanges(listed, bare)); old == nil || new == nil || old.Mode != 0o700 || new.Mode != 0o755 {
		t.Errorf("listed to implied: got %+v, %+v", old, new)
	}
	if old, new := at(treeChanges(bare, listed)); old == nil || new == nil || old.Mode != 0o755 || new.Mode != 0o700 {
		t.Errorf("implied to listed: got %+v, %+v", old, new)
	}
	if old, new := at(treeChanges(list(dir("d")), bare)); old == nil || new == nil || *old != *new {
		t.Errorf("empty to filled: got %+v, %+v", old, new)
	}
}

// TestDecideCoversEveryChange checks on random trees that a plan has exactly
// one step for each path that differs, and that steps are in order.
func TestDecideCoversEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := randomTree(t, "from"), randomTree(t, "to")
		l := &local{bad: map[string]bool{}, inPlace: map[string]bool{}, content: map[manifest.Digest]string{}}
		for _, e := range from.Entries {
			l.content[e.Digest] = e.Path
		}
		steps := decide(treeChanges(from, to), l, nil, manifest.Digest{})
		want := manifest.Compare(from.Entries, to.Entries)
		if len(steps) != len(want) {
			t.Fatalf("want %d steps, got %d", len(want), len(steps))
		}
		for i := range want {
			if steps[i].Path != want[i].Path {
				t.Fatalf("step %d: want %s, got %s", i, want[i].Path, steps[i].Path)
			}
			if (steps[i].Action == Delete) != (want[i].To == nil) {
				t.Fatalf("%s: got %s", steps[i].Path, steps[i].Action)
			}
		}
	})
}

func randomTree(t *rapid.T, label string) *manifest.Manifest {
	m := &manifest.Manifest{}
	for _, path := range []string{"a", "b", "c/d", "c/e", "f"} {
		if content := rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(t, label+path); content != "" {
			m.Entries = append(m.Entries, file(path, content))
		}
	}
	return m
}
