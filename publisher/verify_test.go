package publisher

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/treegraft-dev/treegraft/manifest"
	"github.com/treegraft-dev/treegraft/store"
	"github.com/treegraft-dev/treegraft/trust"
)

// needed returns the files that the current metadata leads to, from the first
// root on: older versions of it are left out.
func (w *world) needed(t *testing.T) (names []string) {
	t.Helper()
	newest := map[string]string{}
	for name := range w.files() {
		version, role, isVersioned := strings.Cut(strings.TrimPrefix(name, "metadata/"), ".")
		switch {
		case !strings.HasPrefix(name, "metadata/") || role == "root.json" || !isVersioned || name == timestampName:
			names = append(names, name)
		case len(version) > len(newest[role]) || version > newest[role]:
			newest[role] = version
		}
	}
	for role, version := range newest {
		names = append(names, "metadata/"+version+"."+role)
	}
	slices.Sort(names)
	return names
}

// TestVerifyFindsEveryFlip flips bytes in every file that a client may read, at
// its beginning, middle and end, and takes each away: Verify must name it.
func TestVerifyFindsEveryFlip(t *testing.T) {
	w := newWorld(t)
	trees := threeReleases()
	w.mustPublish("1.0.0", trees[0], nil)
	w.mustPublish("1.1.0", trees[1], nil)
	w.verify()
	names := w.needed(t)
	kinds := map[string]int{}
	for _, name := range names {
		kinds[strings.SplitN(name, "/", 2)[0]]++
	}
	if kinds["metadata"] != 5 || kinds["manifests"] != 2 || kinds["indexes"] != 2 || kinds["packs"] != 1 || kinds["objects"] != 11 {
		t.Fatalf("got %v: %v", kinds, names)
	}
	check := func(name, what string) {
		t.Helper()
		faults, err := w.publisher(nil).Verify(t.Context(), false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.ContainsFunc(faults, func(f manifest.Fault) bool { return f.Path == name && f.Reason != "" }) {
			// Broken metadata hides which file it was only if it was about to
			// be parsed: then something of metadata is named all the same.
			if !strings.HasPrefix(name, "metadata/") || len(faults) == 0 {
				t.Errorf("%s %s: got %v", name, what, faults)
			}
		}
	}
	for _, name := range names {
		path := filepath.Join(w.dir, filepath.FromSlash(name))
		b, err := os.ReadFile(path)
		must(t, err)
		for _, at := range []int{0, len(b) / 2, len(b) - 1} {
			if at < 0 || at >= len(b) {
				continue // the object of no bytes
			}
			mend := w.flip(name, at)
			check(name, "flipped")
			mend()
		}
		must(t, os.WriteFile(path, append(slices.Clone(b), 'x'), 0o644))
		check(name, "longer")
		must(t, os.Remove(path))
		check(name, "missing")
		must(t, os.WriteFile(path, b, 0o644))
	}
	w.verify()
}

// TestVerifyDecodes signs for an object that does not make its content: only
// decoding shows that.
func TestVerifyDecodes(t *testing.T) {
	w := newWorld(t)
	old := words(20, 3000)
	w.mustPublish("1.0.0", treetest.Tree{"a": treetest.File(old)}, nil)
	d, err := w.publisher(nil).Inspect(t.Context(), "app", "1.0.0")
	must(t, err)
	content := d[0].Manifest.Entries[0].Digest
	junk := []byte("this is no object")
	must(t, w.store.Push(t.Context(), manifest.ObjectName(content), strings.NewReader(string(junk)), int64(len(junk))))
	listing, err := manifest.EncodeObjects(d[0].Manifest, manifest.Objects{content: {Size: int64(len(junk)), Digest: manifest.Sum(junk)}})
	must(t, err)
	must(t, w.store.Push(t.Context(), manifest.ObjectsName(manifest.Sum(listing)), strings.NewReader(string(listing)), int64(len(listing))))
	s, err := w.publisher(nil).begin(t.Context())
	must(t, err)
	index := *d[0].Index
	index.Objects = manifest.ObjectsFile{Size: int64(len(listing)), Digest: manifest.Sum(listing)}
	b, err := index.Encode()
	must(t, err)
	targets := s.editor.Targets("app")
	for i, target := range targets {
		if strings.HasPrefix(target.Name, "indexes/") {
			targets[i] = trust.NewTarget(target.Name, b, nil)
			must(t, s.put(t.Context(), targets[i].File(), b))
		}
	}
	must(t, s.editor.SetTargets("app", targets))
	must(t, s.live(t.Context(), nil))
	s.end(&err)
	must(t, err)

	faults, err := w.publisher(nil).Verify(t.Context(), false)
	must(t, err)
	if len(faults) != 0 {
		t.Errorf("without decoding: got %v", faults)
	}
	faults, err = w.publisher(nil).Verify(t.Context(), true)
	must(t, err)
	if len(faults) != 1 || faults[0].Path != manifest.ObjectName(content) {
		t.Errorf("with decoding: got %v", faults)
	}
}

func TestVerifyFindsAll(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", threeReleases()[0], nil)
	broken := []string{}
	for _, name := range w.needed(t) {
		if !strings.HasPrefix(name, "metadata/") && !strings.HasPrefix(name, "indexes/") && !strings.HasPrefix(name, "manifests/") && !strings.HasPrefix(name, "objects/lists/") && w.files()[name].Content != "" {
			w.flip(name, 0)
			broken = append(broken, name)
		}
	}
	faults, err := w.publisher(nil).Verify(t.Context(), false)
	must(t, err)
	got := []string{}
	for _, f := range faults {
		got = append(got, f.Path)
	}
	if len(broken) < 5 || !slices.Equal(got, broken) {
		t.Errorf("want %v, got %v", broken, got)
	}
}

// TestVerifyRootCopy puts all kinds of files where the copy of a root may be.
func TestVerifyRootCopy(t *testing.T) {
	w, foreign := newWorld(t), newWorld(t)
	fresh, err := trust.GenerateKey(trust.Ed25519)
	must(t, err)
	old, err := w.release.PublicKey()
	must(t, err)
	new, err := fresh.PublicKey()
	must(t, err)
	second, err := w.publisher(func(o *Options) { o.Signers = []trust.Signer{w.recovery, fresh} }).ReplaceKey(t.Context(), old, new)
	must(t, err)
	// The next root, genuine but not published.
	editor, err := trust.Open(t.Context(), trust.Options{Root: second, Now: w.options().Now,
		Fetch: func(ctx context.Context, name string, max int64) ([]byte, error) {
			return store.ReadAll(ctx, w.store, name, max)
		}}, trust.EditorOptions{Signers: []trust.Signer{w.recovery, fresh, w.release}, Now: w.options().Now})
	must(t, err)
	must(t, editor.ReplaceKey(new, old))
	_, err = editor.Commit(t.Context())
	must(t, err)

	for _, c := range []struct {
		name string
		copy []byte
		says string // "" if all is well
	}{
		{"first root", w.root, ""},
		{"second root", second, ""},
		{"another repository's", foreign.root, "want the bytes of metadata/1.root.json, got others"},
		{"never published", editor.Root(), "want one of the roots 1 to 2, got version 3"},
		{"a space more", append(slices.Clone(w.root), ' '), "want the bytes of metadata/1.root.json, got others"},
		{"cut off", w.root[:len(w.root)/2], "unexpected EOF"},
		{"empty", nil, "EOF"},
		{"no root", []byte(w.files()[timestampName].Content), "timestamp"},
	} {
		must(t, os.WriteFile(filepath.Join(w.dir, rootCopy), c.copy, 0o644))
		faults, err := w.publisher(nil).Verify(t.Context(), false)
		must(t, err)
		if c.says == "" && len(faults) == 0 {
			continue
		}
		if c.says == "" || len(faults) != 1 || faults[0].Path != rootCopy || !strings.Contains(faults[0].Reason, c.says) {
			t.Errorf("%s: want %q of root.json, got %v", c.name, c.says, faults)
		}
	}
	must(t, os.Remove(filepath.Join(w.dir, rootCopy)))
	w.verify() // it need not be there
}

func TestVerifyTellsExpiry(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", threeReleases()[0], nil)
	w.now = w.now.Add(91 * 24 * time.Hour)
	faults, err := w.publisher(nil).Verify(t.Context(), false)
	must(t, err)
	if len(faults) != 1 || faults[0].Path != timestampName || !strings.Contains(faults[0].Reason, "expired") {
		t.Errorf("got %v", faults)
	}
	must(t, w.publisher(nil).Refresh(t.Context()))
	w.verify()
}

func TestVerifyCancelled(t *testing.T) {
	w := newWorld(t)
	w.mustPublish("1.0.0", threeReleases()[0], nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.publisher(nil).Verify(ctx, true); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestPublishRefusesBrokenHistory flips a byte in each file that the next
// release is built upon: an error, and nothing for clients to see; what can be
// made again is no reason to fail.
func TestPublishRefusesBrokenHistory(t *testing.T) {
	w, next := crashWorld(t)
	for _, prefix := range []string{timestampName, "metadata/2.snapshot", "metadata/2.targets", "metadata/1.app", "manifests/", "indexes/", "objects/lists/", "objects/"} {
		w := w.copyOf(t)
		name := ""
		for _, n := range w.needed(t) {
			// Of the objects, one that the pack is made from.
			if strings.HasPrefix(n, prefix) && (prefix != "objects/" || n == manifest.ObjectName(manifest.Sum([]byte(threeReleases()[0]["bin/app"].Content)))) {
				name = n
			}
		}
		if name == "" {
			t.Fatalf("no file %s… among %v", prefix, w.needed(t))
		}
		w.flip(name, len(w.files()[name].Content)/2)
		before := w.files()
		_, err := w.publisher(nil).Publish(t.Context(), next)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		for n, e := range w.files() {
			if strings.HasPrefix(n, "metadata/") && before[n] != e {
				t.Errorf("%s: %s was written", name, n)
			}
		}
	}
}
