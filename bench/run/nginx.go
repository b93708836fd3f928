package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/treegraft-dev/treegraft/bench/internal/report"
)

// server is an nginx that serves one folder and writes down every byte.
type server struct {
	dir  string // its own files
	addr string
}

// logFormat is status, bytes sent with headers, and what was asked for.
const logFormat = `$status $bytes_sent $request`

// newServer prepares an nginx for the folder root, with its own files in dir.
func newServer(dir, root string) (*server, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.path("nginx.conf"), []byte(s.config(root)), 0o644)
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

// nginxPath finds nginx, which is not on everybody's PATH.
func nginxPath() (string, error) {
	if path, err := exec.LookPath("/usr/sbin/nginx"); err == nil {
		return path, nil
	}
	return exec.LookPath("nginx")
}

// url is where the repository is found.
func (s *server) url() string { return "http://" + s.addr + "/" }

func (s *server) config(root string) string {
	user := ""
	if os.Getuid() == 0 { // a worker of another user could not read our folders
		user = "user root;\n"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "  %s_temp_path %q;\n", kind, s.path(kind))
	}
	return fmt.Sprintf(`%sdaemon off;
worker_processes 1;
pid %q;
error_log %q;
events {}
http {
%s  log_format bench '%s';
  access_log %q bench;
  server {
    listen %s;
    root %q;
  }
}
`, user, s.path("pid"), s.path("error.log"), temp.String(), logFormat, s.path("access.log"), s.addr, root)
}

// during runs f with the server up, and returns what was transferred.
func (s *server) during(ctx context.Context, f func() error) (report.Transfer, error) {
	if err := os.RemoveAll(s.path("access.log")); err != nil {
		return report.Transfer{}, err
	}
	program, err := nginxPath()
	if err != nil {
		return report.Transfer{}, err
	}
	cmd := exec.CommandContext(ctx, program, "-c", s.path("nginx.conf"), "-p", s.dir, "-e", s.path("error.log"))
	if err := cmd.Start(); err != nil {
		return report.Transfer{}, err
	}
	if err = s.wait(ctx); err == nil {
		err = f()
	}
	// SIGQUIT lets requests end, so that every one of them is in the log.
	err = errors.Join(err, cmd.Process.Signal(syscall.SIGQUIT), cmd.Wait())
	t, logErr := s.count()
	return t, errors.Join(err, logErr)
}

// wait returns when the server takes connections.
func (s *server) wait(ctx context.Context) error {
	const tries, pause = 500, 10 * time.Millisecond
	var err error
	for range tries {
		var c net.Conn
		if c, err = net.Dial("tcp", s.addr); err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("start nginx: %w", err)
}

func (s *server) count() (report.Transfer, error) {
	f, err := os.Open(s.path("access.log"))
	if err != nil {
		return report.Transfer{}, err
	}
	defer f.Close()
	var t report.Transfer
	for sc := bufio.NewScanner(f); ; {
		if !sc.Scan() {
			return t, sc.Err()
		}
		n, err := loggedBytes(sc.Text())
		if err != nil {
			return t, err
		}
		if n > 0 {
			t.Requests++
			t.Bytes += n
		}
	}
}

// loggedBytes reads one line of the access log. A connection that asked for
// nothing was not a request and counts 0.
func loggedBytes(line string) (int64, error) {
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 {
		return 0, fmt.Errorf("read access log: want %q, got %q", logFormat, line)
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("read access log: want a number of bytes, got %q", line)
	}
	if fields[2] == "" || fields[2] == "-" {
		return 0, nil
	}
	return n, nil
}
