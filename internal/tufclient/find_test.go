package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/treegraft-dev/treegraft/trust"
)

// edge is a delegation. Paths default to all.
type edge struct {
	by, role    string
	terminating bool
	paths       []string
}

func (r *repo) delegateAll(edges []edge) {
	changed := map[string]bool{}
	var order []string
	for _, e := range edges {
		if e.paths == nil {
			e.paths = []string{"*"}
		}
		r.delegate(e.by, e.role, e.terminating, e.paths...)
		for _, role := range []string{e.role, e.by} {
			if !changed[role] {
				changed[role] = true
				order = append(order, role)
			}
		}
	}
	r.publish(order...)
	r.publish("snapshot", "timestamp")
}

func TestOrderOfDelegations(t *testing.T) {
	py := []string{"*.py"}
	for name, tt := range map[string]struct {
		edges []edge
		want  string
	}{
		"one":                    {[]edge{{by: "targets", role: "A"}}, "A"},
		"two":                    {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}}, "A B"},
		"two levels":             {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "B", role: "C"}}, "A B C"},
		"depth first":            {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "A", role: "C"}, {by: "A", role: "D"}}, "A C D B"},
		"three levels":           {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "A", role: "C"}, {by: "C", role: "D"}}, "A C D B"},
		"terminating":            {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {"A", "C", true, nil}, {by: "A", role: "D"}}, "A C"},
		"terminating above":      {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {"A", "C", true, nil}, {by: "C", role: "D"}}, "A C D"},
		"other paths":            {[]edge{{"targets", "A", false, py}, {by: "targets", role: "B"}, {by: "A", role: "C"}}, "B"},
		"other paths below":      {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {"A", "C", false, py}, {by: "C", role: "D"}}, "A B"},
		"circle":                 {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "B", role: "C"}, {by: "C", role: "D"}, {by: "D", role: "B"}}, "A B C D"},
		"two ways to a role":     {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "B", role: "C"}, {by: "A", role: "C"}}, "A C B"},
		"the second of two ways": {[]edge{{by: "targets", role: "A"}, {by: "targets", role: "B"}, {by: "B", role: "C"}, {"A", "C", false, py}}, "A B C"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.init()
			r.delegateAll(tt.edges)
			r.download("missing", false)
			want := "2.root timestamp 2.snapshot 2.targets"
			for _, role := range strings.Fields(tt.want) {
				want += " 1." + role
			}
			r.wantRequests(want)
			r.download("missing", false)
			r.wantRequests("2.root timestamp") // the rest is in the cache
		})
	}
}

func TestChainThatNeverEnds(t *testing.T) {
	r := newRepo(t)
	r.init()
	by := "targets"
	var edges []edge
	for i := range 40 {
		role := fmt.Sprintf("role%d", i)
		edges = append(edges, edge{by: by, role: role})
		by = role
	}
	r.delegateAll(edges)
	r.download("missing", false)
	if got := len(strings.Fields(r.requests())); got != 4+31 {
		t.Errorf("%d requests, want 4 and 31 roles", got)
	}
}

func TestFindTargets(t *testing.T) {
	for name, roles := range map[string]string{
		"targetfile":          "",
		"README.md":           "A",
		"releases/x/x_v1":     "B C",
		"releases/y/y_v1.zip": "B D",
		"releases/z/z_v1.zip": "-B", // D signs it, and may not
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.init()
			r.artifact("targets", "targetfile", "of targets")
			edges := []edge{
				{"targets", "A", false, []string{"*.doc", "*.md"}}, {"targets", "B", false, []string{"releases/*/*"}},
				{"B", "C", false, []string{"releases/x/*"}}, {"B", "D", false, []string{"releases/y/*.zip"}},
			}
			r.delegateAll(edges)
			r.artifact("A", "README.md", "of A")
			r.artifact("C", "releases/x/x_v1", "of C")
			r.artifact("D", "releases/y/y_v1.zip", "of D")
			r.artifact("D", "releases/z/z_v1.zip", "of D")
			r.publish("A", "C", "D", "snapshot", "timestamp")
			roles, bad := strings.CutPrefix(roles, "-")
			r.download(name, !bad)
			var got []string
			for _, file := range strings.Fields(r.requests())[4:] {
				got = append(got, file[2:])
			}
			if strings.Join(got, " ") != roles {
				t.Errorf("asked %q, want %q", got, roles)
			}
			if len(r.downloaded()) == 1 == bad {
				t.Errorf("downloaded %q", r.downloaded())
			}
		})
	}
}

// Hash bins, written out and in short.
func TestHashBins(t *testing.T) {
	sum := sha256.Sum256([]byte("some/file"))
	digits := hex.EncodeToString(sum[:])
	t.Run("prefixes", func(t *testing.T) {
		r := newRepo(t)
		r.init()
		r.delegate("targets", "other", false)
		r.delegate("targets", "bin", false)
		for i, prefix := range []string{flip(digits[:2]), digits[:2]} {
			role := r.docs["targets"]["delegations"].(object)["roles"].([]object)[i]
			delete(role, "paths")
			role["path_hash_prefixes"] = []string{prefix}
		}
		r.artifact("bin", "some/file", "binned")
		r.publish("bin", "other", "targets", "snapshot", "timestamp")
		r.download("some/file", true)
		r.wantRequests("2.root timestamp 2.snapshot 2.targets 1.bin")
	})
	for _, bits := range []int{1, 4, 5, 8, 16} {
		t.Run(fmt.Sprintf("succinct, %d bits", bits), func(t *testing.T) {
			first := (int(sum[0])<<8 | int(sum[1])) >> (16 - bits)
			bin := fmt.Sprintf("bin-%0*x", (bits+3)/4, first)
			r := newRepo(t)
			r.init()
			r.delegate("targets", bin, true, "*")
			d := r.docs["targets"]["delegations"].(object)
			role := d["roles"].([]object)[0]
			delete(d, "roles")
			d["succinct_roles"] = object{"keyids": role["keyids"], "threshold": 1, "bit_length": bits, "name_prefix": "bin"}
			r.artifact(bin, "some/file", "binned")
			r.publish(bin, "targets", "snapshot", "timestamp")
			r.download("some/file", true)
			r.wantDownloaded("binned")
		})
	}
}

func flip(prefix string) string {
	if prefix[0] == '0' {
		return "1" + prefix[1:]
	}
	return "0" + prefix[1:]
}

func TestDownload(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.artifact("targets", "path/to/file.txt", "content")
	r.publish("targets", "snapshot", "timestamp")
	r.refresh(true)
	r.wantDownloaded()
	r.must(os.Remove(filepath.Join(r.dir, "targets"))) // it is made where it is missing
	r.download("path/to/file.txt", true)
	r.wantDownloaded("content")
	r.download("path/to/file.txt", true)
	if len(r.fetched) != 1 {
		t.Errorf("fetched %q, want it once", r.fetched)
	}
	r.artifact("targets", "path/to/file.txt", "new content")
	r.publish("targets", "snapshot", "timestamp")
	r.download("path/to/file.txt", true)
	r.wantDownloaded("new content")
}

func TestSubstitutedTarget(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.artifact("targets", "a", "content of a")
	r.artifact("targets", "b", "content of b")
	r.publish("targets", "snapshot", "timestamp")
	r.download("a", true)
	for name := range r.targets {
		r.targets[name] = []byte("something malicious")
	}
	r.download("a", true) // from the disk
	r.download("b", false)
	r.wantDownloaded("content of a")
}

func TestHashAlgorithms(t *testing.T) {
	for _, tt := range []struct {
		hashes []string
		good   bool
	}{
		{[]string{"sha256"}, true}, {[]string{"sha512"}, true}, {[]string{"sha256", "sha512"}, true},
		{[]string{"unknown-hash"}, false}, {[]string{"md5"}, false},
	} {
		t.Run(strings.Join(tt.hashes, "+"), func(t *testing.T) {
			r := newRepo(t)
			r.init()
			r.artifact("targets", "file", "content", tt.hashes...)
			r.publish("targets", "snapshot", "timestamp")
			r.download("file", tt.good)
			if got := len(r.downloaded()); (got == 1) != tt.good {
				t.Errorf("downloaded %d files", got)
			}
			if n := len(r.fetched); tt.good && n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestSHA512Binds(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.artifact("targets", "file", "content", "sha512")
	for name := range r.targets {
		r.targets[name] = []byte("kontent")
	}
	r.publish("targets", "snapshot", "timestamp")
	r.download("file", false)
	r.wantDownloaded()
}

// Without consistent snapshots, only roots have versions in their names.
func TestWithoutConsistentSnapshots(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.docs["root"]["consistent_snapshot"] = false
	r.artifact("targets", "file", "content")
	r.targets["file"] = []byte("content")
	r.publish("root", "targets", "snapshot", "timestamp")
	r.download("file", true)
	r.wantRequests("2.root 3.root timestamp snapshot targets")
	if len(r.fetched) != 1 || r.fetched[0] != "file" {
		t.Errorf("fetched %q", r.fetched)
	}
}

// Two roles delegate to a third, and name other keys for it. What the first vouches
// for is nothing to the second, neither in the same client nor in the cache.
func TestEachDelegatorVouchesForItself(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.delegate("targets", "A", false, "a/*")
	r.delegate("targets", "B", false, "b/*")
	r.delegate("A", "shared", false, "a/*")
	theirs := r.signers["shared"]
	r.delegate("B", "shared", false, "b/*") // by a key that signs nothing
	r.signers["shared"] = theirs
	r.artifact("shared", "a/file", "of A")
	r.artifact("shared", "b/file", "not of B")
	r.publish("shared", "A", "B", "targets", "snapshot", "timestamp")
	r.download("a/file", true)
	r.download("b/file", false)
	for _, names := range [][]string{{"a/file", "b/file"}, {"b/file", "a/file"}} {
		args := []string{"--target-dir", filepath.Join(r.dir, "targets"), "--target-base-url", r.server.URL + "/targets/"}
		for _, name := range names {
			args = append(args, "--target-name", name)
		}
		if err := r.client(append(args, "download")...); !errors.As(err, new(*trust.SignatureError)) {
			t.Errorf("%q: got %v, want a signature error", names, err)
		}
		r.wantDownloaded("of A")
	}
}

func TestDownloadSeveral(t *testing.T) {
	r := newRepo(t)
	r.init()
	r.artifact("targets", "one", "1")
	r.artifact("targets", "two", "2")
	r.publish("targets", "snapshot", "timestamp")
	r.must(r.client("--target-dir", filepath.Join(r.dir, "targets"), "--target-base-url", r.server.URL+"/targets/",
		"--target-name", "one", "--target-name", "two", "download"))
	r.wantRequests("2.root timestamp 2.snapshot 2.targets")
	r.wantDownloaded("1", "2")
}
