package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
)

func names(files []File) string {
	var list []string
	for _, f := range files {
		list = append(list, strings.TrimSuffix(path.Base(f.Name), ".json"))
	}
	return strings.Join(list, " ")
}

func (w *world) open(signers ...Signer) *Editor {
	w.t.Helper()
	opt := w.options()
	opt.Cache = nil
	e, err := Open(context.Background(), opt, EditorOptions{Now: w.clock, Signers: signers})
	w.must(err)
	return e
}

func TestCommitReturnsFilesInUploadOrder(t *testing.T) {
	w := newWorld(t)
	other := NewTarget("indexes/lib/1.0.0/any.json", nil, nil)
	tests := []struct {
		name string
		do   func(e *Editor) error
		want string
	}{
		{"nothing new", func(e *Editor) error { return nil }, "timestamp"},
		{"same targets", func(e *Editor) error { return e.SetTargets("app", []Target{target("1.0.0")}) }, "timestamp"},
		{"release", func(e *Editor) error { return e.SetTargets("app", []Target{target("1.1.0")}) }, "2.app 2.snapshot timestamp"},
		{"product", func(e *Editor) error { return e.SetTargets("lib", []Target{other}) }, "1.lib 2.targets 3.snapshot timestamp"},
		{"empty product", func(e *Editor) error { return e.SetTargets("lib", nil) }, "2.lib 4.snapshot timestamp"},
		{"replaced key", func(e *Editor) error {
			next := w.key(Ed25519)
			was := w.release
			w.release = next
			*e = *w.open(w.recovery, next)
			return e.ReplaceKey(public(was), public(next))
		}, "3.app 3.lib 3.targets 5.snapshot 2.root timestamp"},
	}
	for _, tt := range tests {
		w.must(tt.do(w.editor))
		files := w.commit()
		if got := names(files); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		w.mustUpdate()
	}
	if got := w.editor.Products(); !reflect.DeepEqual(got, []string{"app", "lib"}) {
		t.Errorf("products: %v", got)
	}
	if got := w.editor.Targets("nope"); got != nil {
		t.Errorf("targets of nothing: %v", got)
	}
	if !bytes.Equal(w.editor.Root(), w.files["metadata/2.root.json"]) {
		t.Error("Root is not the published one")
	}
}

// What one editor published, another goes on with.
func TestOpenGoesOnWhereCommitEnded(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.editor = w.open(w.release)
		if got := w.editor.Targets("app"); len(got) != 1 || got[0].Name != target(fmt.Sprintf("1.0.%d", i)).Name {
			t.Fatalf("step %d: got %+v", i, got)
		}
		w.publish(target(fmt.Sprintf("1.0.%d", i+1)))
		w.mustUpdate()
	}
}

func TestSameInputsSameBytes(t *testing.T) {
	recovery, _ := GenerateKey(Ed25519)
	release, _ := GenerateKey(Ed25519)
	make := func(order []string) []File {
		e, err := Create(context.Background(), recovery, release, EditorOptions{Now: func() time.Time { return start.Add(300 * time.Millisecond) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range order {
			tg := func(v, custom string) Target {
				return NewTarget("manifests/"+p+"/"+v+"/any.zst", []byte(v), json.RawMessage(custom))
			}
			if err := e.SetTargets(p, []Target{tg("1.0.0", `{"a" : 1}`), tg("2.0.0", ""), tg("1.5.0", "")}); err != nil {
				t.Fatal(err)
			}
		}
		files, err := e.Commit(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	a, b := make([]string{"x", "y", "z"}), make([]string{"z", "x", "y"})
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got different bytes for the same products")
	}
	for _, f := range a {
		if bytes.ContainsAny(f.Data, "\n\t") {
			t.Errorf("%s is not compact", f.Name)
		}
	}
}

func TestSetTargetsReportsAllFaults(t *testing.T) {
	w := newWorld(t)
	bad := []Target{
		{Name: "manifests/other/1.0.0/any.zst"},
		{Name: "manifests/app/any.zst"},
		{Name: "manifests/app/../any.zst"},
		{Name: "manifests/app/1.0.0/a b.zst"},
		{Name: "manifests/app/1.0.0/long.zst", Length: -7},
		{Name: "manifests/app/1.0.0/null.zst", Custom: json.RawMessage(`{"a":null}`)},
		{Name: "manifests/app/1.0.0/case.zst", Custom: json.RawMessage(`{"Length":1}`)},
		{Name: "manifests/app/1.0.0/json.zst", Custom: json.RawMessage(`{`)},
		{Name: "manifests/app/1.0.0/twice.zst"},
		{Name: "manifests/app/1.0.0/twice.zst"},
	}
	err := w.editor.SetTargets("app", bad)
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"other", `"manifests/app/any.zst"`, "..", "a b", "-7", "null.zst", "case.zst", "json.zst", "twice"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not tell of %s:\n%v", want, err)
		}
	}
	for _, name := range []string{"", "root", "targets", "App", "a/b", "..", "a*", "-a", strings.Repeat("a", 65)} {
		if err := w.editor.SetTargets(name, nil); err == nil {
			t.Errorf("product %q: want an error", name)
		}
	}
	w.commit()
	if got := w.mustUpdate(); len(got) != 1 {
		t.Errorf("the faulty targets changed something: %+v", got)
	}
}

func TestSetKeysAndReplaceKeyRefuse(t *testing.T) {
	w := newWorld(t)
	k := w.key(Ed25519)
	for name, err := range map[string]error{
		"no keys":       w.editor.SetKeys("app", 1),
		"threshold 0":   w.editor.SetKeys("app", 0, public(k)),
		"threshold 2":   w.editor.SetKeys("app", 2, public(k)),
		"key twice":     w.editor.SetKeys("app", 1, public(k), public(k)),
		"no such role":  w.editor.SetKeys("nope", 1, public(k)),
		"no such key":   w.editor.ReplaceKey(public(k), public(w.key(Ed25519))),
		"the same":      w.editor.ReplaceKey(public(w.release), public(w.release)),
		"not a key":     w.editor.ReplaceKey(nil, public(k)),
		"not a new key": w.editor.ReplaceKey(public(k), "key"),
	} {
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	if got := names(w.commit()); got != "timestamp" {
		t.Errorf("refused changes were committed: %s", got)
	}
}

func TestCommitRenewsWhatIsHalfOver(t *testing.T) {
	for _, tt := range []struct {
		days    int
		signers func(w *world) []Signer
		want    string
	}{
		{44, func(w *world) []Signer { return []Signer{w.release} }, "timestamp"},
		{46, func(w *world) []Signer { return []Signer{w.release} }, "2.snapshot timestamp"},
		{200, func(w *world) []Signer { return []Signer{w.release} }, "2.app 2.targets 2.snapshot timestamp"},
		{4 * 365, func(w *world) []Signer { return []Signer{w.release} }, "2.app 2.targets 2.snapshot timestamp"},
		{4 * 365, func(w *world) []Signer { return []Signer{w.release, w.recovery} }, "2.app 2.targets 2.snapshot 2.root timestamp"},
		{6 * 365, func(w *world) []Signer { return []Signer{w.release, w.recovery} }, "2.app 2.targets 2.snapshot 2.root timestamp"},
	} {
		w := newWorld(t)
		w.now = start.Add(time.Duration(tt.days) * day)
		w.editor = w.open(tt.signers(w)...)
		if got := names(w.commit()); got != tt.want {
			t.Errorf("after %d days: got %s, want %s", tt.days, got, tt.want)
		}
		w.mustUpdate()
	}
}

// A key of its own for the timestamp lets cron keep a repository fresh.
func TestTimestampKeyAlone(t *testing.T) {
	w := newWorld(t)
	cron := w.key(Ed25519)
	w.editor = w.open(w.recovery, w.release, cron)
	w.must(w.editor.SetKeys("timestamp", 1, public(cron)))
	w.commit()
	w.mustUpdate()

	w.now = start.Add(60 * day)
	w.editor = w.open(cron)
	if got := names(w.commit()); got != "timestamp" {
		t.Errorf("got %s", got)
	}
	w.mustUpdate()
	w.must(w.editor.SetTargets("app", nil))
	if _, err := w.editor.Commit(context.Background()); err == nil || !strings.Contains(err.Error(), "2.app.json") {
		t.Errorf("a release by the timestamp key: got %v", err)
	}
}

func TestLifetimes(t *testing.T) {
	w := newWorld(t)
	e, err := Create(context.Background(), w.recovery, w.release, EditorOptions{Now: w.clock,
		Lifetime: Lifetime{Root: 10 * day, Targets: 5 * day, Snapshot: 3 * day, Timestamp: day}})
	w.must(err)
	w.must(e.SetTargets("app", nil))
	files, err := e.Commit(context.Background())
	w.must(err)
	want := map[string]int{"1.root": 10, "1.targets": 5, "1.app": 5, "1.snapshot": 3, "timestamp": 1}
	for _, f := range files {
		days := want[names([]File{f})]
		got := decode(t, f.Data)["signed"].(object)["expires"]
		if got != start.Add(time.Duration(days)*day).Format(time.RFC3339) {
			t.Errorf("%s expires %v, want after %d days", f.Name, got, days)
		}
	}
	if len(files) != len(want) {
		t.Errorf("got %s", names(files))
	}
}

// A commit that fails, or whose signer fails, can be tried again.
func TestFailedCommitChangesNothing(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("service unavailable")
	flaky := &service{Signer: w.release}
	w.editor = w.open(flaky)
	w.must(w.editor.SetTargets("app", []Target{target("3.0.0")}))
	flaky.sign = broken
	if _, err := w.editor.Commit(context.Background()); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	flaky.sign = nil
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.editor.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: got %v", err)
	}
	if got := names(w.commit()); got != "2.app 2.snapshot timestamp" {
		t.Errorf("got %s", got)
	}
	if got := w.mustUpdate(); got[0].Name != target("3.0.0").Name {
		t.Errorf("got %+v", got)
	}
}

// A signer whose signatures are wrong is found before anything is published.
func TestWrongSignaturesAreNotPublished(t *testing.T) {
	w := newWorld(t)
	other := w.key(Ed25519)
	w.editor = w.open(impostor{w.release, other})
	_, err := w.editor.Commit(context.Background())
	wantError[*SignatureError](t, err)
}

type impostor struct {
	Signer // whose public key it shows
	signs  *Key
}

func (i impostor) SignMessage(m io.Reader, opts ...signature.SignOption) ([]byte, error) {
	return i.signs.SignMessage(m, opts...)
}

func TestOpenVerifies(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{timestampFile, "metadata/1.snapshot.json", "metadata/1.targets.json", "metadata/1.app.json"} {
		good := w.files[name]
		w.files[name] = bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1)
		if bytes.Equal(good, w.files[name]) {
			t.Fatalf("%s has no version 1", name)
		}
		if _, err := Open(context.Background(), w.options(), EditorOptions{}); err == nil {
			t.Errorf("%s tampered: want an error", name)
		}
		w.files[name] = good
	}
}

// The owner's answer to a stolen release key, from end to end.
func TestStolenReleaseKey(t *testing.T) {
	w := newWorld(t)
	w.mustUpdate()
	evil := target("6.6.6")
	thief := w.open(w.release)
	w.must(thief.SetTargets("app", []Target{evil}))
	files, err := thief.Commit(context.Background())
	w.must(err)
	for _, f := range files {
		w.files[f.Name] = f.Data
	}
	if got := w.mustUpdate(); got[0].Name != evil.Name {
		t.Fatalf("got %+v", got)
	}

	stolen := w.rotate()
	w.publish(target("1.0.0"))
	if got := w.mustUpdate(); got[0].Name != target("1.0.0").Name {
		t.Errorf("got %+v", got)
	}
	for _, name := range []string{timestampFile, w.newest("snapshot"), w.newest("targets"), w.newest("app")} {
		if bytes.Contains(w.files[name], []byte(stolen.ID())) {
			t.Errorf("%s still names the stolen key", name)
		}
	}
	if bytes.Contains(w.editor.Root(), []byte(stolen.ID())) {
		t.Error("the root still names the stolen key")
	}
	// The thief goes on with the next versions.
	w.release = stolen
	w.insider("app", func(s object) { s["targets"] = object{} })
	wantError[*SignatureError](t, second(w.update()))
}

func TestManyProducts(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 40 {
		name := fmt.Sprintf("p%02d", i)
		want = append(want, name)
		w.must(w.editor.SetTargets(name, []Target{NewTarget("manifests/"+name+"/1.0.0/any.zst", []byte(name), nil)}))
	}
	w.commit()
	w.requests()
	c := w.client()
	w.must(c.Refresh(context.Background()))
	if got := c.Products(); !reflect.DeepEqual(got, append([]string{"app"}, want...)) {
		t.Errorf("got %v", got)
	}
	got, err := c.Targets(context.Background(), "p17")
	w.must(err)
	w.must(got[0].Check([]byte("p17")))
	if asked := w.requests(); len(asked) != 5 || !slices.Contains(asked, "metadata/1.p17.json") {
		t.Errorf("a client of one product asked for %v", asked)
	}
}
