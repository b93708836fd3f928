package lifecycle

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/treegraft-dev/treegraft/manifest"
)

func TestCheckTellsAll(t *testing.T) {
	q := &manifest.Requires{
		OS: []string{"linux", "darwin"}, Arch: []string{"amd64"}, MinOS: "6.1", Disk: 1 << 30, Memory: 2 << 30,
		Commands: []string{"psql", "tar"}, Packages: []manifest.Dependency{{Name: "openssl", Version: "3.0"}, {Name: "tzdata"}},
		Installed: "2.0.0", BelowNext: "3.0.0",
	}
	good := Host{OS: "linux", Arch: "amd64", Version: "6.1.0-13-amd64", Disk: 1 << 30, Memory: 2 << 30, Commands: []string{"tar", "psql"},
		Packages: map[string]string{"openssl": "1:3.0.11-1~deb12u2", "tzdata": "2024a"}, Installed: "2.9.1"}
	if got := Check(q, good); len(got) != 0 {
		t.Errorf("a host that has it all: got %v", got)
	}
	if got := Check(nil, Host{}); len(got) != 0 {
		t.Errorf("nothing required: got %v", got)
	}
	var whats []string
	for _, u := range Check(q, Host{OS: "windows", Installed: "1.0.0"}) {
		whats = append(whats, u.What)
	}
	want := []string{"operating system", "architecture", "version of the system", "free disk space", "memory",
		"command psql", "command tar", "package openssl", "package tzdata", "installed release"}
	if !slices.Equal(whats, want) {
		t.Errorf("a host that has nothing:\nwant %q\ngot  %q", want, whats)
	}
	good.Installed = "3.0.0"
	if got := Check(q, good); len(got) != 1 || !strings.Contains(got[0].String(), "installed release: want one before 3.0.0, got 3.0.0") {
		t.Errorf("too new: got %v", got)
	}
}

func TestComparePackages(t *testing.T) {
	rising := []string{"1.0~rc1", "1.0", "1.0-1", "1.0-2", "1.0-10", "1.0a", "1.0.1", "1.9", "1.10", "2", "1:0.5"}
	for i, a := range rising {
		for j, b := range rising {
			if got, want := comparePackages(a, b), compare(i, j); got != want && !(a == "1.0a" || b == "1.0a") {
				t.Errorf("%s and %s: want %d, got %d", a, b, want, got)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringMatching(`([0-9]:)?[0-9a-z.~+-]{0,12}`)
		a, b := v.Draw(t, "a"), v.Draw(t, "b")
		if comparePackages(a, b) != -comparePackages(b, a) || comparePackages(a, a) != 0 {
			t.Fatalf("%q and %q have no order", a, b)
		}
	})
}

func compare(i, j int) int {
	switch {
	case i < j:
		return -1
	case i > j:
		return 1
	}
	return 0
}
