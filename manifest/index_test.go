package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleListing() *Listing {
	return &Listing{
		Product: "demo", Version: "1.2.3-rc.1", Sequence: 7, Platform: "linux-amd64",
		Channels: []string{"stable", "beta"}, Severity: Security, CriticalSince: "1.0.0", Barrier: true, Strict: true,
		Essential: true, Depends: []Dependency{{"base", "1.0.0"}, {Name: "fonts"}},
		Unstable: true, Recommended: []string{"beta"}, Rollout: map[string]Rollout{"stable": {Percent: 5, Halted: true}, "beta": {}},
		Size: 1234, Digest: Sum([]byte("m")),
	}
}

func TestListing(t *testing.T) {
	b, err := json.Marshal(sampleListing())
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseListing(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(&sample().Release); err != nil {
		t.Error(err)
	}
	// Fields of a later version do no harm.
	if _, err := ParseListing(append(b[:len(b)-1], `,"moon":{"phase":5}}`...)); err != nil {
		t.Error(err)
	}
}

func TestListingRefuses(t *testing.T) {
	for _, c := range []struct {
		fact  string
		spoil func(*Listing)
	}{
		{"product", func(l *Listing) { l.Product = "" }},
		{"version", func(l *Listing) { l.Version = "1.0" }},
		{"withdrawn", func(l *Listing) { l.Withdrawn = "line\nline" }},
		{"withdrawn", func(l *Listing) { l.Withdrawn = strings.Repeat("x", 1001) }},
		{"retreat", func(l *Listing) { l.Retreat = true }},
		{"sequence", func(l *Listing) { l.Sequence = 0 }},
		{"platform", func(l *Listing) { l.Platform = "../x" }},
		{"channels", func(l *Listing) { l.Channels[1] = "Beta" }},
		{"severity", func(l *Listing) { l.Severity = "dire" }},
		{"critical_since", func(l *Listing) { l.CriticalSince = "now" }},
		{"depends", func(l *Listing) { l.Depends[0].Name = "../x" }},
		{"recommended", func(l *Listing) { l.Recommended[0] = "nightly" }},
		{"rollout", func(l *Listing) { l.Rollout["nightly"] = Rollout{} }},
		{"rollout", func(l *Listing) { l.Rollout["beta"] = Rollout{Percent: 101} }},
		{"rollout", func(l *Listing) { l.Rollout["beta"] = Rollout{Percent: -1} }},
		{"size", func(l *Listing) { l.Size = 0 }},
		{"size", func(l *Listing) { l.Size = MaxCanonical + 1 }},
		{"digest", func(l *Listing) { l.Digest = Digest{} }},
	} {
		l := sampleListing()
		c.spoil(l)
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseListing(b)
		wantFault(t, err, c.fact, "")
	}
	for _, bad := range []string{"", "null", "[]", "{}", `{"sequence":-1}`, `{"sequence":1.5}`, `{"digest":"00"}`} {
		if l, err := ParseListing([]byte(bad)); err == nil || l != nil {
			t.Errorf("ParseListing(%q): got %v, %v", bad, l, err)
		}
	}
}

// TestListingCheck wants a manifest refused that is not the listed one.
func TestListingCheck(t *testing.T) {
	for name, change := range map[string]func(*Release){
		"product":   func(r *Release) { r.Product = "other" },
		"version":   func(r *Release) { r.Version = "1.2.3" },
		"sequence":  func(r *Release) { r.Sequence++ },
		"platform":  func(r *Release) { r.Platform = AnyPlatform },
		"severity":  func(r *Release) { r.Severity = Optional },
		"barrier":   func(r *Release) { r.Barrier = false },
		"strict":    func(r *Release) { r.Strict = false },
		"essential": func(r *Release) { r.Essential = false },
		"since":     func(r *Release) { r.CriticalSince = "" },
		"depends":   func(r *Release) { r.Depends = r.Depends[:1] },
	} {
		r := sample().Release
		change(&r)
		if err := sampleListing().Check(&r); err == nil || !strings.Contains(err.Error(), "want {") {
			t.Errorf("another %s: got %v", name, err)
		}
	}
	r := sample().Release
	r.Notes, r.Hooks = "", nil // not listed
	if err := sampleListing().Check(&r); err != nil {
		t.Error(err)
	}
}

func sampleIndex() *Index {
	return &Index{
		Product: "demo", Version: "1.2.3", Platform: AnyPlatform,
		Packs: []Pack{
			{"1.2.2", Sum([]byte("a")), "packs/demo/any/1.2.2-1.2.3-0123456789abcdef", 5000, 300, Sum([]byte("h"))},
			{"1.0.0-rc.1", Sum([]byte("b")), "packs/demo/any/x", 90, 90, Sum([]byte("i"))},
		},
		Objects: ObjectsFile{77, Sum([]byte("o"))},
	}
}

func TestIndexRoundTrip(t *testing.T) {
	for _, x := range []*Index{sampleIndex(), {Product: "p", Version: "0.0.1", Platform: AnyPlatform}} {
		b, err := x.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !wantIndex(t, b) {
			t.Errorf("refused %s", b)
		}
	}
}

// wantIndex reports whether b is accepted. If so, it must be what Encode writes.
func wantIndex(t *testing.T, b []byte) bool {
	x, err := ParseIndex(b)
	if err != nil {
		return false
	}
	if again, err := x.Encode(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("accepted %q,\nbut writes   %q, %v", b, again, err)
	}
	return true
}

func TestIndexRefuses(t *testing.T) {
	for _, c := range []struct {
		fact, why string
		spoil     func(*Index)
	}{
		{"product", "letter or digit", func(x *Index) { x.Product = "" }},
		{"version", "MAJOR", func(x *Index) { x.Version = "1" }},
		{"platform", "GOOS-GOARCH", func(x *Index) { x.Platform = "" }},
		{"pack from 1", "MAJOR", func(x *Index) { x.Packs[0].From = "1" }},
		{"pack from 1.2.2", "clean relative", func(x *Index) { x.Packs[0].Name = "../../etc/passwd" }},
		{"pack from 1.2.2", "clean relative", func(x *Index) { x.Packs[0].Name = "" }},
		{"pack from 1.2.2", "holds the character", func(x *Index) { x.Packs[0].Name = "http:a" }},
		{"pack from 1.2.2", "out of range", func(x *Index) { x.Packs[0].HeadSize = 0 }},
		{"pack from 1.2.2", "out of range", func(x *Index) { x.Packs[0].Size = 299 }},
		{"pack from 1.2.2", "out of range", func(x *Index) { x.Packs[0].Size = MaxFileSize + 1 }},
		{"pack from 1.0.0-rc.1", "out of range", func(x *Index) { x.Packs[1].Size = -1 }},
		{"objects", "out of range", func(x *Index) { x.Objects.Size = -1 }},
		{"objects", "out of range", func(x *Index) { x.Objects.Size = MaxObjects + 1 }},
	} {
		x := sampleIndex()
		c.spoil(x)
		_, err := x.Encode()
		wantFault(t, err, c.fact, c.why)
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseIndex(b)
		wantFault(t, err, c.fact, c.why)
	}
}

func TestIndexHasOneSpelling(t *testing.T) {
	b, err := sampleIndex().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, bad := range map[string]string{
		"space":         good + " ",
		"two":           good + good,
		"unknown field": good[:len(good)-1] + `,"x":1}`,
		"field twice":   good[:len(good)-1] + `,"product":"demo"}`,
		"odd case":      strings.Replace(good, "from_digest", "From_Digest", 1),
		"null":          "null",
		"null packs":    strings.Replace(good, `"packs":[`, `"packs":null,"x":[`, 1),
		"upper digest":  strings.Replace(good, sampleIndex().Objects.Digest.String(), strings.ToUpper(sampleIndex().Objects.Digest.String()), 1),
		"cut off":       good[:len(good)-1],
		"empty":         "",
		"huge number":   strings.Replace(good, ":5000,", ":9223372036854775808,", 1),
		"float":         strings.Replace(good, ":5000,", ":5e3,", 1),
		"too long":      good + strings.Repeat(" ", MaxIndex),
	} {
		if bad == good {
			t.Fatalf("%s: nothing changed", name)
		}
		if x, err := ParseIndex([]byte(bad)); err == nil || x != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	x := sampleIndex()
	x.Packs = slices.Repeat(x.Packs, MaxIndex/200)
	if _, err := x.Encode(); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("encode a long index: got %v", err)
	}
}

// drawObjects draws a way to store the content of m.
func drawObjects(t *rapid.T, m *Manifest) Objects {
	objects := Objects{}
	for i, e := range m.Entries {
		switch {
		case e.Kind != File:
		case rapid.Bool().Draw(t, "as it is"):
			objects[e.Digest] = Object{e.Size, e.Digest}
		default:
			objects[e.Digest] = Object{rapid.Int64Range(1, MaxFileSize).Draw(t, "stored"), Sum(fmt.Append(nil, "stored", i))}
		}
	}
	return objects
}

func TestObjectsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := small(drawEntries(t)...)
		objects := drawObjects(t, m)
		b, err := EncodeObjects(m, objects)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseObjects(m, b)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, objects) {
			t.Fatalf("got %v, want %v", got, objects)
		}
		for n := range b {
			if _, err := ParseObjects(m, b[:n]); err == nil {
				t.Fatalf("first %d of %d bytes: accepted", n, len(b))
			}
		}
		if _, err := ParseObjects(m, append(b, 0)); err == nil {
			t.Fatal("one byte more: accepted")
		}
	})
}

func TestObjectsOfEqualContent(t *testing.T) {
	m := small(file("a", 0o644, "same"), file("b", 0o755, "same"), Entry{Path: "c", Kind: Dir}, Entry{Path: "d", Kind: Symlink, Link: "a"})
	same := Sum([]byte("same"))
	b, err := EncodeObjects(m, Objects{same: {4, same}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, []byte{0}) {
		t.Errorf("got % x, want one zero for the one content", b)
	}
}

func TestObjectsRefuse(t *testing.T) {
	m := small(file("a", 0o644, "content"))
	own, other := Sum([]byte("content")), Sum(nil)
	for _, objects := range []Objects{nil, {}, {other: {1, other}}, {own: {0, other}}, {own: {-1, other}}, {own: {MaxFileSize + 1, other}}} {
		if _, err := EncodeObjects(m, objects); err == nil {
			t.Errorf("encode %v: no error", objects)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"no digest":               {5},
		"digest cut off":          append([]byte{5}, other[:31]...),
		"size cut off":            {0x80},
		"zero in two bytes":       {0x80, 0},
		"five in two bytes":       append([]byte{0x85, 0}, other[:]...),
		"size of 2^63":            append(binary.AppendUvarint(nil, 1<<63), other[:]...),
		"size beyond 64 bits":     slices.Repeat([]byte{0xff}, 11),
		"as it is, but at length": append([]byte{7}, own[:]...),
		"one too many":            {0, 0},
	} {
		if _, err := ParseObjects(m, b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseIndex(f *testing.F) {
	b, err := sampleIndex().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"product":"p","version":"0.0.1","platform":"any","objects":{"size":0,"digest":"` + strings.Repeat("0", 64) + `"}}`))
	f.Fuzz(func(t *testing.T, b []byte) { wantIndex(t, b) })
}

func FuzzParseListing(f *testing.F) {
	b, err := json.Marshal(sampleListing())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseListing(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseListing(again); err != nil {
			t.Errorf("accepted %q, but not %q: %v", b, again, err)
		}
	})
}

func FuzzParseObjects(f *testing.F) {
	m := small(file("a", 0o644, "1"), file("b", 0o644, "2"), file("c", 0o644, "3"))
	f.Add([]byte{0, 0, 0})
	f.Add(append(append([]byte{5}, slices.Repeat([]byte{1}, 32)...), 0, 0))
	f.Add(append(append([]byte{0, 0, 0xff, 0xff, 3}, slices.Repeat([]byte{9}, 32)...), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		objects, err := ParseObjects(m, b)
		if err != nil {
			return
		}
		if again, err := EncodeObjects(m, objects); err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted % x,\nbut writes   % x, %v", b, again, err)
		}
	})
}
