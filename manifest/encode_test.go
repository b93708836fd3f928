package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawManifest(t)
		b, err := m.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Entries) == 0 && len(m.Entries) == 0 {
			got.Entries = m.Entries // nil and empty are the same
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("got %+v\nwant %+v", got, m)
		}
	})
}

// TestOneSpelling changes bytes of an encoding: what Parse still accepts, it
// must write again in the same way. The tree digest is mended after the change,
// or hardly anything behind it would be reached.
func TestOneSpelling(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		b, err := drawManifest(t).Canonical()
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 2).Draw(t, "changes") {
			b = mutate(t, b)
		}
		if rapid.IntRange(0, 9).Draw(t, "mend") > 0 {
			b = mendTree(b)
		}
		if wantOneSpelling(t, b) {
			accepted++
		}
	})
	if accepted == 0 {
		t.Error("no change was accepted: the test sees only refusals")
	}
}

// mutate changes, removes, adds or repeats a few bytes.
func mutate(t *rapid.T, b []byte) []byte {
	b = slices.Clone(b)
	at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	n := rapid.IntRange(0, min(4, len(b)-at)).Draw(t, "bytes")
	switch rapid.IntRange(0, 4).Draw(t, "change") {
	case 0:
		b[at] = rapid.Byte().Draw(t, "byte")
	case 1:
		b[at]++
	case 2:
		return slices.Delete(b, at, at+n)
	case 3:
		return slices.Insert(b, at, rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "added")...)
	case 4:
		return slices.Insert(b, at, b[at:at+n]...)
	}
	return b
}

// mendTree puts the right tree digest at the end of an encoding, if one can
// tell where its entries begin.
func mendTree(b []byte) []byte {
	facts, n := binary.Uvarint(b[min(len(magic), len(b)):])
	begin := uint64(len(magic)+n) + facts
	end := len(b) - len(Digest{})
	if n <= 0 || facts > uint64(len(b)) || end < 0 || begin > uint64(end) {
		return b
	}
	tree := Sum(b[begin:end])
	return append(slices.Clone(b[:end]), tree[:]...)
}

// wantOneSpelling reports whether b is accepted. If so, it must be what Encode
// writes, and valid.
func wantOneSpelling(tb interface{ Errorf(string, ...any) }, b []byte) bool {
	m, err := Parse(bytes.NewReader(b))
	if err != nil {
		return false
	}
	if err := m.Validate(); err != nil {
		tb.Errorf("accepted %q, which is invalid: %v", b, err)
	}
	if again, err := m.Canonical(); err != nil || !bytes.Equal(again, b) {
		tb.Errorf("accepted %q,\nbut writes   %q, %v", b, again, err)
	}
	return true
}

// TestFlippedBits wants every flipped bit refused, but for those in the facts
// that happen to make other good facts: no digest inside covers those.
func TestFlippedBits(t *testing.T) {
	good := encode(t, sample())
	facts, err := sample().Release.encode()
	if err != nil || !wantOneSpelling(t, good) {
		t.Fatal("the sample is refused: ", err)
	}
	at := bytes.Index(good, facts)
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			if wantOneSpelling(t, bad) && (i < at || i >= at+len(facts)) {
				t.Errorf("bit %d of byte %d: accepted", bit, i)
			}
		}
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	good := encode(t, sample())
	for n := range good {
		if _, err := Parse(bytes.NewReader(good[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("first %d bytes: got %v, want %v", n, err, io.ErrUnexpectedEOF)
		}
	}
	if _, err := Parse(bytes.NewReader(append(good, 0))); err == nil || !strings.Contains(err.Error(), "more bytes") {
		t.Errorf("one byte more: got %v", err)
	}
}

func TestReadErrorsAreKept(t *testing.T) {
	broken := errors.New("broken disk")
	good := encode(t, sample())
	for _, n := range []int{0, 3, 40, len(good) - 1} {
		r := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken))
		if _, err := Parse(r); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: got %v, want %v", n, err, broken)
		}
	}
	w := &failingWriter{err: broken}
	if err := synthetic().Encode(w); !errors.Is(err, broken) {
		t.Errorf("encode: got %v, want %v", err, broken)
	}
}

type failingWriter struct{ err error }

func (w *failingWriter) Write([]byte) (int, error) { return 0, w.err }

// raw builds encodings that Encode would not write.
type raw struct{ facts, entries []byte }

func rawEncoding(count uint64) *raw {
	return &raw{
		[]byte(`{"product":"p","version":"1.0.0","sequence":1,"platform":"any"}`),
		binary.AppendUvarint(nil, count),
	}
}

// entry adds tag, shared and rest, and then whatever follows them.
func (r *raw) entry(tag byte, shared uint64, rest string, more ...byte) *raw {
	r.entries = append(r.entries, tag)
	r.entries = binary.AppendUvarint(r.entries, shared)
	r.entries = appendString(r.entries, rest)
	r.entries = append(r.entries, more...)
	return r
}

func (r *raw) add(b ...byte) *raw {
	r.entries = append(r.entries, b...)
	return r
}

func (r *raw) bytes() []byte {
	b := appendString([]byte(magic), string(r.facts))
	b = append(b, r.entries...)
	tree := Sum(r.entries)
	return append(b, tree[:]...)
}

func (r *raw) withFacts(facts string) *raw {
	r.facts = []byte(facts)
	return r
}

// content is mode 0644, size 0 and the digest of a file.
var content = append([]byte{0xa4, 3, 0}, slices.Repeat([]byte{7}, 32)...)

func TestHostileEncodings(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<63)
	for _, c := range []struct {
		name, why string
		b         []byte
	}{
		{"good, one file", "", rawEncoding(1).entry(0, 0, "a", content...).bytes()},
		{"good, three entries", "", rawEncoding(3).entry(0x20, 0, "ab", content...).entry(1, 1, "c", 0xed, 3).entry(2, 0, "b", 1, 'x').bytes()},
		{"nothing", "unexpected EOF", nil},
		{"other magic", "not a manifest", append([]byte("treegraft manifest 2\n"), rawEncoding(0).bytes()[len(magic):]...)},
		{"facts longer than allowed", "at most", binary.AppendUvarint([]byte(magic), MaxFacts+1)},
		{"facts of 2^63 bytes", "at most", append([]byte(magic), huge...)},
		{"facts cut off", "unexpected EOF", binary.AppendUvarint([]byte(magic), MaxFacts)},
		{"number of eleven bytes", "number too long", append([]byte(magic), slices.Repeat([]byte{0xff}, 11)...)},
		{"number beyond 64 bits", "shortest form", append(append([]byte(magic), slices.Repeat([]byte{0xff}, 9)...), 2)},
		{"number with a zero too many", "shortest form", append([]byte(magic), 0x80, 0)},
		{"too many entries", "at most", rawEncoding(MaxEntries + 1).bytes()},
		{"2^63 entries", "at most", rawEncoding(1 << 63).bytes()},
		{"entries missing", "at byte", rawEncoding(3).entry(0, 0, "a", content...).bytes()},
		{"wrong tree digest", "tree digest: want", flipLast(rawEncoding(1).entry(0, 0, "a", content...).bytes())},
		{"kind 3", "unknown kind", rawEncoding(1).entry(3, 0, "a").bytes()},
		{"kind 15", "unknown kind", rawEncoding(1).entry(15, 0, "a").bytes()},
		{"config rule 3", "unknown config rule", rawEncoding(1).entry(0x30, 0, "a", content...).bytes()},
		{"config rule of a folder", "config rule", rawEncoding(1).entry(0x11, 0, "a", 0xed, 3).bytes()},
		{"config rule of a symlink", "config rule", rawEncoding(1).entry(0x22, 0, "a", 1, 'x').bytes()},
		{"shares with nothing before", "at most 0", rawEncoding(1).entry(0, 1, "a", content...).bytes()},
		{"shares more than there is", "at most 1", rawEncoding(2).entry(0, 0, "a", content...).entry(0, 2, "b", content...).bytes()},
		{"shares less than it could", "shares more", rawEncoding(2).entry(0, 0, "a", content...).entry(0, 0, "ab", content...).bytes()},
		{"the same path again", "not in order", rawEncoding(2).entry(0, 0, "a", content...).entry(0, 1, "", content...).bytes()},
		{"out of order", "not in order", rawEncoding(2).entry(0, 0, "b", content...).entry(0, 0, "a", content...).bytes()},
		{"path too long at once", "at most 4096", rawEncoding(1).entry(0, 0, strings.Repeat("a", MaxPath+1), content...).bytes()},
		{"path too long by sharing", "path longer", rawEncoding(2).entry(0, 0, strings.Repeat("a", MaxPath), content...).entry(0, MaxPath, "a", content...).bytes()},
		{"path of 2^63 bytes", "at most", rawEncoding(1).add(0, 0).add(huge...).bytes()},
		{"path outside", "clean relative", rawEncoding(1).entry(0, 0, "../a", content...).bytes()},
		{"empty path", "clean relative", rawEncoding(1).entry(0, 0, "", content...).bytes()},
		{"mode 01000", "at most 511", rawEncoding(1).entry(0, 0, "a", append([]byte{0x80, 4}, content[2:]...)...).bytes()},
		{"folder mode 01000", "at most 511", rawEncoding(1).entry(1, 0, "a", 0x80, 4).bytes()},
		{"size beyond the limit", "at most", rawEncoding(1).entry(0, 0, "a", append(binary.AppendUvarint([]byte{0xa4, 3}, MaxFileSize+1), content[3:]...)...).bytes()},
		{"size of 2^63", "at most", rawEncoding(1).entry(0, 0, "a", append(append([]byte{0xa4, 3}, huge...), content[3:]...)...).bytes()},
		{"no digest", "no digest", rawEncoding(1).entry(0, 0, "a", append([]byte{0xa4, 3, 0}, make([]byte, 32)...)...).bytes()},
		{"link outside", "out of the tree", rawEncoding(1).entry(2, 0, "a", 2, '.', '.').bytes()},
		{"empty link", "empty target", rawEncoding(1).entry(2, 0, "a", 0).bytes()},
		{"link too long", "at most 4096", rawEncoding(1).entry(2, 0, "a", binary.AppendUvarint(nil, MaxPath+1)...).bytes()},
	} {
		t.Run(c.name, func(t *testing.T) { wantParse(t, c.b, c.why) })
	}
}

func flipLast(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

// wantParse wants an error with why in it, or none where why is empty.
func wantParse(t *testing.T, b []byte, why string) {
	t.Helper()
	_, err := Parse(bytes.NewReader(b))
	switch {
	case why == "" && err != nil:
		t.Errorf("refused: %v", err)
	case why != "" && (err == nil || !strings.Contains(err.Error(), why)):
		t.Errorf("got %v, want an error with %q", err, why)
	}
}

// TestFactsHaveOneSpelling tries JSON that means good facts to a reader that is
// not strict.
func TestFactsHaveOneSpelling(t *testing.T) {
	const good = `{"product":"p","version":"1.0.0","sequence":1,"platform":"any"`
	for _, c := range []struct{ name, why, facts string }{
		{"good", "", good + `}`},
		{"good, with more", "", good + `,"severity":"critical","barrier":true,"notes":"<&>\u2028\n"}`},
		{"unknown field", "canonical form", good + `,"future":1}`},
		{"field twice", "canonical form", good + `,"product":"p"}`},
		{"field twice, the second good", "canonical form", `{"product":"q",` + good[1:] + `}`},
		{"odd case", "canonical form", strings.Replace(good, "product", "Product", 1) + `}`},
		{"odd case beside", "canonical form", good + `,"Barrier":true}`},
		{"shapeless case", "canonical form", strings.Replace(good, "version", "verſion", 1) + `}`},
		{"other order", "canonical form", `{"version":"1.0.0","product":"p","sequence":1,"platform":"any"}`},
		{"space", "canonical form", good + ` }`},
		{"newline behind", "canonical form", good + "}\n"},
		{"escaped letter", "canonical form", strings.Replace(good, `"p"`, `"\u0070"`, 1) + `}`},
		{"escaped for HTML", "canonical form", good + `,"notes":"\u003c"}`},
		{"number as 1.0", "release facts", strings.Replace(good, ":1,", ":1.0,", 1) + `}`},
		{"number as 1e0", "release facts", strings.Replace(good, ":1,", ":1e0,", 1) + `}`},
		{"number as text", "release facts", strings.Replace(good, ":1,", `:"1",`, 1) + `}`},
		{"negative number", "release facts", strings.Replace(good, ":1,", `:-1,`, 1) + `}`},
		{"number beyond 64 bits", "release facts", strings.Replace(good, ":1,", `:18446744073709551616,`, 1) + `}`},
		{"number beyond 53 bits", "sequence", strings.Replace(good, ":1,", `:9007199254740993,`, 1) + `}`},
		{"null", "canonical form", `null`},
		{"null field", "canonical form", good + `,"requires":null}`},
		{"default written out", "canonical form", good + `,"barrier":false}`},
		{"empty list written out", "canonical form", good + `,"hooks":[]}`},
		{"unknown field inside", "canonical form", good + `,"schema":{"min":1,"max":2,"mid":1}}`},
		{"null inside", "canonical form", good + `,"schema":{"min":null,"max":2}}`},
		{"list", "release facts", `[]`},
		{"nothing", "release facts", ``},
		{"two objects", "release facts", good + `}{}`},
		{"not UTF-8", "canonical form", good + ",\"notes\":\"\xff\"}"},
		{"half a surrogate", "canonical form", good + `,"notes":"\ud800"}`},
		{"deep nesting", "release facts", good + `,"notes":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`},
		{"good form, bad fact", "unknown severity", good + `,"severity":"dire"}`},
	} {
		t.Run(c.name, func(t *testing.T) { wantParse(t, rawEncoding(0).withFacts(c.facts).bytes(), c.why) })
	}
}

func TestFactsLimit(t *testing.T) {
	m := small()
	m.Release.Notes = strings.Repeat("n", MaxFacts)
	if err := m.Encode(io.Discard); err == nil || !strings.Contains(err.Error(), "at most 1048576") {
		t.Errorf("got %v", err)
	}
	m.Release.Notes = m.Release.Notes[:MaxFacts-100]
	if !wantOneSpelling(t, encode(t, m)) {
		t.Error("notes just below the limit are refused")
	}
}

// TestAnnouncedIsNotAllocated reads encodings that announce far more than they
// hold, and measures what that costs.
func TestAnnouncedIsNotAllocated(t *testing.T) {
	for name, b := range map[string][]byte{
		"entries": rawEncoding(MaxEntries).bytes(),
		"facts":   binary.AppendUvarint([]byte(magic), MaxFacts),
		"path":    rawEncoding(1).add(0, 0).add(binary.AppendUvarint(nil, MaxPath)...).bytes(),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Parse(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 2*MaxFacts {
			t.Errorf("%s: %d bytes allocated for %d bytes read", name, got, len(b))
		}
	}
}

// TestSharedPathsAreBounded reads paths of nearly 4,096 bytes that cost 8 bytes
// each.
func TestSharedPathsAreBounded(t *testing.T) {
	stem := strings.Repeat("d/", MaxPath/2-4)
	r := rawEncoding(MaxEntries).entry(1, 0, stem+"00000", 0)
	last := "00000"
	for i := 1; i < MaxText/len(stem)+1; i++ {
		name := fmt.Sprintf("%05x", i)
		shared := 0
		for name[shared] == last[shared] {
			shared++
		}
		r.entry(1, uint64(len(stem)+shared), name[shared:], 0)
		last = name
	}
	if n := len(r.entries); n > 1<<20 {
		t.Fatalf("%d bytes: too long to show anything", n)
	}
	wantParse(t, r.bytes(), "paths and links longer")
}

func TestTreeDigest(t *testing.T) {
	base := sample().Entries
	same := TreeDigest(base)
	b := encode(t, sample())
	if got := Digest(b[len(b)-32:]); got != same {
		t.Errorf("the encoding ends in %v, want %v", got, same)
	}
	other := sample()
	other.Release = small().Release
	if got := TreeDigest(other.Entries); got != same {
		t.Error("facts change the tree digest")
	}
	if TreeDigest(nil) != TreeDigest([]Entry{}) {
		t.Error("nil and empty differ")
	}
	for name, change := range map[string]func([]Entry) []Entry{
		"path":    func(e []Entry) []Entry { e[0].Path = "READMX"; return e },
		"mode":    func(e []Entry) []Entry { e[0].Mode = 0o600; return e },
		"size":    func(e []Entry) []Entry { e[0].Size++; return e },
		"content": func(e []Entry) []Entry { e[0].Digest[31]++; return e },
		"link":    func(e []Entry) []Entry { e[2].Link = "app2"; return e },
		"kind":    func(e []Entry) []Entry { e[3] = file("cache", 0o700, ""); return e },
		"config":  func(e []Entry) []Entry { e[4].Config = KeepConfig; return e },
		"fewer":   func(e []Entry) []Entry { return e[:len(e)-1] },
		"more":    func(e []Entry) []Entry { return append(e, file("z", 0o644, "")) },
	} {
		if got := TreeDigest(change(slices.Clone(base))); got == same {
			t.Errorf("another %s, the same digest", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, small()))
	f.Add(rawEncoding(3).entry(0x20, 0, "ab", content...).entry(1, 1, "c", 0xed, 3).entry(2, 0, "b", 1, 'x').bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		wantOneSpelling(t, b)
		wantOneSpelling(t, mendTree(b))
	})
}
