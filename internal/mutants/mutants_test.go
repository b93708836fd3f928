package mutants

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one mistake: in a file, old becomes new.
type mutant struct {
	name, file string
	old, new   string
}

// killers are the packages whose tests must notice, the quickest first.
var killers = []string{"./lifecycle/", "./trust/", "./internal/tufclient/", "./client/", "./internal/attacks/"}

var all = []mutant{
	{"root: any version goes", "trust/verify.go", "if got := m.Signed.Version; got < want {", "if got := m.Signed.Version; false && got < want {\n\t} else if true {\n\t\treturn d.selfSigned(file, m)\n\t} else if got < want {"},
	{"root: a version may be skipped", "trust/verify.go", "} else if got > want {", "} else if false {"},
	{"root: the old keys need not sign", "trust/verify.go", "if err := signedBy(trusted, file, m); err != nil {", "if false {"},
	{"root: the new keys need not sign", "trust/verify.go", "if err := signedBy(root, file, m); err != nil {", "if err := signedBy(root, file, m); false && err != nil {"},
	{"root: history in the cache is forgotten", "trust/refresh.go", "func (t *trusted) replayRoots() {\n", "func (t *trusted) replayRoots() {\n\tif true {\n\t\treturn\n\t}\n"},
	{"root: history in the cache is believed", "trust/refresh.go", "root, err := t.dialect.nextRoot(t.set.Root, b)\n\t\tif err != nil {\n\t\t\tt.opt.Warn", "root, err := t.dialect.firstRoot(b)\n\t\tif err != nil {\n\t\t\tt.opt.Warn"},
	{"root: not remembered", "trust/refresh.go", "if err := t.store(rootName(version), b); err != nil {", "if false {"},
	{"root: no end to new ones", "trust/refresh.go", "maxRootSteps = 256", "maxRootSteps = 300"},
	{"root: forbidden is a fault", "trust/refresh.go", "errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)", "errors.Is(err, fs.ErrNotExist)"},
	{"root: expiry ignored", "trust/refresh.go", "if err := t.fresh(rootFile(t.set.Root.Signed.Version), t.set.Root.Signed.Expires, false); err != nil {", "if false {"},
	{"root: the timestamp is not fetched anew after it", "trust/refresh.go", "if grown { // that", "if false && grown { // that"},

	{"keys: one signature is enough", "trust/verify.go", "Threshold: role.Threshold,", "Threshold: 1,"},
	{"keys: two ids of one key count twice", "trust/verify.go", "Threshold: role.Threshold,", "Threshold: role.Threshold - twins(role.KeyIDs, r.Signed.Keys),"},
	{"keys: any type and scheme", "trust/verify.go", "default:\n\t\treturn fmt.Errorf(\"key type %.40q with", "default:\n\t\tif k.Type == \"ecdsa\" {\n\t\t\tbreak\n\t\t}\n\t\treturn fmt.Errorf(\"key type %.40q with"},
	{"keys: rsa counts", "trust/verify.go", "; ok && d == foreign {", "; ok {"},
	{"keys: any curve", "trust/verify.go", "if k.Curve != elliptic.P256() {", "if false && k.Curve != elliptic.P256() {"},
	{"keys: ed25519 of any length", "trust/verify.go", "if len(k) != ed25519.PublicKeySize {", "if false {"},
	{"keys: a bad one spoils the good ones", "trust/verify.go", "if d.usableKey(k) == nil {", "if true {"},
	{"keys: threshold 0", "trust/strict.go", "if threshold < 1 || threshold > len(ids) {", "if threshold > len(ids) {"},

	{"timestamp: a lower version goes", "trust/refresh.go", "return &RollbackError{timestampFile, have.Signed.Version, m.Signed.Version}", "return nil"},
	{"timestamp: it may name a lower snapshot", "trust/refresh.go", "return &RollbackError{t.file(is, metadata.SNAPSHOT), was, is}", "_, _ = was, is\n\t\treturn nil"},
	{"timestamp: remembered before it is checked", "trust/refresh.go", "have := t.set.Timestamp\n\tif err := t.loadTimestamp(b)", "have := t.set.Timestamp\n\t_ = t.store(\"timestamp.json\", b)\n\tif err := t.loadTimestamp(b)"},
	{"timestamp: not remembered", "trust/refresh.go", "return t.store(\"timestamp.json\", b)", "return nil"},
	{"timestamp: expiry ignored", "trust/refresh.go", "if err := t.fresh(timestampFile, t.set.Timestamp.Signed.Expires, t.opt.LiftExpiry); err != nil {", "if err := t.fresh(timestampFile, t.set.Timestamp.Signed.Expires, true); err != nil {"},
	{"timestamp: the cached one is not replayed", "trust/refresh.go", "b := t.cached(\"timestamp.json\", maxTimestamp)\n\tif b == nil {", "b := t.cached(\"timestamp.json\", maxTimestamp)\n\tif true {"},

	{"snapshot: version ignored when replayed", "trust/refresh.go", "if have, next := m.Signed.Version, want.Version; next < have {", "if have, next := m.Signed.Version, want.Version; false {"},
	{"snapshot: the cached one is not replayed", "trust/refresh.go", "same, err := t.replaySnapshot(b, want)", "same, err := false, error(nil)"},
	{"snapshot: expiry ignored", "trust/refresh.go", "if err := t.fresh(file, t.set.Snapshot.Signed.Expires, t.opt.LiftExpiry); err != nil || !isNew {", "if err := t.fresh(file, t.set.Snapshot.Signed.Expires, true); err != nil || !isNew {"},
	{"snapshot: a dropped role is no fault", "trust/refresh.go", "have := t.set.Snapshot\n\terr = guard", "have := t.set.Snapshot\n\tt.set.Snapshot = nil\n\terr = guard"},

	{"targets: expiry ignored", "trust/refresh.go", "if err := t.fresh(file, m.Signed.Expires, false); err != nil {", "if false {"},
	{"targets: expiry can be lifted", "trust/refresh.go", "if err := t.fresh(file, m.Signed.Expires, false); err != nil {", "if err := t.fresh(file, m.Signed.Expires, t.opt.LiftExpiry); err != nil {"},
	{"targets: the delegator need not vouch", "trust/refresh.go", "if err := t.vouches(delegator, role, m); err != nil {", "if false {"},
	{"targets: another version than the snapshot says", "trust/refresh.go", "got, want := m.Signed.Version, t.set.Snapshot.Signed.Meta[role+\".json\"].Version; got != want {", "got, want := m.Signed.Version, int64(0); false {"},
	{"targets: a product signs any path", "trust/refresh.go", "if err := checkPaths(role, m); err != nil {", "if false {"},
	{"targets: a product may delegate", "trust/strict.go", "f.add(\"a product cannot delegate\")", "_ = role"},
	{"listed files: digest ignored", "trust/refresh.go", "return t.check(file, b)", "return nil"},
	{"listed files: need no digest", "trust/strict.go", "if len(h[\"sha256\"]) != 32 {", "if false {"},
	{"listed files: fetched without a bound", "trust/refresh.go", "b, err := t.opt.Fetch(ctx, file, max)", "b, err := t.opt.Fetch(ctx, file, 1<<62)"},
	{"fetched files: length ignored", "trust/refresh.go", "if int64(len(b)) > max {\n\t\treturn nil, &FormatError{file, fmt.Errorf(\"%d bytes", "if false {\n\t\treturn nil, &FormatError{file, fmt.Errorf(\"%d bytes"},
	{"content: anything goes", "trust/target.go", "if e.Got = sha256.Sum256(b); e.Got == e.Want {", "if true {"},

	{"time: the build does not count", "trust/refresh.go", "now:     later(opt.Now(), opt.BuildTime),", "now:     opt.Now(),"},
	{"time: what was known does not count", "trust/refresh.go", "t.now = later(t.now, known)", "_ = known"},
	{"time: whatever the cache says", "trust/refresh.go", "if err == nil && known.After(t.set.Timestamp.Signed.Expires) {", "if false {"},
	{"timestamp: a twin of any snapshot", "trust/refresh.go", "&& sameMeta(have, m) {", "|| sameMeta(have, m) {"},
	{"mirrors: the first one is believed to be the newest", "client/mirrors.go", "return cmp.Compare(b.version, a.version)", "return cmp.Compare(0, 0)"},
	{"mirrors: wrong content is not asked for elsewhere", "client/mirrors.go", "r.mirrors.blame()\n\t\terr = do()", "return err"},
	{"bundles: expiry lifted from servers too", "client/remote.go", "if c.o.AcceptExpired && !offline && !c.isFolder() {", "if false {"},
	{"time: not remembered", "trust/refresh.go", "return t.rememberTime(known)", "return nil"},

	{"metadata: of any type", "trust/strict.go", "if is != want {", "if false && is != want {"},
	{"metadata: of any specification", "trust/strict.go", "if !strings.HasPrefix(spec, \"1.\") {", "if false {"},
	{"signatures: two by one key id", "trust/strict.go", "if seen[s.KeyID] {", "if false {"},
	{"signatures: any number", "trust/strict.go", "all == nil || n > maxSignatures {", "all == nil {"},

	{"JSON: a name twice", "trust/strict.go", "if in.names[name] {", "if false {"},
	{"JSON: a name in other case", "trust/strict.go", "if !lower && !strings.Contains(name, \"/\") {", "if false && !lower && !strings.Contains(name, \"/\") {"},
	{"JSON: null", "trust/strict.go", "return nil, errors.New(\"null\")", "return open, nil"},
	{"JSON: any number", "trust/strict.go", "err != nil || n > maxNumber {", "err != nil && n > maxNumber {"},
	{"JSON: any depth", "trust/strict.go", "case len(open) == maxDepth:", "case false:"},

	{"client: withdrawn releases are chosen", "lifecycle/route.go", "if l.Withdrawn == \"\" && onLine(", "if onLine("},
	{"client: no floor", "lifecycle/choose.go", "if l.Sequence >= w.Floor || w.Downgrade {", "if true {"},
	{"client: everybody may go back", "lifecycle/choose.go", "return l != nil && l.Withdrawn != \"\" && l.Retreat", "return l == nil || l.Withdrawn == \"\" || l.Retreat"},
	{"client: a barrier is jumped", "lifecycle/route.go", "if to.Strict || l[i].Barrier {", "if to.Strict {"},
	{"client: a rollout is for all", "lifecycle/rollout.go", "return int(number) < percent", "return int(number) < percent+100"},
	{"client: what has failed is taken again", "lifecycle/choose.go", "case isRejected:", "case false && isRejected:"},
	{"client: the manifest need not be as listed", "client/update.go", "if err := x.Check(&j.to.Release); err != nil {", "if false {"},
}

// twins is what one mutant needs.
const twins = `
func twins(ids []string, keys map[string]*metadata.Key) (n int) {
	seen := map[string]bool{}
	for _, id := range ids {
		if k := keys[id]; k != nil {
			if seen[k.Value.PublicKey] {
				n++
			}
			seen[k.Value.PublicKey] = true
		}
	}
	return n
}
`

func (m *mutant) source(t *testing.T, root string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		t.Fatalf("%s: %q is there %d times, want once", m.file, m.old, n)
	}
	s := strings.Replace(string(b), m.old, m.new, 1)
	if strings.Contains(m.new, "twins(") {
		s += twins
	}
	return s
}

func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			source := m.source(t, root)
			if os.Getenv("TREEGRAFT_MUTANTS") == "" {
				return
			}
			m.kill(t, root, source)
		})
	}
	if os.Getenv("TREEGRAFT_MUTANTS") == "" {
		t.Log("mutants fit; set TREEGRAFT_MUTANTS=1 to run them")
	}
}

func (m *mutant) kill(t *testing.T, root, source string) {
	t.Helper()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.go")
	overlay := filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, m.file): broken}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{broken: []byte(source), overlay: b} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goRun := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := goRun("build", "-overlay="+overlay, "./trust/", "./client/"); err != nil {
		t.Fatalf("does not build, so it shows nothing:\n%s", out)
	}
	for _, pkg := range killers {
		out, err := goRun("test", "-overlay="+overlay, "-count=1", "-failfast", "-vet=off", pkg)
		if err != nil {
			t.Logf("killed by %s: %s", pkg, firstFailure(out))
			return
		}
	}
	t.Errorf("survives")
}

func firstFailure(out string) string {
	name := "?"
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(rest, " ")
		}
	}
	return name
}
