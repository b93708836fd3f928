//go:build unix

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// verbStep is what every hook and migration of the products here runs: it notes
// its name, kills the updater when its turn has come, and changes the data of
// its product when it is a migration. What it writes is outside of the tree.
const verbStep = `name=$1 product=$2 data=$3
echo "$name" >>"$LEDGER/log"
if [ "$(cat "$LEDGER/kill" 2>/dev/null)" = "$name" ]; then
	rm "$LEDGER/kill"
	kill -9 $PPID
	sleep 5
fi
[ -z "$data" ] || echo "$data" >"$LEDGER/data-$product"
`

// verbFacts are the facts of a release: hooks in all phases, and the migrations
// of its data from version 1 on; of the plain product none.
func verbFacts(product string, version int) string {
	if product == "plain" {
		return ""
	}
	step := "step-" + product
	var hooks, migrations []string
	for _, phase := range []string{"offline", "backup", "place", "online", "undo", "restored"} {
		hooks = append(hooks, fmt.Sprintf(`{ phase = %q, command = ["sh", %q, "%s of %s %d", %q], veto = true }`,
			phase, step, phase, product, version, product))
	}
	for v := 1; v <= version; v++ {
		migrations = append(migrations, fmt.Sprintf(
			`{ version = %[1]d, up = ["sh", %[2]q, "up %[3]s %[1]d", %[3]q, "%[1]d"], down = ["sh", %[2]q, "down %[3]s %[1]d", %[3]q, "%[4]d"] }`,
			v, step, product, v-1))
	}
	facts := fmt.Sprintf("schema = { min = %[1]d, max = %[1]d }\nmigrations = [%s]\nhooks = [%s]\n",
		version, strings.Join(migrations, ",\n"), strings.Join(hooks, ",\n"))
	if product == "addon" {
		facts += "depends = [{ name = \"core\" }]\nessential = true\n"
	}
	return facts
}

// killing is a repository with three releases of three products, of which one
// depends on another and one is only files, and what is needed to kill verbs over and over again.
type killing struct {
	*world
	seen string // the folder in which updaters see the tree
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	k := &killing{world: &world{dir: t.TempDir()}}
	k.seen = k.path("trees")
	must(t, os.MkdirAll(k.seen, 0o755))
	t.Setenv("MKRELEASE_PASSPHRASE", "correct horse")
	t.Setenv("XDG_CONFIG_HOME", k.path("config"))
	t.Setenv("LEDGER", k.dir)
	k.want(t, 0, "mkrelease", "init", "--repo", k.path("repo"), "--keys", k.path("keys"))
	for _, product := range []string{"core", "addon", "plain"} {
		for v := 1; v <= 3; v++ {
			tree := k.path(fmt.Sprintf("%s-%d", product, v))
			for name, content := range map[string]string{
				"step-" + product:                             verbStep,
				"bin/" + product:                              fmt.Sprintf("%s %d\n", product, v),
				fmt.Sprintf("lib/%s/of-%d", product, v):       product,
				fmt.Sprintf("lib/%s/same", product):           product,
				fmt.Sprintf("only-%s-%d/folder", product, v):  "1",
				fmt.Sprintf("lib/%s/since-%d", product, v&^1): product,
			} {
				must(t, os.MkdirAll(parent(tree+"/"+name), 0o755))
				must(t, os.WriteFile(tree+"/"+name, []byte(content), 0o644))
			}
			must(t, os.WriteFile(k.path("facts"), []byte(verbFacts(product, v)), 0o644))
			k.want(t, 0, "mkrelease", "publish", "--repo", k.path("repo"), "--keys", k.path("keys"),
				"--product", product, "--version", fmt.Sprintf("%d.0.0", v), "--release", k.path("facts"), tree)
		}
	}
	return k
}

func parent(name string) string { return name[:strings.LastIndexByte(name, '/')] }

func (k *killing) tree() string { return k.seen + "/tree" }

// set makes the data of a product a version, as a backup that was brought back.
func (k *killing) set(t *testing.T, product string, version int) {
	t.Helper()
	must(t, os.WriteFile(k.path("data-"+product), fmt.Appendln(nil, version), 0o644))
}

// install installs a release of a product, and all that it needs.
func (k *killing) install(t *testing.T, product, version string, more ...string) {
	t.Helper()
	k.want(t, 0, slices.Concat([]string{"applyrelease", "install", "--repo", k.path("repo"), "--root", k.path("keys/root.json"),
		"--product", product, "--version", version, "--snapshots", "4"}, more, []string{k.tree()})...)
}

// releases describes the tree that holds these releases, such as "core-1".
func (k *killing) releases(t *testing.T, names ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range names {
		tree, err := readTree(k.path(name))
		must(t, err)
		maps.Copy(all, tree)
	}
	return all
}

// deed is a verb that is killed.
type deed struct {
	name  string
	ready func(t *testing.T, k *killing) // leads to where it begins
	args  []string                       // without the tree
	trees []string                       // that may be found, from the first to the last: releases with "+" between
	data  map[string]string              // of the products, at the end
}

func (k *killing) deeds() []deed {
	three := func(product string) func(t *testing.T, k *killing) {
		return func(t *testing.T, k *killing) {
			k.install(t, product, "1.0.0")
			k.want(t, 0, "applyrelease", "update", "--to", "2.0.0", k.tree())
			k.want(t, 0, "applyrelease", "update", k.tree())
		}
	}
	both := func(t *testing.T, k *killing) {
		k.install(t, "core", "1.0.0")
		k.install(t, "addon", "1.0.0")
		k.want(t, 0, "applyrelease", "update", k.tree())
	}
	return []deed{
		{"restore what is kept", three("core"), []string{"restore", "1.0.0"},
			[]string{"core-3", "core-2", "core-1"}, map[string]string{"core": "1"}},
		{"restore plain files", three("plain"), []string{"restore", "1.0.0"}, []string{"plain-3", "plain-2", "plain-1"}, nil},
		{"restore from the repository", func(t *testing.T, k *killing) {
			k.install(t, "core", "3.0.0")
			k.set(t, "core", 1)
		}, []string{"restore", "--data", "1", "1.0.0"}, []string{"core-3", "core-1"}, map[string]string{"core": "1"}},
		{"setup", func(t *testing.T, k *killing) {
			k.install(t, "core", "1.0.0")
			k.install(t, "addon", "1.0.0")
			k.want(t, 0, "applyrelease", "update", "--defer-migrations", k.tree())
		}, []string{"setup"}, []string{"core-3+addon-3"}, map[string]string{"core": "3", "addon": "3"}},
		{"setup of all", func(t *testing.T, k *killing) { k.install(t, "core", "1.0.0") }, []string{"setup", "--all"},
			[]string{"core-1", "core-3", "core-3+addon-3"}, map[string]string{"core": "3", "addon": "3"}},
		{"update of several", func(t *testing.T, k *killing) {
			k.install(t, "core", "1.0.0")
			k.install(t, "addon", "1.0.0")
		}, []string{"update"}, []string{"core-1+addon-1", "core-3+addon-1", "core-3+addon-3"}, map[string]string{"core": "3", "addon": "3"}},
		{"uninstall", both, []string{"uninstall", "--product", "addon"},
			[]string{"core-3+addon-3", "core-3"}, map[string]string{"core": "3", "addon": "3"}},
		{"rollback of one", both, []string{"rollback", "--product", "addon"},
			[]string{"core-3+addon-3", "core-3+addon-1"}, map[string]string{"core": "3", "addon": "1"}},
		{"rollback of the other", both, []string{"rollback", "--product", "core"},
			[]string{"core-3+addon-3", "core-1+addon-3"}, map[string]string{"core": "1", "addon": "3"}},
		{"rollback of plain files", three("plain"), []string{"rollback"}, []string{"plain-3", "plain-2"}, nil},
		{"resume", func(t *testing.T, k *killing) {
			k.install(t, "core", "1.0.0")
			must(t, os.WriteFile(k.path("kill"), []byte("up core 2"), 0o644))
			if code, said := k.run(t, "applyrelease", "update", k.tree()); code != -1 {
				t.Fatalf("want the update killed, got exit code %d: %s", code, said)
			}
		}, []string{"resume"}, []string{"core-3"}, map[string]string{"core": "3"}},
	}
}

// command returns the whole command of a deed.
func (d *deed) command(k *killing) []string {
	return slices.Concat([]string{"applyrelease"}, d.args, []string{k.tree()})
}

// prepare leads to where a deed begins, and keeps a copy of it. It returns the
// steps that kill, and how long the deed takes.
func (k *killing) prepare(t *testing.T, d *deed) (steps []string, whole time.Duration) {
	t.Helper()
	for _, product := range []string{"core", "addon"} {
		must(t, os.RemoveAll(k.path("data-"+product)))
	}
	must(t, os.RemoveAll(k.tree()))
	d.ready(t, k)
	must(t, os.RemoveAll(k.path("before")))
	must(t, os.Mkdir(k.path("before"), 0o755))
	must(t, os.CopyFS(k.path("before/tree"), os.DirFS(k.path("trees/tree"))))
	for _, product := range []string{"core", "addon"} {
		if b, err := os.ReadFile(k.path("data-" + product)); err == nil {
			must(t, os.WriteFile(k.path("before/data-"+product), b, 0o644))
		}
	}
	k.begin(t)
	began := time.Now()
	k.want(t, 0, d.command(k)...)
	whole = time.Since(began)
	k.wantDone(t, d, "without a kill")
	for name := range strings.Lines(k.read(t, "log") + "\n") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(steps, name) {
			steps = append(steps, name)
		}
	}
	return steps, whole
}

// begin brings all back to where the deed begins.
func (k *killing) begin(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll(k.path("trees/tree")))
	must(t, os.CopyFS(k.path("trees/tree"), os.DirFS(k.path("before/tree"))))
	for _, product := range []string{"core", "addon"} {
		must(t, os.RemoveAll(k.path("data-"+product)))
		if b, err := os.ReadFile(k.path("before/data-" + product)); err == nil {
			must(t, os.WriteFile(k.path("data-"+product), b, 0o644))
		}
	}
	must(t, os.WriteFile(k.path("log"), nil, 0o644))
	must(t, os.RemoveAll(k.path("kill")))
}

// wantWhole has the tree recovered, and sees that it is one of those that may be
// found.
func (k *killing) wantWhole(t *testing.T, d *deed, when string) {
	t.Helper()
	if code, said := k.run(t, "applyrelease", "status", k.tree()); code != 0 && code != 71 && code != 21 {
		t.Fatalf("%s: status: exit code %d: %s", when, code, said)
	}
	tree, err := readTree(k.path("trees/tree"))
	must(t, err)
	var last string
	for _, names := range d.trees {
		if last = diffTrees(k.releases(t, strings.Split(names, "+")...), tree); last == "" {
			return
		}
	}
	t.Fatalf("%s: the tree is none of %q; it differs from the last one:\n%s", when, d.trees, last)
}

// wantDone sees that the deed is done, and that nothing is left to do.
func (k *killing) wantDone(t *testing.T, d *deed, when string) {
	t.Helper()
	tree, err := readTree(k.path("trees/tree"))
	must(t, err)
	want := k.releases(t, strings.Split(d.trees[len(d.trees)-1], "+")...)
	if diff := diffTrees(want, tree); diff != "" {
		t.Errorf("%s: the tree is not as it should be:\n%s", when, diff)
	}
	for product, want := range d.data {
		if got := k.read(t, "data-"+product); got != want {
			t.Errorf("%s: data of %s: want %s, got %s", when, product, want, got)
		}
	}
	for _, verb := range []string{"status", "verify"} {
		if code, said := k.run(t, "applyrelease", verb, k.tree()); code != 0 {
			t.Errorf("%s: %s: exit code %d: %s", when, verb, code, said)
		}
	}
	for _, name := range []string{"run", "gate/closed", "journal", "journal.undo", "journal.new", "staging"} {
		if _, err := os.Lstat(k.path("trees/tree/.treegraft/" + name)); err == nil {
			t.Errorf("%s: %s is left", when, name)
		}
	}
	if t.Failed() {
		t.Fatalf("the log:\n%s", k.read(t, "log"))
	}
}

// again does the deed a second time, and wants it done, whether or not it had come
// to its end before the kill.
func (k *killing) again(t *testing.T, d *deed, when string) {
	t.Helper()
	code, said := k.run(t, d.command(k)...)
	gone := d.args[0] == "uninstall" && strings.Contains(said, "nothing is installed here")
	if code != 0 && !gone {
		t.Fatalf("%s: again: exit code %d: %s", when, code, said)
	}
	k.wantDone(t, d, when)
}

// TestPromise1VerbsKilled kills restores, setups, uninstalls, rollbacks and what
// goes on after a kill: in each hook and migration, and at moments all over the
// time that they take. The tree is whole, and the same command then does its
// work. The kills in between are those of TestPromise1KilledAtEachOperation.
func TestPromise1VerbsKilled(t *testing.T) {
	k := newKilling(t)
	inSteps, atMoments := 0, 0
	for _, d := range k.deeds() {
		t.Run(d.name, func(t *testing.T) {
			steps, whole := k.prepare(t, &d)
			for i, step := range steps {
				k.begin(t)
				must(t, os.WriteFile(k.path("kill"), []byte(step), 0o644))
				if code, said := k.run(t, d.command(k)...); code != -1 {
					t.Fatalf("%s: want it killed, got exit code %d: %s", step, code, said)
				}
				awaitLock(t, k.tree())
				if i%2 == 0 {
					k.wantWhole(t, &d, "killed in "+step)
				}
				k.again(t, &d, "killed in "+step)
			}
			inSteps += len(steps)
			const moments = 6
			for i := range moments {
				k.begin(t)
				after := whole * time.Duration(i) / moments
				if k.killAt(t, after, d.command(k)) {
					atMoments++
				}
				k.wantWhole(t, &d, fmt.Sprintf("killed after %v", after))
				k.again(t, &d, fmt.Sprintf("killed after %v", after))
			}
		})
	}
	if atMoments == 0 {
		t.Error("nothing was killed from outside: each had ended before")
	}
	t.Logf("tried: %d kills in steps and %d at moments, all whole, all done by a second attempt", inSteps, atMoments)
}

// killAt kills a command after a time. It reports whether it was still going.
func (k *killing) killAt(t *testing.T, after time.Duration, args []string) bool {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	must(t, cmd.Start())
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	killed := cmd.Wait() != nil && !cmd.ProcessState.Exited()
	awaitLock(t, k.tree())
	return killed
}
