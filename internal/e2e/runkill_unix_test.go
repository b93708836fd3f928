//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// step is what every hook and migration of the releases here runs. It notes its
// name, kills the updater when its turn has come, fails where it is told to, and
// changes the data when it is a migration.
const step = `name=$1 data=$2
echo "$name" >>../log
if [ "$(cat ../kill 2>/dev/null)" = "$name" ]; then
	rm ../kill
	kill -9 $PPID
	sleep 5
fi
[ "$(cat ../fail 2>/dev/null)" != "$name" ] || exit 1
[ -z "$data" ] || echo "$data" >../data
echo "ended $name" >>../log
`

// hooksOf returns the facts of hooks for all phases. Once is a part of each.
func hooksOf(version, once string) string {
	var all []string
	for _, phase := range []string{"offline", "backup", "place", "online", "undo", "restored"} {
		all = append(all, fmt.Sprintf(`{ phase = %q, command = ["sh", "step", "%s of %s"], veto = true%s }`, phase, phase, version, once))
	}
	return strings.Join(all, ",\n")
}

func migrationsOf(once string, versions ...int) string {
	var all []string
	for _, v := range versions {
		all = append(all, fmt.Sprintf(`{ version = %d, up = ["sh", "step", "up %d", "%d"], down = ["sh", "step", "down %d", "%d"]%s }`,
			v, v, v, v, v-1, once))
	}
	return strings.Join(all, ",\n")
}

// newRunWorld is a repository with two releases that have hooks in all phases,
// and migrations; the first one is installed, with data of version 1.
func newRunWorld(t *testing.T, once string) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	t.Setenv("MKRELEASE_PASSPHRASE", "correct horse")
	t.Setenv("XDG_CONFIG_HOME", w.path("config"))
	w.want(t, 0, "mkrelease", "init", "--repo", w.path("repo"), "--keys", w.path("keys"))
	for i, migrations := range [][]int{{1}, {1, 2, 3}} {
		tree := w.path(fmt.Sprintf("v%d", i+1))
		version := fmt.Sprintf("%d.0.0", i+1)
		must(t, os.MkdirAll(tree, 0o755))
		must(t, os.WriteFile(tree+"/step", []byte(step), 0o644))
		must(t, os.WriteFile(tree+"/version", []byte(version), 0o644))
		must(t, os.WriteFile(w.path("facts"), fmt.Appendf(nil, "schema = { min = %d, max = %d }\nmigrations = [%s]\nhooks = [%s]\n",
			slices.Max(migrations), slices.Max(migrations), migrationsOf(once, migrations...), hooksOf(version, once)), 0o644))
		w.want(t, 0, "mkrelease", "publish", "--repo", w.path("repo"), "--keys", w.path("keys"),
			"--product", "app", "--version", version, "--release", w.path("facts"), tree)
	}
	w.want(t, 0, "applyrelease", "install", "--repo", w.path("repo"), "--root", w.path("keys/root.json"),
		"--product", "app", "--version", "1.0.0", w.path("tree"))
	var err error
	w.old, err = readTree(w.path("v1"))
	must(t, err)
	w.new, err = readTree(w.path("v2"))
	must(t, err)
	must(t, os.CopyFS(w.path("before"), os.DirFS(w.path("tree"))))
	return w
}

// begin brings all back to the beginning, with a step that kills and one that
// fails.
func (w *world) begin(t *testing.T, kill, fail string) {
	t.Helper()
	w.reset(t, "before", "tree")
	for name, content := range map[string]string{"kill": kill, "fail": fail, "data": "1\n", "log": ""} {
		must(t, os.WriteFile(w.path(name), []byte(content), 0o644))
	}
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(w.path(name))
	must(t, err)
	return strings.TrimSpace(string(b))
}

// wantEnd sees that the tree is of a release, with its data, out of the gate, and
// with nothing under way.
func (w *world) wantEnd(t *testing.T, tree map[string]string, data string) {
	t.Helper()
	w.wantTree(t, tree)
	if got := w.read(t, "data"); got != data {
		t.Errorf("data: want %s, got %s", data, got)
	}
	code, said := w.run(t, "applyrelease", "status", w.path("tree"))
	if code != 0 || !strings.Contains(said, "data         "+data) || strings.Contains(said, "run  ") {
		t.Errorf("status: want data %s and no run, got exit code %d: %s", data, code, said)
	}
	for _, name := range []string{"tree/.treegraft/run", "tree/.treegraft/gate/closed"} {
		if _, err := os.Stat(w.path(name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	if t.Failed() {
		t.Fatalf("the log:\n%s", w.read(t, "log"))
	}
}

// The steps of an update from 1.0.0 to 2.0.0, and of one that fails at its end.
var (
	forward = []string{"offline of 1.0.0", "backup of 1.0.0", "place of 2.0.0", "up 2", "up 3", "online of 2.0.0"}
	back    = []string{"down 3", "down 2", "undo of 2.0.0", "restored of 1.0.0"}
)

// TestRunKilledInEachStep has each hook and migration kill the updater that runs
// it. The next run goes on, and nothing runs again that had ended.
func TestRunKilledInEachStep(t *testing.T) {
	w := newRunWorld(t, "")
	for _, name := range forward {
		w.begin(t, name, "")
		w.wantKilled(t, "update")
		if code, said := w.run(t, "applyrelease", "status", w.path("tree")); code != 71 || !strings.Contains(said, "which did it, has ended") {
			t.Fatalf("%s: status after a kill: exit code %d: %s", name, code, said)
		}
		w.want(t, 0, "applyrelease", "update", w.path("tree"))
		w.wantEnd(t, w.new, "3")
		w.wantEnded(t, forward)

		// The same, and then somebody changes their mind.
		w.begin(t, name, "")
		w.wantKilled(t, "update")
		w.want(t, 0, "applyrelease", "abort", w.path("tree"))
		w.wantEnd(t, w.old, "1")
	}
	for _, name := range back {
		w.begin(t, name, "online of 2.0.0")
		w.wantKilled(t, "update")
		w.want(t, 70, "applyrelease", "resume", w.path("tree"))
		w.wantEnd(t, w.old, "1")
		w.wantEnded(t, append(slices.Clone(forward[:5]), back...))
	}
	for _, name := range append([]string{"offline of 2.0.0", "backup of 2.0.0"}, back...) {
		w.begin(t, "", "")
		w.want(t, 0, "applyrelease", "update", w.path("tree"))
		must(t, os.WriteFile(w.path("kill"), []byte(name), 0o644))
		w.wantKilled(t, "rollback")
		w.want(t, 0, "applyrelease", "resume", w.path("tree"))
		w.wantEnd(t, w.old, "1")
	}
}

func (w *world) wantKilled(t *testing.T, verb string) {
	t.Helper()
	if code, said := w.run(t, "applyrelease", verb, w.path("tree")); code != -1 {
		t.Fatalf("%s: want it killed, got exit code %d: %s", verb, code, said)
	}
	awaitLock(t, w.path("tree"))
}

// wantEnded sees that each step ended once, in this order.
func (w *world) wantEnded(t *testing.T, steps []string) {
	t.Helper()
	var ended []string
	for line := range strings.Lines(w.read(t, "log") + "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "ended "); ok {
			ended = append(ended, name)
		}
	}
	if !slices.Equal(ended, steps) {
		t.Fatalf("steps that ended:\nwant %q\ngot  %q", steps, ended)
	}
}

// TestOnceRunsOnce has steps that must not run twice kill their updater. The run
// waits for a person, and the step begins a second time only on their word.
func TestOnceRunsOnce(t *testing.T) {
	w := newRunWorld(t, `, once = true`)
	began := func(name string) (n int) {
		for line := range strings.Lines(w.read(t, "log") + "\n") {
			if strings.TrimSpace(line) == name {
				n++
			}
		}
		return n
	}
	for _, name := range forward {
		for _, word := range []string{"--done", "--again"} {
			w.begin(t, name, "")
			w.wantKilled(t, "update")
			for _, verb := range []string{"update", "resume", "setup", "update"} {
				w.want(t, 71, "applyrelease", verb, w.path("tree"))
			}
			if n := began(name); n != 1 {
				t.Fatalf("%s began %d times without a word", name, n)
			}
			if word == "--done" && strings.HasPrefix(name, "up ") {
				must(t, os.WriteFile(w.path("data"), []byte(name[3:]), 0o644)) // it has done its work
			}
			w.want(t, 0, "applyrelease", "resume", word, w.path("tree"))
			w.wantEnd(t, w.new, "3")
			for _, other := range forward {
				want := 1
				if other == name && word == "--again" {
					want = 2
				}
				if n := began(other); n != want {
					t.Fatalf("%s killed, %s: %s began %d times, want %d", name, word, other, n, want)
				}
			}
		}
		w.begin(t, name, "")
		w.wantKilled(t, "update")
		w.want(t, 0, "applyrelease", "abort", w.path("tree"))
		w.wantEnd(t, w.old, "1")
	}
}

// TestRunKilledAnywhere kills updates with hooks and migrations from outside, at
// random moments: also between steps, and in what goes back.
func TestRunKilledAnywhere(t *testing.T) {
	w := newRunWorld(t, "")
	w.begin(t, "", "")
	began := time.Now()
	w.want(t, 0, "applyrelease", "update", w.path("tree"))
	whole := time.Since(began)
	moments := rand.New(rand.NewPCG(3, 4))
	killed := 0
	for i := range 16 {
		fail := ""
		if i%2 == 1 {
			fail = "online of 2.0.0"
		}
		w.begin(t, "", fail)
		for again := true; again; again = moments.IntN(3) == 0 {
			if killAt(t, time.Duration(moments.Float64()*float64(whole)), []string{"update", w.path("tree")}) {
				killed++
			}
		}
		if code, said := w.run(t, "applyrelease", "resume", w.path("tree")); code != 0 && code != 70 {
			t.Fatalf("resume: exit code %d: %s", code, said)
		}
		if fail != "" {
			w.run(t, "applyrelease", "update", w.path("tree")) // it may not have begun
			w.wantEnd(t, w.old, "1")
			continue
		}
		w.want(t, 0, "applyrelease", "update", w.path("tree"))
		w.wantEnd(t, w.new, "3")
	}
	if killed == 0 {
		t.Error("no update was killed: each had ended before")
	}
	t.Logf("%d updates killed", killed)
}
