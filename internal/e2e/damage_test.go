package e2e

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// kinds of files in a repository, by the beginnings of their names.
var kinds = []string{"metadata/", "manifests/", "indexes/", "objects/lists/", "objects/", "packs/"}

func kindOf(name string) string {
	for _, k := range kinds {
		if strings.HasPrefix(name, k) {
			return k
		}
	}
	return "other: " + path.Dir(name)
}

// refusals are the codes of an update that met something it does not believe.
var refusals = []int{30, 31, 32}

// outcomes counts what became of a verb, by the kind of file that was damaged.
type outcomes map[string]map[string]int

func (o outcomes) add(kind, outcome string) {
	if o[kind] == nil {
		o[kind] = map[string]int{}
	}
	o[kind][outcome]++
}

// want makes sure that a test has damaged what is read, not only what nobody
// looks at.
func (o outcomes) want(t *testing.T, verb string, want map[string]string) {
	t.Helper()
	t.Logf("%s: %v", verb, o)
	for kind, outcome := range want {
		if o[kind][outcome] == 0 {
			t.Errorf("%s with damaged %s: want some %s, got %v", verb, kind, outcome, o[kind])
		}
	}
}

// TestFlippedByte flips one bit of each file of a repository in turn, at its
// beginning, middle and end, and then updates and installs from it. The result
// is an error of the right kind with an untouched tree, or the right tree. It
// is never a wrong tree.
func TestFlippedByte(t *testing.T) {
	w := newWorld(t)
	w.reset(t, "tree", "clean")
	updates, installs := outcomes{}, outcomes{}
	for _, name := range w.published(t) {
		for where, offset := range w.offsets(t, name) {
			must(t, flip(w.path("repo/"+name), offset))
			updates.add(kindOf(name), w.updateDamaged(t, name, where))
			installs.add(kindOf(name), w.installDamaged(t, name, where))
			must(t, flip(w.path("repo/"+name), offset))
		}
	}
	updates.want(t, "update", map[string]string{"metadata/": "refused", "indexes/": "refused", "packs/": "fallback"})
	installs.want(t, "install", map[string]string{
		"metadata/": "refused", "manifests/": "refused", "indexes/": "refused", "objects/lists/": "refused", "objects/": "refused",
	})
	w.want(t, 0, "mkrelease", "verify", "--repo", w.path("repo"), "--keys", w.path("keys"))
}

// TestFlippedByteWithoutPacks does the same where updates need objects, because
// the packs are lost.
func TestFlippedByteWithoutPacks(t *testing.T) {
	w := newWorld(t)
	w.reset(t, "tree", "clean")
	must(t, os.RemoveAll(w.path("repo/packs")))
	updates := outcomes{}
	for _, name := range append(w.published(t), "") {
		if name == "" {
			updates.add("nothing", w.updateDamaged(t, "nothing", "nowhere"))
			continue
		}
		if offset, ok := w.offsets(t, name)["middle"]; ok {
			must(t, flip(w.path("repo/"+name), offset))
			updates.add(kindOf(name), w.updateDamaged(t, name, "middle"))
			must(t, flip(w.path("repo/"+name), offset))
		}
	}
	updates.want(t, "update", map[string]string{
		"manifests/": "refused", "objects/lists/": "refused", "objects/": "refused", "nothing": "fallback",
	})
}

// offsets returns where to damage a file.
func (w *world) offsets(t *testing.T, name string) map[string]int {
	t.Helper()
	info, err := os.Stat(w.path("repo/" + name))
	must(t, err)
	if info.Size() == 0 {
		return nil
	}
	return map[string]int{"start": 0, "middle": int(info.Size() / 2), "end": -1}
}

// updateDamaged updates a fresh install of the first release.
func (w *world) updateDamaged(t *testing.T, name, where string) (outcome string) {
	t.Helper()
	w.reset(t, "clean", "tree")
	code, said := w.run(t, "applyrelease", "update", "--json", w.path("tree"))
	got, err := readTree(w.path("tree"))
	must(t, err)
	switch {
	case code == 0 && diffTrees(w.new, got) != "":
		t.Errorf("update with %s of %s flipped: exit code 0 and a wrong tree:\n%s", where, name, diffTrees(w.new, got))
	case code != 0 && diffTrees(w.old, got) != "":
		t.Errorf("update with %s of %s flipped: exit code %d and the tree is not the old one:\n%s", where, name, code, diffTrees(w.old, got))
	case code != 0 && !slices.Contains(refusals, code):
		t.Errorf("update with %s of %s flipped: want an exit code of %v, got %d: %s", where, name, refusals, code, said)
	case code != 0:
		return "refused"
	case strings.Contains(said, `"type":"fallback"`), strings.Contains(said, `"type":"note"`):
		return "fallback"
	}
	return "unnoticed"
}

// installDamaged installs the newest release from nothing.
func (w *world) installDamaged(t *testing.T, name, where string) (outcome string) {
	t.Helper()
	must(t, os.RemoveAll(w.path("fresh")))
	code, said := w.run(t, "applyrelease", "install", "--repo", w.path("repo"), "--root", w.path("keys/root.json"),
		"--product", "app", w.path("fresh"))
	got := map[string]string{}
	if _, err := os.Stat(w.path("fresh")); err == nil {
		got, err = readTree(w.path("fresh"))
		must(t, err)
	}
	switch {
	case code == 0 && diffTrees(w.new, got) != "":
		t.Errorf("install with %s of %s flipped: exit code 0 and a wrong tree:\n%s", where, name, diffTrees(w.new, got))
	case code != 0 && len(got) > 0:
		t.Errorf("install with %s of %s flipped: exit code %d and a tree: %v", where, name, code, got)
	case code != 0 && !slices.Contains(refusals, code):
		t.Errorf("install with %s of %s flipped: want an exit code of %v, got %d: %s", where, name, refusals, code, said)
	case code != 0:
		return "refused"
	}
	return "unnoticed"
}

// TestVerifyFindsEveryFlip makes sure that mkrelease verify notices one wrong
// bit in any file that a client may read, or start from.
func TestVerifyFindsEveryFlip(t *testing.T) {
	w := newWorld(t)
	verify := []string{"mkrelease", "verify", "--repo", w.path("repo"), "--keys", w.path("keys")}
	for _, name := range w.published(t) {
		if strings.HasPrefix(name, "metadata/") && !w.current(t, name) {
			continue // metadata of the past, which nothing names any more
		}
		offset := w.offsets(t, name)["middle"]
		must(t, flip(w.path("repo/"+name), offset))
		if code, said := w.run(t, verify...); !slices.Contains(refusals, code) {
			t.Errorf("verify with %s flipped: want an exit code of %v, got %d: %s", name, refusals, code, said)
		}
		must(t, flip(w.path("repo/"+name), offset))
	}
	w.want(t, 0, verify...)
}

// current reports whether a file of metadata is the newest of its role, which
// is the one that clients read.
func (w *world) current(t *testing.T, name string) bool {
	t.Helper()
	version, role, numbered := strings.Cut(path.Base(name), ".")
	if !numbered || role == "json" {
		return true // timestamp.json
	}
	for _, other := range w.published(t) {
		v, r, _ := strings.Cut(path.Base(other), ".")
		if r == role && (len(v) > len(version) || len(v) == len(version) && v > version) {
			return false
		}
	}
	return true
}
