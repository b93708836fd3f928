package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRecords reads any bytes as each of the records. A gate whose record is
// there is closed, a program that holds its lock is there, and no text of theirs
// commands a terminal.
func FuzzRecords(f *testing.F) {
	for _, seed := range []string{
		`{"state":"applying","phase":"place","eta":"2030-01-01T00:00:00+01:00","since":"2029-01-01T00:00:00Z","owner":{"pid":1,"start":2,"host":"h"},"ask":{"kind":"please-down","deadline":"2030-01-01T00:00:00Z"}}`,
		`{"process":{"pid":7,"start":9},"name":"web","since":"2029-01-01T00:00:00Z","state":"disconnected","note":"\u001b[2J"}`,
		`{"message":"\u009b","retry_after":-1,"since":"2029-01-01T00:00:00Z","token_sha256":"00"}`,
		"", "null", "{", "[]", `{"state":"\n"}`, `{"eta":"9999999-01-01T00:00:00Z"}`,
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".treegraft"), 0o700); err != nil {
		f.Fatal(err)
	}
	m, err := register(dir, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { m.leave() })
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{closedPath(dir), m.base + ".json", maintenancePath(dir)} {
			must(t, os.WriteFile(name, b, 0o600))
		}
		c := Look(dir)
		if c == nil {
			t.Fatal("want the gate closed")
		}
		all, err := Participants(dir)
		if err != nil || len(all) != 1 {
			t.Fatalf("want one program, got %v, %v", all, err)
		}
		mode, _ := LookMaintenance(dir)
		if mode == nil || mode.Admits("") {
			t.Fatalf("want maintenance mode on for those without a token, got %+v", mode)
		}
		for _, text := range []string{c.Error(), all[0].String(), mode.Message} {
			if strings.ContainsAny(text, "\x1b\u009b\n\r") || len(text) > 10*maxText {
				t.Fatalf("got %q", text)
			}
		}
		must(t, Close(dir, Reason{State: "draining"}))
		if Look(dir).State != "draining" {
			t.Fatal("want what was said last")
		}
	})
}
