// Package s3test runs a real S3 server for tests: versitygw, which keeps objects
// as files in a folder. Where it is not installed, tests skip.
package s3test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Bucket is where a server keeps the objects of a test.
type Bucket struct {
	Location string // s3://…
	Folder   string // on disk, as files
}

// Start runs a server until the test ends, and returns an empty bucket of it. It
// sets the environment that has the credentials.
func Start(t *testing.T) Bucket {
	t.Helper()
	program, err := exec.LookPath("versitygw")
	if err != nil {
		t.Skip("no S3 server: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	}
	addr := freeAddress(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
	dir, facts := t.TempDir(), t.TempDir()
	b := Bucket{"s3://bucket?region=us-east-1&endpoint=http://" + addr, filepath.Join(dir, "bucket")}
	if err := os.Mkdir(b.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--access", "test", "--secret", "not a secret", "--port", addr, "--quiet", "posix", "--sidecar", facts, dir)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("S3 server: %s", log.String())
		}
	})
	for range 3000 {
		if answer, err := http.Get("http://" + addr); err == nil {
			answer.Body.Close()
			return b
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the S3 server does not answer at %s", addr)
	return b
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
