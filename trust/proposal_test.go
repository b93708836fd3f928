package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// propose makes a proposal with these keys at hand, after a change.
func (w *world) propose(change func(e *Editor) error, signers ...Signer) []byte {
	w.t.Helper()
	e := w.open(signers...)
	w.must(change(e))
	b, err := e.Propose(context.Background())
	w.must(err)
	return b
}

func (w *world) countersign(b []byte, signers ...Signer) []byte {
	w.t.Helper()
	b, _, err := Countersign(context.Background(), b, signers...)
	w.must(err)
	return b
}

// adopt publishes proposals with the release key.
func (w *world) adopt(all ...[]byte) error {
	w.t.Helper()
	e := w.open(w.release)
	for _, b := range all {
		if err := e.Adopt(b); err != nil {
			return err
		}
	}
	w.editor = e
	files, err := e.Commit(context.Background())
	for _, f := range files {
		w.files[f.Name] = f.Data
		w.genuine[digest(f.Data)] = true
	}
	return err
}

// Three people, three machines: a root that two of three recovery keys must sign.
func TestRootOfThreePeople(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	a, b, c := w.recovery, w.key(Ed25519), w.key(ECDSA)
	two := func(e *Editor) error { return e.SetKeys("root", 2, public(a), public(b), public(c)) }
	first := w.propose(two)
	if err := w.adopt(w.countersign(first, a)); err == nil || !strings.Contains(err.Error(), "wants 2") {
		t.Fatalf("one of two signatures: got %v", err)
	}
	w.must(w.adopt(w.countersign(first, a), w.countersign(first, c)))
	w.mustUpdate()

	// From now on b and c can do without a. One after the other, this time.
	stolen := w.release
	w.release = w.key(Ed25519)
	replace := func(e *Editor) error { return e.ReplaceKey(public(stolen), public(w.release)) }
	next := w.countersign(w.countersign(w.propose(replace, w.release), b), c)
	w.must(w.adopt(next))
	if got := w.mustUpdate(); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
	if v := decode(t, w.editor.Root())["signed"].(object)["version"].(json.Number); v != "3" {
		t.Errorf("root %s", v)
	}
}

// An add-on's maker signs with a key of their own, and has no other.
func TestProposalOfAProduct(t *testing.T) {
	w := newWorld(t)
	own := w.key(ECDSA)
	w.editor = w.open(w.release, own)
	w.must(w.editor.SetKeys("app", 1, public(own)))
	w.commit()
	b := w.propose(func(e *Editor) error { return e.SetTargets("app", []Target{target("9.0.0")}) }, own)
	w.must(w.adopt(b))
	if got := w.mustUpdate(); got[0].Name != target("9.0.0").Name {
		t.Errorf("got %+v", got)
	}
	if err := w.adopt(b); err == nil || !strings.Contains(err.Error(), "moved on") {
		t.Errorf("the same again: got %v", err)
	}
}

func TestPendingTellsWhatIsSigned(t *testing.T) {
	w := newWorld(t)
	other := w.key(ECDSA)
	b := w.propose(func(e *Editor) error { return e.SetKeys("timestamp", 1, public(other)) })
	_, before, err := Countersign(context.Background(), b)
	w.must(err)
	signed, after, err := Countersign(context.Background(), b, w.recovery, w.key(Ed25519))
	w.must(err)
	if len(before) != 1 || before[0].Role != "root" || before[0].Version != 2 || before[0].Missing != 1 || len(before[0].Signed) != 0 {
		t.Errorf("before: %+v", before)
	}
	if after[0].Missing != 0 || len(after[0].Signed) != 1 || after[0].Signed[0] != w.recovery.ID() || after[0].SHA256 != before[0].SHA256 {
		t.Errorf("after: %+v", after)
	}
	if want := "timestamp: 1 of the keys " + other.ID(); !strings.Contains(strings.Join(after[0].Roles, "\n"), want) {
		t.Errorf("got %q, want %q among them", after[0].Roles, want)
	}
	if again := w.countersign(signed, w.recovery); !bytes.Equal(again, signed) {
		t.Error("signing twice changed the proposal")
	}
}

func TestBadProposals(t *testing.T) {
	w := newWorld(t)
	w.must(w.editor.SetTargets("app", []Target{target("1.0.0"), target("1.1.0")}))
	w.commit()
	good := w.propose(func(e *Editor) error { return e.SetTargets("app", []Target{target("2.0.0")}) }, w.release)
	other := w.propose(func(e *Editor) error { return e.SetTargets("app", []Target{target("3.0.0")}) }, w.release)
	edit := func(old, new string) []byte {
		b := bytes.ReplaceAll(good, []byte(old), []byte(new))
		if bytes.Equal(b, good) {
			t.Fatalf("no %s in the proposal", old)
		}
		return b
	}
	for name, bad := range map[string][][]byte{
		"not JSON":             {[]byte("x")},
		"other format":         {edit(`"treegraft_proposal": 1`, `"treegraft_proposal": 2`)},
		"unknown field":        {edit(`"treegraft_proposal": 1`, `"treegraft_proposal": 1, "x": 1`)},
		"two that differ":      {good, other},
		"no such product":      {edit(`"role": "app"`, `"role": "nope"`)},
		"a role of no product": {edit(`"role": "app"`, `"role": "snapshot"`)},
		"targets as a root":    {edit(`"role": "app"`, `"role": "root"`)},
		"null file":            {[]byte(`{"treegraft_proposal":1,"files":[null]}`)},
		"foreign path":         {edit(`manifests/app/2.0.0`, `manifests/web/2.0.0`)},
	} {
		if err := w.adopt(bad...); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	// Content that was changed on the way has no signature that counts.
	e := w.open()
	if err := e.Adopt(edit("2.0.0", "6.6.6")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(context.Background()); err == nil || !strings.Contains(err.Error(), "have 0") {
		t.Errorf("changed on the way: got %v", err)
	}
	w.must(w.adopt(good))
}

// A signature that somebody made up does not keep out the real one.
func TestMadeUpSignature(t *testing.T) {
	w := newWorld(t)
	b := w.propose(func(e *Editor) error { return e.SetKeys("root", 1, public(w.key(ECDSA)), public(w.recovery)) })
	var p proposal
	w.must(json.Unmarshal(w.countersign(b, w.recovery), &p))
	doc := decode(t, p.Files[0].Metadata)
	doc["signatures"].([]any)[0].(object)["sig"] = strings.Repeat("00", 64)
	p.Files[0].Metadata, _ = json.Marshal(doc)
	bad, err := json.Marshal(p)
	w.must(err)
	w.must(w.adopt(bad, w.countersign(b, w.recovery)))
	w.mustUpdate()
}

func TestNothingToPropose(t *testing.T) {
	w := newWorld(t)
	if _, err := w.open(w.release).Propose(context.Background()); err == nil {
		t.Error("want an error")
	}
	broken := errors.New("no such key")
	if _, _, err := Countersign(context.Background(), []byte(`{"treegraft_proposal":1}`), service{w.release, broken, nil}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// FuzzProposal looks for proposals that break whoever reads them.
func FuzzProposal(f *testing.F) {
	w := newWorld(f)
	f.Add(w.propose(func(e *Editor) error { return e.SetKeys("targets", 1, public(w.key(ECDSA))) }, w.release))
	f.Add(w.propose(func(e *Editor) error { return e.SetTargets("app", nil) }, w.release))
	f.Add([]byte(`{"treegraft_proposal":1,"files":[{"role":"root","wants":null,"metadata":{}}]}`))
	files := w.files
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := Countersign(context.Background(), b, w.release, w.recovery)
		if err != nil && strings.Contains(err.Error(), "panic") && !bytes.Contains(b, []byte("panic")) {
			t.Fatal(err)
		}
		o := &world{t: t, now: start, embedded: w.embedded, files: files}
		e := o.open(w.release)
		_ = e.Adopt(b)
		_, _ = e.Commit(context.Background())
	})
}
