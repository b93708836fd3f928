package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/treegraft-dev/treegraft/atomicfs"
)

// held is what a script's commands leave for later ones.
type held struct {
	requests *atomic.Int64
	tree     *atomicfs.Tree
}

type heldKey struct{}

// holder returns what the script holds.
func holder(ts *testscript.TestScript) *held {
	h, _ := ts.Value(heldKey{}).(*held)
	if h == nil {
		ts.Fatalf("the script was set up without a holder")
	}
	return h
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code: want %d, got %d", want, got)
	}
}

func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) != 1 {
		ts.Fatalf("flip %s: want one file, got %q", args[0], names)
	}
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(flip(names[0], offset))
}

// flip changes the lowest bit of one byte of a file.
func flip(name string, offset int) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if offset < 0 {
		offset += len(b)
	}
	b[offset] ^= 1
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name, b, 0o600), os.Chmod(name, info.Mode()))
}

func cmdTreecmp(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: treecmp A B [WITHOUT...]")
	}
	a, err := readTree(ts.MkAbs(args[0]), args[2:]...)
	ts.Check(err)
	b, err := readTree(ts.MkAbs(args[1]), args[2:]...)
	ts.Check(err)
	diff := diffTrees(a, b)
	switch {
	case neg && diff == "":
		ts.Fatalf("%s and %s are the same", args[0], args[1])
	case !neg && diff != "":
		ts.Fatalf("%s (-) and %s (+) differ:\n%s", args[0], args[1], diff)
	}
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve DIR")
	}
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	requests := holder(ts).requests
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		files.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
}

func cmdServed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: served N")
	}
	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	if got := holder(ts).requests.Swap(0); got != want {
		ts.Fatalf("requests: want %d, got %d", want, got)
	}
}

func cmdJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: jsonlines TYPE CODE")
	}
	var last struct {
		Type string
		Code *int
	}
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile("stdout")))
	for lines.Scan() {
		last.Code = nil
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			ts.Fatalf("%q: %v", lines.Text(), err)
		}
		if last.Type == "" {
			ts.Fatalf("%q: no type", lines.Text())
		}
	}
	ts.Check(lines.Err())
	if last.Type != args[0] || last.Code == nil || strconv.Itoa(*last.Code) != args[1] {
		ts.Fatalf("last object: want type %s with code %s, got type %s with code %v", args[0], args[1], last.Type, last.Code)
	}
}

func cmdLock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock DIR")
	}
	tree, err := atomicfs.Open(ts.MkAbs(args[0]), atomicfs.Options{})
	ts.Check(err)
	holder(ts).tree = tree
}

func cmdUnlock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: unlock")
	}
	ts.Check(holder(ts).tree.Close())
}
