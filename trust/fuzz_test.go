package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// roles of metadata, in the order in which the fuzzers number them.
var fuzzRoles = []string{"root", "timestamp", "snapshot", "targets", "app"}

// FuzzParse looks for bytes that break the reader, and for metadata that changes
// when it is written again.
func FuzzParse(f *testing.F) {
	w := newWorld(f)
	for i, role := range fuzzRoles {
		file := timestampFile
		if role != "timestamp" {
			file = w.newest(role)
		}
		f.Add(uint8(i), w.files[file])
		f.Add(uint8(i), []byte(strings.ReplaceAll(string(w.files[file]), `"version":`, `"version":9`)))
		f.Add(uint8(i), []byte(`{"signatures":[],"signed":{}}`))
	}
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		role := fuzzRoles[int(n)%len(fuzzRoles)]
		err := parseRole("f", role, b)
		if err != nil {
			wantError[*FormatError](t, err)
			if strings.Contains(err.Error(), "panic") && !strings.Contains(string(b), "panic") {
				t.Errorf("go-tuf panicked: %v", err)
			}
			return
		}
		again, err := rewrite(role, b)
		if err != nil {
			t.Fatal(err)
		}
		if err := parseRole("f", role, again); err != nil {
			t.Errorf("not readable when written again: %v", err)
		}
	})
}

func rewrite(role string, b []byte) ([]byte, error) {
	switch role {
	case metadata.ROOT:
		m := must(parse[metadata.RootType]("f", role, b, maxRoot))
		ours.usableRoot(m)
		return m.ToBytes(false)
	case metadata.TIMESTAMP:
		return must(parse[metadata.TimestampType]("f", role, b, maxTimestamp)).ToBytes(false)
	case metadata.SNAPSHOT:
		return must(parse[metadata.SnapshotType]("f", role, b, maxSnapshot)).ToBytes(false)
	}
	m := must(parse[metadata.TargetsType]("f", role, b, maxTargets))
	ours.usableTargets(m)
	return m.ToBytes(false)
}

// FuzzSigned signs whatever it is given, and takes it through the whole workflow:
// nothing a key holder says may break a client.
func FuzzSigned(f *testing.F) {
	w := newWorld(f)
	for i, role := range fuzzRoles {
		file := timestampFile
		if role != "timestamp" {
			file = w.newest(role)
		}
		b, err := json.Marshal(decode(f, w.files[file])["signed"])
		w.must(err)
		f.Add(uint8(i), b)
	}
	files := w.files
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		var signed object
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.UseNumber()
		if dec.Decode(&signed) != nil || foreign.scanJSON(b) != nil {
			return
		}
		for _, d := range []dialect{ours, foreign} {
			fuzzWorkflow(t, w, files, d, fuzzRoles[int(n)%len(fuzzRoles)], signed)
		}
	})
}

// fuzzWorkflow signs what a role says, and refreshes.
func fuzzWorkflow(t *testing.T, w *world, files map[string][]byte, d dialect, role string, signed object) {
	t.Helper()
	w = &world{t: t, now: start, recovery: w.recovery, release: w.release, embedded: w.embedded, files: maps.Clone(files), step: 1}
	change := func(s object) {
		clear(s)
		maps.Copy(s, signed)
	}
	if role == "root" {
		w.nextRoot([]*Key{w.recovery}, change)
	} else {
		w.insider(role, change)
	}
	opt := w.options()
	opt.Cache, opt.Foreign = nil, bool(d)
	c, err := New(opt)
	w.must(err)
	err = c.Refresh(context.Background())
	if err == nil {
		for _, p := range append(c.Products(), "app") {
			if list, e := c.Targets(context.Background(), p); e != nil {
				err = e
			} else if len(list) > 0 {
				_, _ = list[0].File(), list[0].Check(nil)
			}
		}
		for _, name := range []string{"manifests/app/1.0.0/any.zst", "x"} {
			if _, e := c.Find(context.Background(), name); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = e
			}
		}
	}
	if err != nil && strings.Contains(err.Error(), "panic") && !strings.Contains(fmt.Sprint(signed), "panic") {
		t.Errorf("go-tuf panicked: %v", err)
	}
}

func TestScanJSON(t *testing.T) {
	for _, good := range []string{
		`{}`, `[]`, `"x"`, `7`, `true`, ` {"a":{"a":{"a":[1,{"a":2},"a","a"]}}} `,
		`{"a":"a","b":"a"}`, `{"manifests/A/x":1,"manifests/a/x":2}`, `{"a":9007199254740991}`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		if err := ours.scanJSON([]byte(good)); err != nil {
			t.Errorf("%.60s: %v", good, err)
		}
	}
	for _, bad := range []string{
		``, ` `, `{`, `[`, `]`, `{"a"}`, `{"a":}`, `{}}`, `[1`, `nul`,
		`null`, `[null]`, `{"a":null}`, `{"a":1,"a":1}`, `{"a":{},"a":[]}`, `{"a":1,"\u0061":2}`,
		`{"A":1}`, `{"\u212a":1}`, `{"a b":1}`, `{"x":{"Y":1}}`, "{\"\xc3\x28\":1}", `{"\ud800":1}`,
		`{"a":9007199254740992}`, `{"a":1.0}`, `{"a":1e3}`, `{"a":-1}`, `{"a":99999999999999999999999}`,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		strings.Repeat("[", 1<<20),
	} {
		if err := ours.scanJSON([]byte(bad)); err == nil {
			t.Errorf("%.60s: want an error", bad)
		}
	}
}

// Go's token reader takes two values in a row, so parse must not.
func TestParseWantsOneValue(t *testing.T) {
	w := newWorld(t)
	good := w.files[timestampFile]
	for _, tail := range []string{"{}", " 1", "\x00", "]"} {
		if err := parseRole("f", "timestamp", append(good[:len(good):len(good)], tail...)); kind(err) != "format" {
			t.Errorf("followed by %q: got %v", tail, err)
		}
	}
}

func TestGuardTurnsPanicsIntoErrors(t *testing.T) {
	var nothing []int
	err := guard(func() error { nothing[len(nothing)]++; return nil })
	if err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}
