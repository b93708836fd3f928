package atomicfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/treegraft-dev/treegraft/internal/treetest"
	"github.com/zeebo/blake3"
	"pgregory.net/rapid"
)

func sampleJournal() *journal {
	j := &journal{id: "1.2.3", seq: 7, time: time.Unix(1700000000, 0)}
	one, two := nodeOf(treetest.File("1")), nodeOf(treetest.Exec("22"))
	dir, link := nodeOf(treetest.Dir(0o555)), nodeOf(treetest.Symlink("x"))
	j.records = []record{
		{path: ".treegraft/meta/installed", old: one, new: two, oldSlot: 1, newSlot: 1},
		{path: "a", new: one, newSlot: 2, last: true},
		{path: "b", old: one, new: nodeOf(treetest.Exec("1"))},
		{path: "c", old: link, oldSlot: 2},
		{path: "d", old: dir, new: dir},
		{path: "e", old: two, new: link, oldSlot: 3, newSlot: 3, moved: true},
		{path: "f", old: one, new: dir, oldSlot: 4, newSlot: 4, kept: "f.kept"},
		{path: "g", kept: "g.kept"},
		{path: "ö/h", old: dir},
	}
	return j
}

var equalJournals = cmp.AllowUnexported(journal{}, record{})

func TestJournalRoundTrip(t *testing.T) {
	for _, kind := range []int{kindCommit, kindRollback, kindFinal} {
		want := sampleJournal()
		want.rollback, want.final = kind == kindRollback, kind == kindFinal
		b, err := want.encode()
		must(t, err)
		got, err := readJournal(bytes.NewReader(b))
		must(t, err)
		if d := cmp.Diff(want, got, equalJournals); d != "" {
			t.Error(d)
		}
	}
}

// Any journal that differs in one byte, or in length, is refused.
func TestJournalDamage(t *testing.T) {
	b, err := sampleJournal().encode()
	must(t, err)
	for i := range b {
		bad := slices.Clone(b)
		bad[i] ^= 0x40
		if _, err := parseJournal(bad); err == nil {
			t.Errorf("byte %d flipped: want an error, got none", i)
		}
		if _, err := parseJournal(b[:i]); err == nil {
			t.Errorf("cut at %d: want an error, got none", i)
		}
	}
	if _, err := parseJournal(append(slices.Clone(b), 0)); err == nil {
		t.Error("one byte more: want an error, got none")
	}
}

// sealPayload puts a right header before any payload.
func sealPayload(payload []byte) []byte {
	b := append([]byte(journalMagic), binary.BigEndian.AppendUint64(nil, uint64(len(payload)))...)
	sum := blake3.Sum256(payload)
	return append(append(b, sum[:]...), payload...)
}

// Records that no plan exists for are refused, whatever the checksum says.
func TestJournalRefuses(t *testing.T) {
	one, dir, link := nodeOf(treetest.File("1")), nodeOf(treetest.Dir(0o755)), nodeOf(treetest.Symlink("x"))
	two := nodeOf(treetest.File("2"))
	for fault, records := range map[string][]record{
		"outside":           {{path: "../x", new: one, newSlot: 1}},
		"state folder":      {{path: StateDir + "/journal", new: one, newSlot: 1}},
		"kept outside":      {{path: "x", kept: "../y"}},
		"kept in state":     {{path: "x", kept: MetaDir + "/y"}},
		"not rising":        {{path: "b", new: one, newSlot: 1}, {path: "a", new: one, newSlot: 2}},
		"twice":             {{path: "a", new: one, newSlot: 1}, {path: "a", new: one, newSlot: 2}},
		"slot twice":        {{path: "a", new: one, newSlot: 1}, {path: "b", new: one, newSlot: 1}},
		"backup twice":      {{path: "a", old: one, oldSlot: 1}, {path: "b", old: one, oldSlot: 1}},
		"no content":        {{path: "a", new: one}},
		"no new content":    {{path: "a", old: one, new: two, oldSlot: 1}},
		"no link":           {{path: "a", new: link}},
		"no folder":         {{path: "a", new: dir}},
		"no backup":         {{path: "a", old: one, new: two, newSlot: 1}},
		"no backup to go":   {{path: "a", old: one}},
		"backup of nothing": {{path: "a", new: one, oldSlot: 1, newSlot: 1}},
		"backup of folder":  {{path: "a", old: dir, oldSlot: 1}},
		"content of none":   {{path: "a", old: one, oldSlot: 1, newSlot: 1}},
		"moved nothing":     {{path: "a", new: one, newSlot: 1, moved: true}},
		"setuid":            {{path: "a", new: &Node{Kind: File, Mode: 0o4755}, newSlot: 1}},
		"empty link":        {{path: "a", new: &Node{Kind: Symlink}, newSlot: 1}},
		"special":           {{path: "a", new: &Node{Kind: Other, Link: "x"}, newSlot: 1}},
	} {
		j := &journal{id: "x", seq: 1, records: records}
		b, err := j.encode()
		must(t, err)
		if got, err := parseJournal(b); err == nil {
			t.Errorf("%s: want an error, got %+v", fault, got.records)
		}
	}
	good, err := sampleJournal().encode()
	must(t, err)
	payload := good[journalHeader:]
	for fault, bad := range map[string][]byte{
		"kind 0":       append([]byte{0}, payload[1:]...),
		"kind 4":       append([]byte{4}, payload[1:]...),
		"trailing":     append(slices.Clone(payload), 0),
		"empty":        {},
		"huge count":   append(slices.Clone(payload[:24]), 0xff, 0xff, 0xff, 0xff),
		"endless id":   append(slices.Clone(payload[:17]), 0xff, 0xff),
		"short record": payload[:40],
	} {
		if _, err := parseJournal(sealPayload(bad)); err == nil {
			t.Errorf("%s: want an error, got none", fault)
		}
	}
	if _, err := parseJournal(sealPayload(payload)); err != nil {
		t.Errorf("untouched: %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	b, err := sampleJournal().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[journalHeader:])
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		whole := sealPayload(payload)
		j, err := parseJournal(whole)
		if err != nil {
			return
		}
		again, err := j.encode()
		if err != nil || !bytes.Equal(again, whole) {
			t.Errorf("re-encoded: want the same bytes, got %v", err)
		}
		for _, s := range plan(j.records) { // takes whatever parses
			if s.r == nil {
				t.Error("step without a record")
			}
		}
	})
}

// A journal that cannot be read stops everything, and nothing is swept.
func TestDamagedJournalStops(t *testing.T) {
	root := scratch(t)
	from, to, _ := eventful(t)
	plant(t, root, from)
	s := &script{}
	s.act = func(_ int, step string) error {
		if strings.HasPrefix(step, "sync "+StateDir) && slices.Contains(s.steps, "rename "+journalNew+" -> "+journalFile) {
			return errStop
		}
		return nil
	}
	_, err := update(root, from, to, Options{Hook: noSync(s).hook}, CommitOptions{})
	if err == nil {
		t.Fatal("want the update stopped, got success")
	}
	name := filepath.Join(root, filepath.FromSlash(journalFile))
	b, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, b[:len(b)-1], 0o600))
	for range 2 {
		if _, err := Open(root, Options{}); err == nil || !strings.Contains(err.Error(), ErrNeedsRecovery.Error()) {
			t.Fatalf("want ErrNeedsRecovery, got %v", err)
		}
		wantTree(t, root, from, "damaged journal")
	}
	must(t, os.WriteFile(name, b, 0o600))
	tree, err := Open(root, Options{})
	must(t, err)
	defer tree.Close()
	wantTree(t, root, to, "mended journal")
	if r := tree.Recovered(); !r.Forward || r.Back || r.ID != "update" || r.Rollback || !slices.Contains(r.Swept, "staging") && len(r.Swept) > 0 {
		t.Errorf("want recovery forward, got %+v", r)
	}
}

// The order of steps keeps its promises for any records.
func TestPlanOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from, to := drawTree(rt, "from"), drawTree(rt, "to")
		var records []record
		for _, c := range between(listed(from), listed(to)) {
			records = append(records, record{path: c.Path, old: c.Old, new: c.New, last: c.Last})
		}
		for i := range records {
			r := &records[i]
			if r.old.is(File) || r.old.is(Symlink) {
				r.oldSlot = uint32(i + 1)
			}
			if r.new.is(File) || r.new.is(Symlink) || r.new.is(Dir) && !r.old.is(Dir) {
				r.newSlot = uint32(i + 1)
			}
		}
		steps := plan(records)
		at := map[string]map[verb]int{}
		for i, s := range steps {
			if at[s.r.path] == nil {
				at[s.r.path] = map[verb]int{}
			}
			if _, twice := at[s.r.path][s.verb]; twice {
				rt.Fatalf("%s: verb %d twice", s.r.path, s.verb)
			}
			at[s.r.path][s.verb] = i
		}
		for p, verbs := range at {
			for dir := range ancestors(p) {
				checkOrder(rt, p, verbs, at[dir])
			}
		}
	})
}

// listed names every folder of a tree.
func listed(tree treetest.Tree) treetest.Tree {
	all := with(tree)
	for p := range tree {
		for dir := range ancestors(p) {
			if _, ok := all[dir]; !ok {
				all[dir] = treetest.Dir(0o755)
			}
		}
	}
	return all
}

// checkOrder compares when a path and a folder above it have their turns.
func checkOrder(rt *rapid.T, p string, verbs, above map[verb]int) {
	before := func(a map[verb]int, v verb, b map[verb]int, w verb, rule string) {
		i, ok := a[v]
		j, both := b[w]
		if ok && both && i > j {
			rt.Fatalf("%s: %s", p, rule)
		}
	}
	before(above, makeDir, verbs, put, "put before its folder is made")
	before(above, makeDir, verbs, makeDir, "made before the folder above")
	before(verbs, take, above, closeDir, "folder closed before it is empty")
	before(verbs, closeDir, above, closeDir, "folder closed before the one below")
	before(above, openDir, verbs, take, "taken from a folder not open")
	before(verbs, put, above, sealDir, "put into a sealed folder")
	before(verbs, take, above, put, "put where something is left below")
}
