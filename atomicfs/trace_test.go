package atomicfs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/treegraft-dev/treegraft/internal/treetest"
)

// Which calls the protocol makes, and in which order, is what a power cut
// tests: this test states it, so that no sync gets lost by accident. The file
// is compared line by line: what a commit does, from Open on; a rollback; an
// abort, from the first step after the error on; and an Open that finds nothing
// to do. UPDATE_TRACE=1 writes it anew.
func TestTrace(t *testing.T) {
	const file = "testdata/trace.txtar"
	ar, err := txtar.ParseFile(file)
	must(t, err)
	from := treetest.Parse(t, "-- bin/app 0755 --\n1\n-- d/gone --\n1\n-- f --\n1\n-- locked/ 0555 --\n-- locked/f --\n1\n-- mode --\n1\n")
	to := treetest.Parse(t, "-- bin/app 0755 --\n2\n-- f --\n2\n-- l -> f --\n-- locked/ 0555 --\n-- locked/f --\n2\n-- mode 0600 --\n1\n-- new/f --\n2\n")
	from[metaPrefix+"m"], to[metaPrefix+"m"] = treetest.File("1"), treetest.File("2")

	root := scratch(t)
	plant(t, root, from)
	got := map[string]string{}
	s := &script{}
	_, err = update(root, from, to, Options{Hook: s.hook}, CommitOptions{})
	must(t, err)
	got["commit"] = trace(s.steps)
	s = &script{}
	_, err = rollBack(root, Options{Hook: s.hook}, CommitOptions{})
	must(t, err)
	got["rollback"] = trace(s.steps)

	failed := 0
	s = &script{act: func(n int, step string) error {
		if failed == 0 && strings.HasSuffix(step, "-> "+realPath(metaPrefix+"m")) {
			failed = n
			return syscall.EIO
		}
		return nil
	}}
	if _, err = update(root, from, to, Options{Hook: s.hook}, CommitOptions{}); err == nil {
		t.Fatal("want EIO, got success")
	}
	got["abort"] = trace(s.steps[failed:])

	s = stopFrom(1000)
	tree, err := Open(root, Options{Hook: s.hook})
	must(t, err)
	must(t, tree.Close())
	got["opened"] = trace(s.steps)

	for _, strategy := range twinStrategies {
		root := newRoot(t)
		plant(t, root, treetest.Tree{"d/f": treetest.File("1"), metaPrefix + "m": treetest.File("1")})
		if strategy == Versioned {
			makeVersioned(t, root)
		}
		s = &script{}
		_, err = update(root, treetest.Tree{"d/f": treetest.File("1")}, treetest.Tree{"d/f": treetest.File("2")}, Options{Hook: s.hook, Strategy: strategy}, CommitOptions{})
		must(t, err)
		got[strategy.String()] = trace(s.steps)
	}

	if os.Getenv("UPDATE_TRACE") != "" {
		ar.Files = nil
		for _, name := range sortedKeys(got) {
			ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
		must(t, os.WriteFile(file, txtar.Format(ar), 0o644))
		return
	}
	for _, f := range ar.Files {
		if d := cmp.Diff(string(f.Data), got[f.Name]); d != "" {
			t.Errorf("%s: (-want +got)\n%s", f.Name, d)
		}
	}
	if len(ar.Files) != len(got) {
		t.Errorf("want %d traces, got %d", len(ar.Files), len(got))
	}
}

// trace shortens the names of steps.
func trace(steps []string) string {
	s := strings.Join(steps, "\n") + "\n"
	s = strings.ReplaceAll(s, tempName("tree"), "TWIN")
	s = strings.ReplaceAll(s, StateDir+"/", "~/")
	s = strings.ReplaceAll(s, "TWIN/~/", "TWIN/"+StateDir+"/")
	s = regexp.MustCompile(`(^|[ \n])~/`).ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(s, "~/", StateDir+"/")
	s = strings.ReplaceAll(s, " -> ", " > ")
	s = regexp.MustCompile(`(?m)^(write .*\n)+`).ReplaceAllString(s, "write\n")
	return regexp.MustCompile(`(?m)^chown .*\n`).ReplaceAllString(s, "") // root only
}

// What a test's hook sees is all there is: no file of the package reaches for
// the file system behind its back.
func TestOnlyDiskChangesThings(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	calls := regexp.MustCompile(`\.root\.(Rename|Link|Symlink|Remove|RemoveAll|Mkdir|MkdirAll|Chmod|Chown|Lchown|Chtimes|WriteFile|Create|OpenFile)\(|\bos\.(Rename|Link|Symlink|Remove|RemoveAll|Mkdir|MkdirAll|Chmod|Chown|WriteFile|Create|OpenFile|Truncate)\(`)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "disk.go" || name == "writefile.go" {
			continue
		}
		b, err := os.ReadFile(name)
		must(t, err)
		for _, m := range calls.FindAllString(string(b), -1) {
			t.Errorf("%s: %s belongs into disk.go, behind the hook", name, m)
		}
	}
}
